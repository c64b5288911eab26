package policy

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"
	_ "time/tzdata" // the host may have none

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func at(t *testing.T, text string) time.Time {
	t.Helper()
	instant, err := time.Parse(time.RFC3339, text)
	if err != nil {
		t.Fatal(err)
	}
	return instant
}

// enforcing is the enforcement of a policy with these windows, as Parse makes it.
func enforcing(t testing.TB, list ...string) Enforcement {
	t.Helper()
	text := "  enforcement:\n    files: Enforce\n    containers: Enforce\n    windows:\n"
	for _, window := range list {
		text += "    - {" + window + "}\n"
	}
	policies, err := Parse("f.yaml", []byte(minimal(text+oneRule)))
	if err != nil {
		t.Fatal(err)
	}
	return policies[0].Spec.Enforcement
}

func TestWindows(t *testing.T) {
	const berlin, newYork = ", timeZone: Europe/Berlin", ", timeZone: America/New_York"
	cases := map[string]struct {
		reason  string
		windows []string
		from    string // when no window is open
		want    []string
	}{
		"UTC": {
			"the zone of a window that names none", []string{"schedule: 0 2 * * *, duration: 3h"}, "2026-06-01T12:00:00Z",
			[]string{"2026-06-02T02:00:00Z 3h0m0s", "2026-06-03T02:00:00Z 3h0m0s"},
		},
		"Weekend": {
			"days have names and numbers", []string{"schedule: '0 2 * * 6,SUN', duration: 3h" + berlin}, "2026-06-01T12:00:00Z",
			[]string{"2026-06-06T02:00:00+02:00 3h0m0s", "2026-06-07T02:00:00+02:00 3h0m0s", "2026-06-13T02:00:00+02:00 3h0m0s"},
		},
		"FirstSunday": {
			"the usual day of maintenance", []string{"schedule: 0 2 * * 0#1, duration: 1h" + berlin}, "2026-11-27T00:00:00Z",
			[]string{"2026-12-06T02:00:00+01:00 1h0m0s", "2027-01-03T02:00:00+01:00 1h0m0s"},
		},
		"LastDay": {
			"of a month, however long", []string{"schedule: 0 22 L * *, duration: 2h"}, "2028-02-01T00:00:00Z",
			[]string{"2028-02-29T22:00:00Z 2h0m0s", "2028-03-31T22:00:00Z 2h0m0s"},
		},
		"LeapDay": {
			"it comes, if late", []string{"schedule: 0 2 29 2 *, duration: 1h"}, "2026-11-27T00:00:00Z", []string{"2028-02-29T02:00:00Z 1h0m0s"},
		},
		"BerlinOpensBeforeSpring": {
			"three hours are three hours, though the clock shows 5:00 at their end", []string{"schedule: 0 1 * * *, duration: 3h" + berlin}, "2026-03-28T12:00:00Z",
			[]string{"2026-03-29T01:00:00+01:00 3h0m0s", "2026-03-30T01:00:00+02:00 3h0m0s"},
		},
		"BerlinSpringSkips": {
			"2:30 is leapt over and due at the leap", []string{"schedule: 30 2 * * *, duration: 1h" + berlin}, "2026-03-28T12:00:00Z",
			[]string{"2026-03-29T03:00:00+02:00 1h0m0s", "2026-03-30T02:30:00+02:00 1h0m0s"},
		},
		"BerlinSpringSkipsWeekly": {
			"a whole week would be lost", []string{"schedule: 0 2 * * 0, duration: 1h" + berlin}, "2026-03-28T12:00:00Z",
			[]string{"2026-03-29T03:00:00+02:00 1h0m0s", "2026-04-05T02:00:00+02:00 1h0m0s"},
		},
		"BerlinAfterSpring": {
			"the clock has changed", []string{"schedule: 0 3 * * *, duration: 1h" + berlin}, "2026-03-28T12:00:00Z",
			[]string{"2026-03-29T03:00:00+02:00 1h0m0s", "2026-03-30T03:00:00+02:00 1h0m0s"},
		},
		"BerlinOpenOverAutumn": {
			"three hours are three hours, though the clock shows 4:00 at their end", []string{"schedule: 0 2 * * *, duration: 3h" + berlin}, "2026-10-24T12:00:00Z",
			[]string{"2026-10-25T02:00:00+02:00 3h0m0s", "2026-10-26T02:00:00+01:00 3h0m0s"},
		},
		"BerlinAutumnTwice": {
			"2:30 comes twice and is due the first time", []string{"schedule: 30 2 * * *, duration: 15m" + berlin}, "2026-10-24T12:00:00Z",
			[]string{"2026-10-25T02:30:00+02:00 15m0s", "2026-10-26T02:30:00+01:00 15m0s"},
		},
		"BerlinAfterAutumn": {
			"3:00 comes once", []string{"schedule: 0 3 * * *, duration: 1h" + berlin}, "2026-10-24T12:00:00Z",
			[]string{"2026-10-25T03:00:00+01:00 1h0m0s", "2026-10-26T03:00:00+01:00 1h0m0s"},
		},
		"NewYorkOpensBeforeSpring": {
			"the change is at 2:00 there", []string{"schedule: 30 1 * * *, duration: 2h" + newYork}, "2026-03-07T12:00:00Z",
			[]string{"2026-03-08T01:30:00-05:00 2h0m0s", "2026-03-09T01:30:00-04:00 2h0m0s"},
		},
		"NewYorkSpringSkips": {
			"2:30 is leapt over and due at the leap", []string{"schedule: 30 2 * * *, duration: 1h" + newYork}, "2026-03-07T12:00:00Z",
			[]string{"2026-03-08T03:00:00-04:00 1h0m0s", "2026-03-09T02:30:00-04:00 1h0m0s"},
		},
		"NewYorkAutumnTwice": {
			"1:30 comes twice and is due the first time", []string{"schedule: 30 1 * * *, duration: 30m" + newYork}, "2026-10-31T12:00:00Z",
			[]string{"2026-11-01T01:30:00-04:00 30m0s", "2026-11-02T01:30:00-05:00 30m0s"},
		},
		"NewYorkOpenOverAutumn": {
			"from the first 1:30, not again from the second", []string{"schedule: 30 1 * * *, duration: 90m" + newYork}, "2026-10-31T12:00:00Z",
			[]string{"2026-11-01T01:30:00-04:00 1h30m0s", "2026-11-02T01:30:00-05:00 1h30m0s"},
		},
		"NewYorkAfterAutumn": {
			"2:00 comes once", []string{"schedule: 0 2 * * *, duration: 1h" + newYork}, "2026-10-31T12:00:00Z",
			[]string{"2026-11-01T02:00:00-05:00 1h0m0s", "2026-11-02T02:00:00-05:00 1h0m0s"},
		},
		"BerlinHourlyAutumn": {
			"2:30 comes twice and is due both times, or there would be an hour without", []string{"schedule: 30 * * * *, duration: 15m" + berlin}, "2026-10-24T23:00:00Z",
			[]string{
				"2026-10-25T01:30:00+02:00 15m0s", "2026-10-25T02:30:00+02:00 15m0s", "2026-10-25T02:30:00+01:00 15m0s", "2026-10-25T03:30:00+01:00 15m0s",
			},
		},
		"BerlinHourlyAtTheChange": {
			"2:00 comes twice, the second time as the clock is put back", []string{"schedule: 0 * * * *, duration: 15m" + berlin}, "2026-10-24T23:30:00Z",
			[]string{"2026-10-25T02:00:00+02:00 15m0s", "2026-10-25T02:00:00+01:00 15m0s", "2026-10-25T03:00:00+01:00 15m0s"},
		},
		"BerlinHourlySpring": {
			"what is leapt over is due at the leap, as for any other", []string{"schedule: 30 * * * *, duration: 15m" + berlin}, "2026-03-29T00:00:00Z",
			[]string{"2026-03-29T01:30:00+01:00 15m0s", "2026-03-29T03:00:00+02:00 15m0s", "2026-03-29T03:30:00+02:00 15m0s"},
		},
		"BerlinHourlySpringOnce": {
			"2:00 and 3:00 are one", []string{"schedule: 0 * * * *, duration: 15m" + berlin}, "2026-03-29T00:30:00Z",
			[]string{"2026-03-29T03:00:00+02:00 15m0s", "2026-03-29T04:00:00+02:00 15m0s"},
		},
		"BerlinNamedHoursAutumn": {
			"hours that are named are due the first time only", []string{"schedule: 30 1-3 * * *, duration: 15m" + berlin}, "2026-10-24T23:00:00Z",
			[]string{"2026-10-25T01:30:00+02:00 15m0s", "2026-10-25T02:30:00+02:00 15m0s", "2026-10-25T03:30:00+01:00 15m0s"},
		},
		"NewYorkHourlyAutumn": {
			"1:30 comes twice there", []string{"schedule: 30 * * * *, duration: 15m" + newYork}, "2026-11-01T05:00:00Z",
			[]string{"2026-11-01T01:30:00-04:00 15m0s", "2026-11-01T01:30:00-05:00 15m0s", "2026-11-01T02:30:00-05:00 15m0s"},
		},
		"NewYorkEveryOtherHourAutumn": {
			"2:00 comes once, and there is none at 1:00", []string{"schedule: 0 */2 * * *, duration: 15m" + newYork}, "2026-11-01T03:00:00Z",
			[]string{"2026-11-01T00:00:00-04:00 15m0s", "2026-11-01T02:00:00-05:00 15m0s", "2026-11-01T04:00:00-05:00 15m0s"},
		},
		"NewYorkHourlySpring": {
			"what is leapt over is due at the leap", []string{"schedule: 30 * * * *, duration: 15m" + newYork}, "2026-03-08T06:00:00Z",
			[]string{"2026-03-08T01:30:00-05:00 15m0s", "2026-03-08T03:00:00-04:00 15m0s", "2026-03-08T03:30:00-04:00 15m0s"},
		},
		"BerlinHourlyOnRareDays": {
			"changes of the clock before it do not count", []string{"schedule: 59 * L 2 *, duration: 1m" + berlin}, "2026-03-01T12:00:00Z",
			[]string{"2027-02-28T00:59:00+01:00 1m0s", "2027-02-28T01:59:00+01:00 1m0s"},
		},
		"MidnightSkipped": {
			"Cairo has no midnight on that Friday", []string{"schedule: 0 0 * * 5, duration: 1h, timeZone: Africa/Cairo"}, "2026-04-23T12:00:00Z",
			[]string{"2026-04-24T01:00:00+03:00 1h0m0s", "2026-05-01T00:00:00+03:00 1h0m0s"},
		},
		"DaySkipped": {
			"Samoa had no December 30th", []string{"schedule: 0 12 30 12 *, duration: 1h, timeZone: Pacific/Apia"}, "2011-12-29T12:00:00Z",
			[]string{"2011-12-31T00:00:00+14:00 1h0m0s", "2012-12-30T12:00:00+14:00 1h0m0s"},
		},
		"Touching": {
			"one ends as the other begins: there is no change between them",
			[]string{"schedule: 0 2 * * *, duration: 1h", "schedule: 0 3 * * *, duration: 1h"}, "2026-06-01T12:00:00Z",
			[]string{"2026-06-02T02:00:00Z 2h0m0s", "2026-06-03T02:00:00Z 2h0m0s"},
		},
		"Overlapping": {
			"the longest counts, in whichever zone",
			[]string{"schedule: 0 2 * * *, duration: 30m", "schedule: 0 3 * * *, duration: 3h" + berlin}, "2026-06-01T12:00:00Z",
			[]string{"2026-06-02T03:00:00+02:00 3h0m0s", "2026-06-03T03:00:00+02:00 3h0m0s"},
		},
		"OverlappingItself": {
			"it opens again while it is open", []string{"schedule: '*/20 2 * * *', duration: 30m"}, "2026-06-01T12:00:00Z",
			[]string{"2026-06-02T02:00:00Z 1h10m0s"},
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			e := enforcing(t, tc.windows...)
			now := at(t, tc.from)
			var got []string
			for range tc.want {
				opened := e.NextChange(now)
				closed := e.NextChange(opened)
				got = append(got, opened.Format(time.RFC3339)+" "+closed.Sub(opened).String())
				for _, moment := range []struct {
					at   time.Time
					open bool
				}{
					{now, false}, {opened.Add(-1), false}, {opened, true}, {opened.Add(1), true}, {closed.Add(-1), true}, {closed, false},
				} {
					if e.Open(moment.at) != moment.open {
						t.Errorf("%s: open = %v at %v", tc.reason, !moment.open, moment.at)
					}
				}
				now = closed
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("%s (-want +got):\n%s", tc.reason, diff)
			}
		})
	}
}

