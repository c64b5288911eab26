package policy

import (
	"cmp"
	"fmt"
	"strings"
	"time"
)

// windows checks maintenance windows, and notes in each when it opens.
func (v *validator) windows(path string, windows []Window) {
	if v.given(path) && len(windows) == 0 {
		v.problem(path, path+" is empty", "remove the line to let the policy act at any time")
	}
	for i := range windows {
		v.window(fmt.Sprintf("%s[%d]", path, i), &windows[i])
	}
}

func (v *validator) window(path string, w *Window) {
	v.required(path+".schedule", w.Schedule)
	if length := time.Duration(w.Duration); !v.given(path + ".duration") {
		v.problem(path+".duration", path+".duration is missing", "say how long the window is open, such as 3h")
	} else if length < shortestWindow || length > longestWindow {
		v.problem(path+".duration", fmt.Sprintf("%s.duration %s is out of range", path, w.Duration),
			fmt.Sprintf("use %s to %s; leave enforcement.windows out to act at any time", Duration(shortestWindow), Duration(longestWindow)))
	}
	zone, known := v.timeZone(path+".timeZone", w.TimeZone)
	if w.Schedule == "" || !known {
		return
	}
	path += ".schedule"
	if strings.Contains(w.Schedule, "=") { // TZ= and CRON_TZ= would be heeded, and the schedule then read in two zones
		v.problem(path, path+" is not minute, hour, day of the month, month and day of the week alone", "name the zone in timeZone")
		return
	}
	if restrictsBothDays(w.Schedule) {
		v.problem(path, path+" gives a day of the month and a day of the week, which crons understand differently",
			"give one of them and * for the other; the first Sunday is 0 2 * * 0#1, the last one 0 2 * * 0#L")
		return
	}
	opens, err := newOpens(w.Schedule, zone)
	switch {
	case err != nil:
		v.problem(path, fmt.Sprintf("%s is not a cron schedule: %v", path, err),
			"write minute, hour, day of the month, month and day of the week, such as 0 2 * * 6,0 for Saturday and Sunday at 2:00")
	case opens.after(time.Date(2000, time.January, 1, 0, 0, 0, 0, time.UTC)).IsZero():
		v.problem(path, path+" names a day that never comes", "look at the day of the month and the month")
	default:
		w.opens = opens
	}
}

func (v *validator) timeZone(path, name string) (zone *time.Location, known bool) {
	const hint = "use an IANA name such as Europe/Berlin; without the line it is UTC"
	if name == "" && v.given(path) || name == "Local" {
		v.problem(path, fmt.Sprintf("%s %q is not a time zone", path, name), hint)
		return nil, false
	}
	zone, err := time.LoadLocation(cmp.Or(name, defaultTimeZone))
	if err != nil {
		v.problem(path, fmt.Sprintf("%s %q is not known", path, name), hint)
		return nil, false
	}
	return zone, true
}
