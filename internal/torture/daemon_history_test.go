package torture

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/moby/moby/api/types/events"
)

// The outcomes of transactions, as composure history tells them.
const (
	committed        = "committed"
	leftover         = "committed, old containers left"
	recoveredUndone  = "rolled back after a crash"
	recoveredToEnd   = "committed after a crash"
	leftToAnother    = "cut off, left to a later transaction"
	rolledBack       = "rolled back"
	rollbackFailed   = "rollback failed"
	stillUnderWay    = "unfinished"
	labelReplaces    = "composure.replaces"
	labelTransaction = "composure.transaction"
	lockPrefix       = "composure-lock-"
)

// transaction is one of those that composure history lists.
type transaction struct {
	ID      string     `json:"id"`
	Began   time.Time  `json:"began"`
	Ended   *time.Time `json:"ended"`
	Outcome string     `json:"outcome"`
}

// done reports whether its change is in place.
func (t transaction) done() bool {
	return t.Outcome == committed || t.Outcome == leftover || t.Outcome == recoveredToEnd
}

// history is what is recorded of the project in these folders, the newest last.
func (p *project) history(states ...string) []transaction {
	p.t.Helper()
	var all []transaction
	for _, state := range states {
		got := p.run(p.made.composure, "history", "-p", p.name, "--state-dir", state, "-o", "json")
		var told struct {
			Projects []struct {
				Transactions []transaction `json:"transactions"`
			} `json:"projects"`
		}
		if err := json.Unmarshal([]byte(got.stdout), &told); err != nil || got.code != 0 {
			p.t.Fatalf("composure history: %v: %s", err, got)
		}
		for _, project := range told.Projects {
			all = append(all, project.Transactions...)
		}
	}
	slices.SortFunc(all, func(a, b transaction) int { return a.Began.Compare(b.Began) })
	return all
}

// overlaps names the transactions that have begun before the one before them had ended, and those that have not ended. One that was cut
// off ends when it was put in order, unless it is told when its process died.
func overlaps(all []transaction, died map[string]time.Time) []string {
	var problems []string
	for i, each := range all {
		ended := each.Ended
		if at, cut := died[each.ID]; cut {
			ended = &at
		}
		switch {
		case ended == nil:
			problems = append(problems, fmt.Sprintf("transaction %s has not ended: %s", each.ID, each.Outcome))
		case i+1 < len(all) && all[i+1].Began.Before(*ended):
			problems = append(problems, fmt.Sprintf("transaction %s began at %s, before %s had ended, at %s", all[i+1].ID, all[i+1].Began, each.ID, ended))
		}
	}
	return problems
}

// wantOneAtATime wants no two transactions at once.
func (p *project) wantOneAtATime(all []transaction, died map[string]time.Time) {
	p.t.Helper()
	if problems := overlaps(all, died); len(problems) > 0 {
		p.t.Errorf("two transactions at once:\n  %s", strings.Join(problems, "\n  "))
	}
}

// outcomes counts how transactions ended.
func outcomes(all []transaction) map[string]int {
	counts := map[string]int{}
	for _, each := range all {
		counts[each.Outcome]++
	}
	return counts
}

// inWords is one count after the other, by name.
func inWords(counts map[string]int) string {
	var words []string
	for _, name := range slices.Sorted(maps.Keys(counts)) {
		words = append(words, fmt.Sprintf("%d %s", counts[name], name))
	}
	return strings.Join(words, "; ")
}

// witness follows the engine's events of one project: who is at work on it. Only one may be at a time, and only with its lock.
type witness struct {
	of string // the project's name

	mu      sync.Mutex
	held    map[string]string // the transactions of the locks that there are, by the lock's id
	locks   int               // that there were
	most    int               // at a time
	without []string          // replacements that were made without the lock
}

// newWitness looks until the test ends.
func newWitness(p *project) *witness {
	p.t.Helper()
	w := &witness{of: p.name, held: map[string]string{}}
	heard, stop := newListener(p.t, p.made.engine)
	p.t.Cleanup(stop)
	go func() {
		for {
			select {
			case e, more := <-heard:
				if !more {
					return
				}
				w.event(e)
			case <-p.t.Context().Done():
				return
			}
		}
	}()
	return w
}

func (w *witness) event(e events.Message) {
	told := e.Actor.Attributes
	w.mu.Lock()
	defer w.mu.Unlock()
	switch isLock := told["name"] == lockPrefix+w.of; {
	case isLock && e.Action == events.ActionCreate:
		w.held[e.Actor.ID] = told[labelTransaction]
		w.locks++
		w.most = max(w.most, len(w.held))
	case isLock && e.Action == events.ActionDestroy:
		delete(w.held, e.Actor.ID)
	case told[labelProject] == w.of && told[labelReplaces] != "" && e.Action == events.ActionCreate:
		if !slices.Contains(slices.Collect(maps.Values(w.held)), told[labelTransaction]) {
			w.without = append(w.without, fmt.Sprintf("%.12s %s of transaction %s, locked by %v", e.Actor.ID, told["name"], told[labelTransaction], w.held))
		}
	}
}