func TestWindowsForEver(t *testing.T) {
	now := at(t, "2026-11-27T12:00:00Z")
	always := enforcing(t, "schedule: 0 0 * * *, duration: 24h")
	if next := always.NextChange(now); !always.Open(now) || next.Sub(now) < 90*24*time.Hour {
		t.Errorf("a window without a gap: open = %v, changes %v", always.Open(now), next)
	}
	none := Enforcement{Files: ModeEnforce}
	if next := none.NextChange(now); !none.Open(now) || !next.IsZero() {
		t.Errorf("no windows: open = %v, changes %v", none.Open(now), next)
	}
	unread := Enforcement{Files: ModeEnforce, Windows: []Window{{Schedule: "* * * * *", Duration: Duration(time.Hour)}}}
	if next := unread.NextChange(now); unread.Open(now) || !next.IsZero() {
		t.Errorf("a window that nobody has read: open = %v, changes %v", unread.Open(now), next)
	}
	if got := (Policy{Spec: Spec{Enforcement: unread}}).FilesHeld(now); !strings.Contains(got, "none opens any more") {
		t.Errorf("a window that nobody has read: held: %q", got)
	}
}

// Windows of every hour that leave no gap on any other day leave none when the clock changes.
func TestWindowsThatJoin(t *testing.T) {
	changes := map[string][]string{
		"Europe/Berlin":    {"2026-03-29T01:00:00Z", "2026-10-25T01:00:00Z"},
		"America/New_York": {"2026-03-08T07:00:00Z", "2026-11-01T06:00:00Z"},
	}
	for _, window := range []string{
		"schedule: 0 * * * *, duration: 1h", "schedule: '*/5 * * * *', duration: 5m", "schedule: 45 * * * *, duration: 1h", "schedule: '? ? * * *', duration: 1m",
		"schedule: 0 */2 * * *, duration: 3h",
	} {
		for zone, instants := range changes {
			e := enforcing(t, window+", timeZone: "+zone)
			for _, instant := range instants {
				change := at(t, instant)
				for now := change.Add(-6 * time.Hour); now.Before(change.Add(6 * time.Hour)); now = now.Add(time.Minute) {
					if !e.Open(now) {
						t.Errorf("%s in %s: closed at %v", window, zone, now.In(e.Windows[0].opens.zone))
						break
					}
				}
			}
		}
	}
}

