package policy

import (
	"slices"
	"strings"
	"time"

	"github.com/netresearch/go-cron"
)

// Bounds of how long a window may be open.
const (
	shortestWindow = time.Minute
	longestWindow  = 7 * 24 * time.Hour
)

// maxJoined bounds how many windows that follow one another without a gap [Enforcement.NextChange] joins.
const maxJoined = 100

// opens is when a window opens: what a clock of the zone shows then.
type opens struct {
	schedule cron.Schedule
	zone     *time.Location
	// everyHour is set for * or */n as the hour: what a clock shows twice is then due both times.
	everyHour bool
}

// newOpens reads a cron schedule of five fields: minute, hour, day of the month, month and day of the week.
func newOpens(schedule string, zone *time.Location) (*opens, error) {
	parser, err := cron.TryNewParser(cron.Minute | cron.Hour | cron.Dom | cron.Month | cron.Dow | cron.DowNth | cron.DowLast | cron.DomL)
	if err != nil {
		return nil, err
	}
	parsed, err := parser.Parse(schedule)
	if err != nil {
		return nil, err
	}
	hour := strings.Fields(schedule)[1]
	return &opens{parsed, zone, hour[0] == '*' || hour[0] == '?'}, nil
}

// restrictsBothDays reports whether a schedule gives a day of the month and a day of the week. Some crons take it for days on which
// both hold, others for days on which either does.
func restrictsBothDays(schedule string) bool {
	fields := strings.Fields(schedule)
	every := []string{"*", "?"}
	return len(fields) == 5 && !slices.Contains(every, fields[2]) && !slices.Contains(every, fields[4])
}

// after is the first opening after an instant, in the window's zone; zero when there is none for years.
//
// The schedule is asked in UTC for times on a clock on the wall, and these are then found in the zone, so that the change between
// summer and winter is treated here alone: what the clock leaps over is due when it leaps, and what it shows twice is due the first
// time. With * or */n as the hour it is due the second time as well, as with cron(8), or a window of each hour would miss one.
func (o *opens) after(now time.Time) time.Time {
	if o.everyHour {
		return o.afterEvery(now)
	}
	for wall := onWall(now.In(o.zone)); ; {
		if wall = o.schedule.Next(wall); wall.IsZero() {
			return time.Time{}
		}
		if at := firstShown(wall, o.zone); at.After(now) {
			return at
		}
	}
}

// afterEvery is after for a schedule of every hour.
func (o *opens) afterEvery(now time.Time) time.Time {
	for {
		now = now.In(o.zone)
		wall := onWall(now)
		next := o.schedule.Next(wall)
		if next.IsZero() {
			return next
		}
		at := now.Add(next.Sub(wall))
		_, change := now.ZoneBounds()
		if change.IsZero() || at.Before(change) {
			return at
		}
		// The clock leaps or is put back before. Is anything due just then?
		changed := onWall(change)
		if next = o.schedule.Next(earlier(wall, changed.Add(-1))); !next.After(changed) {
			return change
		}
		now = change
	}
}

// onWall is what a clock shows at an instant, written in UTC.
func onWall(at time.Time) time.Time {
	return time.Date(at.Year(), at.Month(), at.Day(), at.Hour(), at.Minute(), at.Second(), at.Nanosecond(), time.UTC)
}

// firstShown is when a clock of the zone first shows wall, which is given in UTC, or a later time where it leaps over wall.
func firstShown(wall time.Time, zone *time.Location) time.Time {
	_, before := wall.Add(-24 * time.Hour).In(zone).Zone()
	at := wall.Add(-time.Duration(before) * time.Second).In(zone)
	_, offset := at.Zone()
	shown := wall.Add(-time.Duration(offset) * time.Second).In(zone)
	if _, same := shown.Zone(); same == offset {
		return shown
	}
	leap, _ := at.ZoneBounds()
	return leap
}

// closes is when the window closes that is open at an instant; now itself when it is not open.
func (w Window) closes(now time.Time) time.Time {
	if w.opens == nil {
		return now
	}
	opened := w.opens.after(now.Add(-time.Duration(w.Duration)))
	if opened.IsZero() || opened.After(now) {
		return now
	}
	return opened.Add(time.Duration(w.Duration))
}

// closes is when the last of the windows closes that are open at an instant; now itself when none is open.
func (e Enforcement) closes(now time.Time) time.Time {
	last := now
	for _, w := range e.Windows {
		if end := w.closes(now); end.After(last) {
			last = end
		}
	}
	return last
}

// Open reports whether the daemon may do at an instant what the modes allow: within a window, or always when there are none.
// A Window that [Parse] has not made is never open.
func (e Enforcement) Open(now time.Time) bool {
	return len(e.Windows) == 0 || e.closes(now).After(now)
}

// NextChange is when the answer of Open changes next, in the zone of a window that makes it change; zero when it never does. Of
// windows that follow one another without a gap for very long it is an instant before that.
func (e Enforcement) NextChange(now time.Time) time.Time {
	if len(e.Windows) == 0 {
		return time.Time{}
	}
	if !e.Open(now) {
		return e.opensNext(now)
	}
	end := now
	for range maxJoined {
		later := e.closes(end)
		if later.Equal(end) {
			break
		}
		end = later
	}
	return end
}

// opensNext is the first opening of any window after an instant; zero when there is none.
func (e Enforcement) opensNext(now time.Time) time.Time {
	var first time.Time
	for _, w := range e.Windows {
		if w.opens != nil {
			first = earlier(first, w.opens.after(now))
		}
	}
	return first
}

// NextChange is when one of the policies that enforce anything opens or closes next; zero when none ever does.
func NextChange(policies []Policy, now time.Time) time.Time {
	var first time.Time
	for _, p := range policies {
		if e := p.Spec.Enforcement; e.Files == ModeEnforce || e.Containers == ModeEnforce {
			first = earlier(first, e.NextChange(now))
		}
	}
	return first
}

// earlier is the earlier of two instants of which zero means never.
func earlier(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}