// problems are more than one lock at a time, one that is left, and what was made without it.
func (w *witness) problems() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	problems := slices.Clone(w.without)
	if w.most > 1 {
		problems = append(problems, fmt.Sprintf("%d locks at a time", w.most))
	}
	if len(w.held) > 0 {
		problems = append(problems, fmt.Sprintf("locks are left: %v", w.held))
	}
	return problems
}

// wantExclusive wants all that was done to have been done under the lock, of which there was one at a time and is none now. The engine
// tells of a removal a moment after it has answered for it.
func (w *witness) wantExclusive(p *project) {
	p.t.Helper()
	eventually(p.t, "no lock", func() bool { w.mu.Lock(); defer w.mu.Unlock(); return len(w.held) == 0 })
	if problems := w.problems(); len(problems) > 0 {
		p.t.Errorf("not one at a time:\n  %s", strings.Join(problems, "\n  "))
	}
}

// eventually waits until something holds that nobody tells of.
func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(converges); !holds(); {
		if time.Now().After(deadline) {
			t.Fatalf("%s was waited for %s", what, converges)
		}
		<-time.After(50 * time.Millisecond)
	}
}

// What is looked for would be found.
func TestOneAtATime(t *testing.T) {
	at := func(second int) time.Time { return time.Date(2026, 1, 2, 3, 4, second, 0, time.UTC) }
	made := func(id string, began, ended int) transaction {
		return transaction{ID: id, Began: at(began), Ended: new(at(ended)), Outcome: committed}
	}
	tests := map[string]struct {
		reason string
		all    []transaction
		died   map[string]time.Time
		want   int
	}{
		"one after the other": {"as it should be", []transaction{made("a", 1, 2), made("b", 3, 4)}, nil, 0},
		"at once":             {"b began before a had ended", []transaction{made("a", 1, 3), made("b", 2, 4)}, nil, 1},
		"open":                {"nobody has ended it", []transaction{{ID: "a", Began: at(1), Outcome: stillUnderWay}}, nil, 1},
		"cut off":             {"it was put in order later, and did nothing from its process's death on", []transaction{made("a", 1, 9), made("b", 3, 4)}, map[string]time.Time{"a": at(2)}, 0},
		"cut off too late":    {"its process lived on", []transaction{made("a", 1, 9), made("b", 3, 4)}, map[string]time.Time{"a": at(5)}, 1},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			if got := overlaps(tc.all, tc.died); len(got) != tc.want {
				t.Errorf("%s: %v, want %d", tc.reason, got, tc.want)
			}
		})
	}
}

// What is looked for would be found.
func TestWitness(t *testing.T) {
	event := func(action events.Action, id, name, transaction, replaces string) events.Message {
		return events.Message{Action: action, Actor: events.Actor{ID: id, Attributes: map[string]string{
			"name": name, labelProject: "shop", labelTransaction: transaction, labelReplaces: replaces,
		}}}
	}
	lock, unlock := event(events.ActionCreate, "l1", lockPrefix+"shop", "t1", ""), event(events.ActionDestroy, "l1", lockPrefix+"shop", "t1", "")
	tests := map[string]struct {
		reason string
		events []events.Message
		want   int
	}{
		"locked":   {"as it should be", []events.Message{lock, event(events.ActionCreate, "c1", "web", "t1", "c0"), unlock}, 0},
		"unlocked": {"the lock is gone when it is made", []events.Message{lock, unlock, event(events.ActionCreate, "c1", "web", "t1", "c0")}, 1},
		"another":  {"the lock is another one's", []events.Message{lock, event(events.ActionCreate, "c1", "web", "t2", "c0"), unlock}, 1},
		"two":      {"two at once, and one is left", []events.Message{lock, event(events.ActionCreate, "l2", lockPrefix+"shop", "t2", ""), unlock}, 2},
		"stranger": {"the lock of another project is none", []events.Message{event(events.ActionCreate, "l3", lockPrefix+"blog", "t3", "")}, 0},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			w := &witness{of: "shop", held: map[string]string{}}
			for _, e := range tc.events {
				w.event(e)
			}
			if got := w.problems(); len(got) != tc.want {
				t.Errorf("%s: %v, want %d", tc.reason, got, tc.want)
			}
		})
	}
}