func TestHeldOutsideOfWindows(t *testing.T) {
	const window = "schedule: 0 2 * * *, duration: 3h, timeZone: Europe/Berlin"
	const closed = "outside of the maintenance windows of policy p, the next one opens at 2026-06-03T02:00:00+02:00"
	cases := map[string]struct {
		reason            string
		files, containers Mode
		now               string
		wantFiles         string
		wantContainers    string
	}{
		"Inside":      {"it may", ModeEnforce, ModeEnforce, "2026-06-02T00:00:00Z", "", ""},
		"Outside":     {"it may not yet", ModeEnforce, ModeEnforce, "2026-06-02T03:00:00Z", closed, closed},
		"Later":       {"a status that is looked at every minute stays the same", ModeEnforce, ModeEnforce, "2026-06-02T23:59:59Z", closed, closed},
		"AuditInside": {"a window allows nothing that the modes do not", ModeAudit, ModeEnforce, "2026-06-02T00:00:00Z", "policy p only audits files (enforcement.files)", ""},
		"AuditOutside": {
			"waiting for a window would be in vain", ModeEnforce, ModeAudit, "2026-06-02T03:00:00Z", closed, "policy p only audits containers (enforcement.containers)",
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			p := Policy{Metadata: Metadata{Name: "p"}, Spec: Spec{Enforcement: enforcing(t, window)}}
			p.Spec.Enforcement.Files, p.Spec.Enforcement.Containers = tc.files, tc.containers
			now := at(t, tc.now)
			if got := p.FilesHeld(now); got != tc.wantFiles {
				t.Errorf("%s: files: got %q, want %q", tc.reason, got, tc.wantFiles)
			}
			if got := p.ContainersHeld(now); got != tc.wantContainers {
				t.Errorf("%s: containers: got %q, want %q", tc.reason, got, tc.wantContainers)
			}
		})
	}
}

