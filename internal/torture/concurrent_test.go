package torture

import (
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// Whoever else is at the project in the middle of an apply: it says clearly how it ended, nothing is lost that can be kept, and once
// docker compose up -d and an apply have been run alone, everything is as declared.
func TestDisturbed(t *testing.T) {
	tests := map[string]struct {
		reason string
		do     func(k *killed) result
		at     []phase // the first is tried always, the others in full
		codes  []int   // how the apply may end; 2 means that it has changed nothing
	}{
		"apply": {
			"a second Composure waits for nobody: it says who is at it, or finds nothing left to do",
			(*killed).apply, []phase{stopping, locked, patched, waiting, checking, committing, unlocking}, []int{0},
		},
		"up": {
			"docker compose removes what it takes for obsolete, and makes again what it finds changed",
			(*killed).upping, []phase{checking, locked, patched, proving, stopping, waiting, renaming, committing}, []int{0, 1, 2, 3, 4},
		},
		"down": {
			"docker compose removes whatever bears the project's labels",
			(*killed).downing, []phase{checking, locked, patched, proving, stopping, waiting, renaming, committing}, []int{0, 1, 2, 3, 4},
		},
		"rm": {
			"somebody removes by hand what is being replaced, or its replacement",
			(*killed).removing, []phase{waiting, locked, proving, stopping, renaming, checking}, []int{0, 1, 2, 3, 4},
		},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			k := newKilled(t, newProject(t, name, composeOf(t, ""), "kill"))
			for _, at := range sampled(tc.at, 1) {
				t.Run(string(at), func(t *testing.T) {
					k.t = t
					before, value := k.files(), k.demand()
					var other result
					got := k.follow(func(w *watch, _ *exec.Cmd, ended <-chan struct{}) {
						w.until(at, 1, ended)
						other = tc.do(k)
					})
					t.Logf("apply: exit %d, %s: exit %d", got.code, name, other.code)
					k.wantClear(got.result, tc.codes, before)
					if name == "apply" {
						k.wantTold(other)
					}
					k.wantMended(value)
					if t.Failed() {
						t.Logf("%s: the apply said:\n%s\nthe other said:\n%s", tc.reason, got.result, other)
					}
				})
				if k.t = t; t.Failed() {
					return
				}
			}
		})
	}
}

// Of two applies that begin at once one does it.
func TestTwoApplies(t *testing.T) {
	t.Parallel()
	k := newKilled(t, newProject(t, "two", composeOf(t, ""), "kill"))
	for range sampled([]int{1, 2, 3, 4, 5}, 2) {
		value, first := k.demand(), make(chan result, 1)
		go func() { first <- k.apply() }()
		a, b := k.apply(), <-first
		if a.code != 0 && b.code != 0 {
			t.Errorf("neither has done it:\n%s\n%s", a, b)
		}
		k.wantTold(a)
		k.wantTold(b)
		k.wantSettled(value)
	}
	k.wantUpToDate()
}

// upping is a person's own up -d.
func (k *killed) upping() result { return k.run(k.compose, "up", "-d", "--timeout", "2") }

func (k *killed) downing() result { return k.run(k.compose, "down", "--timeout", "2") }

// removing removes the container that serves web just now, whichever that is.
func (k *killed) removing() result {
	for instance, id := range k.ids() {
		if strings.HasPrefix(instance, "web-") {
			return k.run("docker", "rm", "-f", id)
		}
	}
	return k.run("docker", "rm", "-f", k.name+"-web-1")
}

func (k *killed) files() [2]string {
	return [2]string{k.read("compose.yaml"), k.read("compose.override.yaml")}
}

// wantTold wants an apply that did it, found nothing to do, or says who keeps it from that: as an error, or, when it found the other
// one already at work, as what holds its plan up.
func (k *killed) wantTold(got result) {
	k.t.Helper()
	told := got.stdout + got.stderr
	said := strings.Contains(told, "is locked by transaction") || strings.Contains(told, "changed since the plan was made")
	if got.code != 0 && (got.code > 2 || !said) {
		k.t.Errorf("the other apply does not say that it is not alone: %s", got)
	}
}

// wantClear wants an exit code that is allowed, words to go with it, and files that are all as before or all as planned, as the
// exit code says.
func (k *killed) wantClear(got result, codes []int, before [2]string) {
	k.t.Helper()
	told := got.stdout + got.stderr
	if !slices.Contains(codes, got.code) || strings.Contains(told, "internal error") {
		k.t.Errorf("exit %d, want one of %v", got.code, codes)
	}
	now := k.files()
	if (now[0] == before[0]) != (now[1] == before[1]) {
		k.t.Error("one file is as before and the other is not")
	}
	if changed := now != before; got.code == 0 && !changed || (got.code == 2 || got.code == 3) && changed {
		k.t.Errorf("exit %d, and the files changed: %v", got.code, changed)
	}
	words := map[int]string{1: "", 2: "composure: ", 3: "Rolled back", 4: "person"}
	if want := words[got.code]; !strings.Contains(told, want) {
		k.t.Errorf("exit %d without the word %q", got.code, want)
	}
	if strings.Contains(told, "would differ") {
		k.t.Error("what was to be put back was not taken for what it is")
	}
	running := map[string]bool{}
	for instance := range k.ids() {
		service, _, _ := strings.Cut(instance, "-")
		if running[service] {
			k.t.Errorf("service %s runs twice:\n%s", service, k.census())
		}
		running[service] = true
	}
}

// wantMended lets compose and composure put in order, each alone, what is not, and wants the value then.
func (k *killed) wantMended(value string) {
	k.t.Helper()
	// What docker compose has taken down with its network cannot be put back before it is up again, and that is then told.
	next := k.apply()
	if next.code != 0 && next.code != 1 && next.code != 4 || strings.Contains(next.stdout, "would differ") {
		k.t.Errorf("the next apply, alone: %s\n%s", next, k.census())
	}
	k.up()
	if got := k.apply(); got.code != 0 {
		k.t.Errorf("the apply after docker compose up: %s\n%s", got, k.census())
	}
	k.wantSettled(value)
	k.wantUpToDate()
}