func TestNextChange(t *testing.T) {
	now := at(t, "2026-06-02T12:00:00Z")
	daily := Policy{Spec: Spec{Enforcement: enforcing(t, "schedule: 0 14 * * *, duration: 1h")}}
	nightly := Policy{Spec: Spec{Enforcement: enforcing(t, "schedule: 0 2 * * *, duration: 1h")}}
	open := Policy{Spec: Spec{Enforcement: enforcing(t, "schedule: 0 11 * * *, duration: 90m")}}
	audited := daily
	audited.Spec.Enforcement.Files, audited.Spec.Enforcement.Containers = ModeAudit, ModeAudit
	cases := map[string]struct {
		reason   string
		policies []Policy
		want     time.Time
	}{
		"None":    {"nothing changes by itself", nil, time.Time{}},
		"Always":  {"nothing changes by itself", []Policy{{Spec: Spec{Enforcement: Enforcement{Files: ModeEnforce}}}}, time.Time{}},
		"Opens":   {"the first one to open", []Policy{nightly, daily, {}}, at(t, "2026-06-02T14:00:00Z")},
		"Closes":  {"or to close", []Policy{daily, open, nightly}, at(t, "2026-06-02T12:30:00Z")},
		"Audited": {"whatever its windows say, it never acts", []Policy{audited, nightly}, at(t, "2026-06-03T02:00:00Z")},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			if got := NextChange(tc.policies, now); !got.Equal(tc.want) {
				t.Errorf("%s: got %v, want %v", tc.reason, got, tc.want)
			}
		})
	}
}

// wallClock is cron in its plainest form: it looks at a clock on the wall every minute, and what the clock has come to show since,
// for the first time unless it is for every hour, is due.
type wallClock struct {
	minutes, hours, weekdays []int
	everyHour                bool
	latest                   time.Time // the latest that the clock has shown, written in UTC
}

func (w *wallClock) due(now time.Time) bool {
	shown := time.Date(now.Year(), now.Month(), now.Day(), now.Hour(), now.Minute(), 0, 0, time.UTC)
	if w.latest.IsZero() || w.everyHour && shown.Before(w.latest) {
		w.latest = shown.Add(-time.Minute)
	}
	due := false
	for w.latest.Before(shown) {
		w.latest = w.latest.Add(time.Minute)
		due = due || slices.Contains(w.minutes, w.latest.Minute()) && slices.Contains(w.hours, w.latest.Hour()) &&
			slices.Contains(w.weekdays, int(w.latest.Weekday()))
	}
	return due
}

func list(values []int) string {
	return strings.Trim(strings.ReplaceAll(fmt.Sprint(values), " ", ","), "[]")
}

// Whatever the zone and the season, a window is open when the plainest cron says so, and changes when it says it does.
func TestWindowsAgainstAWallClock(t *testing.T) {
	changes := map[string][]string{
		"Europe/Berlin":       {"2026-03-29T01:00:00Z", "2026-10-25T01:00:00Z"},
		"America/New_York":    {"2026-03-08T07:00:00Z", "2026-11-01T06:00:00Z"},
		"Africa/Cairo":        {"2026-04-23T22:00:00Z", "2026-10-29T21:00:00Z"},
		"Australia/Lord_Howe": {"2026-04-04T15:00:00Z", "2026-10-03T15:30:00Z"},
		"Asia/Kathmandu":      {"2026-06-01T00:00:00Z"},
		"Pacific/Apia":        {"2011-12-30T10:00:00Z"},
	}
	zones := slices.Sorted(maps.Keys(changes))
	rapid.Check(t, func(r *rapid.T) {
		zone := rapid.SampledFrom(zones).Draw(r, "zone")
		location, err := time.LoadLocation(zone)
		if err != nil {
			t.Fatal(err)
		}
		draw := func(least, most, count int, name string) []int {
			return slices.Sorted(slices.Values(rapid.SliceOfNDistinct(rapid.IntRange(least, most), 1, count, rapid.ID[int]).Draw(r, name)))
		}
		clock := wallClock{minutes: draw(0, 59, 3, "minutes"), hours: draw(0, 4, 3, "hours"), weekdays: draw(0, 6, 7, "weekdays")}
		hours := list(clock.hours)
		if step := rapid.IntRange(0, 5).Draw(r, "every so many hours"); step > 0 {
			clock.everyHour, clock.hours, hours = true, nil, fmt.Sprintf("*/%d", step)
			for hour := 0; hour < 24; hour += step {
				clock.hours = append(clock.hours, hour)
			}
		}
		length := time.Duration(rapid.IntRange(1, 40*60).Draw(r, "length")) * time.Minute
		e := enforcing(t, fmt.Sprintf("schedule: '%s %s * * %s', duration: %s, timeZone: %s",
			list(clock.minutes), hours, list(clock.weekdays), length, zone))
		change := at(t, rapid.SampledFrom(changes[zone]).Draw(r, "change"))
		start := change.Add(-24 * time.Hour)
		var until, asked, next time.Time // when what has opened closes, and when that is said to change, by what was asked when
		was := false
		for minute := start.Add(-length - time.Hour); minute.Before(change.Add(36 * time.Hour)); minute = minute.Add(time.Minute) {
			if clock.due(minute.In(location)) {
				until = minute.Add(length)
			}
			if minute.Before(start) {
				continue
			}
			open := minute.Before(until)
			if got := e.Open(minute); got != open {
				r.Fatalf("open = %v at %v, want %v", got, minute.In(location), open)
			}
			early := open && minute.Equal(next) && minute.Sub(asked) >= maxJoined*time.Minute // too many windows have joined to see the end of them
			if turned := open != was; minute.After(start) && turned != minute.Equal(next) && !early {
				r.Fatalf("changed = %v at %v, next was to be %v", turned, minute.In(location), next)
			}
			if minute.Equal(start) || minute.Equal(next) {
				asked, next = minute, e.NextChange(minute)
			}
			was = open
		}
	})
}

// What the schedule's reader lets through has an end, and opens after the instant asked about.
func FuzzWindow(f *testing.F) {
	f.Add("*/5 22-2 * * FRI#L", "Africa/Cairo", int64(1777000000))
	f.Add("0 2 L-3 2,JAN *", "Pacific/Apia", int64(1325196000))
	f.Add("59 23 31 */3 ?", "Australia/Lord_Howe", int64(1775314800))
	f.Fuzz(func(t *testing.T, schedule, zone string, seconds int64) {
		location, err := time.LoadLocation(zone)
		if err != nil || seconds < 0 || seconds > 1<<33 {
			t.Skip()
		}
		begin := time.Now()
		o, err := newOpens(schedule, location)
		if err == nil {
			now := time.Unix(seconds, 0)
			if next := o.after(now); !next.IsZero() && !next.After(now) {
				t.Errorf("%q in %s: %v is not after %v", schedule, zone, next, now)
			}
		}
		if took := time.Since(begin); took > 2*time.Second {
			t.Errorf("%q in %s: took %v", schedule, zone, took)
		}
	})
}
