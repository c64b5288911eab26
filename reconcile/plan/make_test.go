package plan

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/composure-dev/composure/policy"
)

//go:fix inline
func env(entries ...string) map[string]*string {
	m := map[string]*string{}
	for _, entry := range entries {
		key, value, found := strings.Cut(entry, "=")
		m[key] = nil
		if found {
			m[key] = &value
		}
	}
	return m
}

func container(service string, change func(*Container)) Container {
	c := Container{
		Service: service, ID: "id-" + service, Name: "shop-" + service + "-1",
		OldEnv: env("A=1"), NewEnv: []string{"SYNC=true", "A=1"}, OldHash: "old", NewHash: "new",
	}
	if change != nil {
		change(&c)
	}
	return c
}

func stale(service string) policy.Finding {
	return policy.Finding{
		Policy: "sync", Service: service, Variable: "SYNC", Layer: policy.LayerContainer,
		Verdict: policy.ContainerStale, Container: "id-" + service,
	}
}

func missing(service string) policy.Finding {
	return policy.Finding{
		Policy: "sync", Service: service, Variable: "SYNC", Layer: policy.LayerEnvironment, Verdict: policy.FileMissing,
		Origin: &policy.Origin{File: "/srv/compose.yaml", Line: 3},
		Fix:    &policy.Fix{File: "/srv/compose.yaml", Service: service, Key: "SYNC", Text: "true"},
	}
}

func compliant(service string) policy.Finding {
	f := stale(service)
	f.Verdict = policy.Compliant
	return f
}

func sync(change func(*policy.Spec)) policy.Policy {
	p := policy.Policy{Metadata: policy.Metadata{Name: "sync"}}
	p.Spec.Rollout = policy.Rollout{Strategy: policy.StrategyStopFirst}
	p.Spec.Verify = []policy.Check{{Healthy: true}, {Redis: &policy.RedisCheck{Service: "beat", Channel: "c", Subscribers: 1}}}
	if change != nil {
		change(&p.Spec)
	}
	return p
}

func input(change func(*Input)) Input {
	in := Input{
		Project: "shop", Directory: "/srv", Policies: []policy.Policy{sync(nil)},
		Findings:   []policy.Finding{missing("app"), missing("beat"), stale("app"), stale("beat")},
		Patches:    []Patch{{File: "/srv/compose.yaml", Keys: []string{"app.SYNC", "beat.SYNC"}}},
		Diff:       func(name string, _ Patch) string { return "diff of " + name },
		Containers: []Container{container("beat", nil), container("app", nil)},
		Running:    []string{"app", "beat"},
	}
	if change != nil {
		change(&in)
	}
	for i := range in.Containers {
		c := &in.Containers[i]
		c.Touched = c.OldHash != c.NewHash && slices.ContainsFunc(in.Findings, func(f policy.Finding) bool {
			return f.Service == c.Service && f.Fix != nil
		})
	}
	return in
}

// text is a plan as one line a step: what a reader of a failing test wants to see.
func text(p Plan) string {
	var b strings.Builder
	for _, s := range p.Steps {
		fmt.Fprintf(&b, "%s %s <- %v", s.Verb, s.Object, s.Requires)
		if s.Swap != nil {
			for _, c := range s.Swap.Changes {
				fmt.Fprintf(&b, " %s%s", c.Sign, c.Key)
			}
		}
		b.WriteString("\n")
	}
	for _, h := range p.Held {
		fmt.Fprintf(&b, "held %s: %s | %s\n", h.Object, h.Reason, h.Next)
	}
	return b.String()
}

func TestMake(t *testing.T) {
	tests := map[string]struct {
		reason string
		in     Input
		want   string
	}{
		"PatchThenSwapThenCheck": {
			"files first, containers in name order, checks last and after every swap",
			input(nil),
			`patch compose.yaml <- []
swap app (shop-app-1) <- [patch:compose.yaml] +SYNC
swap beat (shop-beat-1) <- [patch:compose.yaml] +SYNC
check healthy <- [swap:shop-app-1 swap:shop-beat-1]
check redis from beat: at least 1 subscriber on c <- [swap:shop-app-1 swap:shop-beat-1]
`,
		},
		"RolloutOrder": {
			"the policy's order wins over names",
			input(func(in *Input) {
				in.Policies = []policy.Policy{sync(func(s *policy.Spec) { s.Rollout.Order = []string{"beat"}; s.Verify = nil })}
			}),
			`patch compose.yaml <- []
swap beat (shop-beat-1) <- [patch:compose.yaml] +SYNC
swap app (shop-app-1) <- [patch:compose.yaml] +SYNC
`,
		},
		"NothingToDo": {
			"a compliant project has an empty plan",
			input(func(in *Input) {
				in.Findings, in.Patches = []policy.Finding{compliant("app"), compliant("beat")}, nil
			}),
			"",
		},
		"FilesRightContainerOld": {
			"an edited file and a restart: swap without a patch",
			input(func(in *Input) {
				in.Findings, in.Patches = []policy.Finding{stale("beat"), compliant("app")}, nil
			}),
			`swap beat (shop-beat-1) <- [] +SYNC
check healthy <- [swap:shop-beat-1]
check redis from beat: at least 1 subscriber on c <- [swap:shop-beat-1]
`,
		},
		"PatchThatChangesNothingInTheContainer": {
			"the file only repeats what env_file gives: same hash, same environment, no swap and nothing to verify",
			input(func(in *Input) {
				in.Findings = []policy.Finding{missing("app"), compliant("app")}
				in.Containers = []Container{container("app", func(c *Container) { c.NewHash, c.NewEnv = "old", []string{"A=1"} })}
			}),
			"patch compose.yaml <- []\n",
		},
		"PatchThatChangesOnlyTheHash": {
			"the next up would recreate it, so it is swapped now",
			input(func(in *Input) {
				in.Findings = []policy.Finding{missing("app"), compliant("app")}
				in.Containers = []Container{container("app", func(c *Container) { c.NewEnv = []string{"A=1"} })}
				in.Policies = []policy.Policy{sync(func(s *policy.Spec) { s.Verify = nil })}
			}),
			"patch compose.yaml <- []\nswap app (shop-app-1) <- [patch:compose.yaml]\n",
		},
		"HeldContainerHoldsItsPartners": {
			"one policy is not half applied: the other service waits, and nothing is verified",
			input(func(in *Input) {
				in.Containers[0].Held, in.Containers[0].Next = "it is paused", "docker compose unpause beat"
			}),
			`patch compose.yaml <- []
held app: waits for beat, which the same policy selects and which is held | docker compose up -d app beat
held beat: it is paused | docker compose unpause beat
`,
		},
		"StrategyNever": {
			"files only",
			input(func(in *Input) {
				in.Policies = []policy.Policy{sync(func(s *policy.Spec) { s.Rollout.Strategy = policy.StrategyNever })}
			}),
			`patch compose.yaml <- []
held app: the policy's rollout strategy is Never | docker compose up -d app
held beat: the policy's rollout strategy is Never | docker compose up -d beat
`,
		},
		"PatchOfAFileThatTheProjectDoesNotLoad": {
			"it changes nothing for the running project, however much else differs there",
			func() Input {
				in := input(func(in *Input) { in.Findings = []policy.Finding{missing("app"), compliant("app")} })
				in.Containers[1].Touched = false
				return in
			}(),
			"patch compose.yaml <- []\n",
		},
		"NeverElsewhere": {
			"the strategy of another service's policy has no say",
			input(func(in *Input) {
				other := sync(func(s *policy.Spec) { s.Rollout.Strategy = policy.StrategyNever })
				other.Metadata.Name = "other"
				db := compliant("db")
				db.Policy = "other"
				in.Policies = []policy.Policy{other, sync(func(s *policy.Spec) { s.Verify = nil })}
				in.Findings, in.Patches = []policy.Finding{stale("app"), db}, nil
			}),
			"swap app (shop-app-1) <- [] +SYNC\n",
		},
		"CheckThatCannotRun": {
			"a policy that complies still has checks to pass after the swap, and one of them is not supported",
			input(func(in *Input) {
				other := sync(func(s *policy.Spec) { s.Verify = []policy.Check{{Exec: &policy.ExecCheck{Service: "app"}}} })
				other.Metadata.Name = "other"
				fine := compliant("app")
				fine.Policy, fine.Variable = "other", "A"
				in.Policies = []policy.Policy{other, sync(nil)}
				in.Findings, in.Patches = []policy.Finding{stale("app"), fine}, nil
			}),
			"held app: verify exec is not supported yet | docker compose up -d app\n",
		},
		"HeldVariableHoldsTheSwapsOfItsPolicy": {
			"the policy cannot come to hold, and its checks would undo everything",
			input(func(in *Input) {
				f := missing("beat")
				f.Variable, f.Fix, f.Held, f.Hint = "CHANNEL", nil, "the shell sets it", "unset it"
				in.Findings, in.Patches = []policy.Finding{stale("app"), f}, nil
			}),
			`held app: policy sync cannot hold while beat.CHANNEL is held | mend that first
held beat.CHANNEL (compose.yaml:3): the shell sets it | unset it
`,
		},
		"CheckOfAServiceThatDoesNotRun": {
			"a slip in the policy must not cost an outage and a rollback",
			input(func(in *Input) {
				in.Policies[0].Spec.Verify = []policy.Check{{Log: &policy.LogCheck{Service: "bat", Pattern: "x"}}}
				in.Policies[0].Origin = policy.Origin{File: "p.yaml", Line: 1}
				in.Findings, in.Patches = []policy.Finding{stale("app")}, nil
			}),
			`held app: the check "log of bat: a line matching \"x\"" of policy sync cannot pass: service bat has no running container | correct the policy at p.yaml:1
`,
		},
		"CheckOfAVariableThatWillNotBeThere": {
			"$(CHANNEL) is in no file",
			input(func(in *Input) {
				in.Policies[0].Spec.Verify = []policy.Check{{Redis: &policy.RedisCheck{Service: "app", URL: "redis://r", Channel: "$(CHANNEL)"}}}
				in.Policies[0].Origin = policy.Origin{File: "p.yaml", Line: 1}
				in.Findings, in.Patches = []policy.Finding{stale("app")}, nil
			}),
			`held app: the check "redis from app: at least 0 subscribers on $(CHANNEL)" of policy sync cannot pass: expand $(CHANNEL): the container does not set it | correct the policy at p.yaml:1
`,
		},
		"HeldFinding": {
			"what cannot be mended is said with its place, and its container is left alone",
			input(func(in *Input) {
				f := missing("app")
				f.Fix, f.Held, f.Hint = nil, "extends is not supported yet", "add it by hand"
				in.Findings, in.Patches = []policy.Finding{f}, nil
			}),
			"held app.SYNC (compose.yaml:3): extends is not supported yet | add it by hand\n",
		},
		"Blocked": {
			"an unfinished transaction holds the whole project",
			input(func(in *Input) {
				in.Blocked = []Hold{{Object: "container x", Reason: "left over", Next: "docker rm x"}}
			}),
			"held container x: left over | docker rm x\n",
		},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(tc.want, text(Make(tc.in))); diff != "" {
				t.Errorf("%s (-want +got):\n%s", tc.reason, diff)
			}
		})
	}
}

// The pure core of the daemon's windows: by the instant alone the same input is a swap or a hold.
func TestMakeInAndOutOfAWindow(t *testing.T) {
	policies, err := policy.Parse("p.yaml", []byte(`apiVersion: composure/v1alpha1
kind: EnvironmentPolicy
metadata: {name: sync}
spec:
  enforcement: {containers: Enforce, windows: [{schedule: 0 2 * * *, duration: 3h}]}
  variables: [{name: SYNC, present: true}]
`))
	if err != nil {
		t.Fatal(err)
	}
	const swap = "swap app (shop-app-1) <- [] +SYNC\n"
	const hold = "held app: outside of the maintenance windows of policy sync, the next one opens at 2026-06-02T02:00:00Z | composure apply\n"
	night := time.Date(2026, 6, 2, 2, 0, 0, 0, time.UTC)
	cases := map[string]struct {
		reason   string
		now      time.Time
		attended bool
		other    bool // a policy on the same service that only audits
		want     string
	}{
		"Before":   {"not yet", night.Add(-time.Second), false, false, hold},
		"Hours":    {"the text stays the same", night.Add(-5 * time.Hour), false, false, hold},
		"Opened":   {"the first instant counts", night, false, false, swap},
		"Last":     {"so does the last second", night.Add(3*time.Hour - time.Second), false, false, swap},
		"Attended": {"a person was asked", night.Add(-time.Hour), true, false, swap},
		"Another":  {"the most cautious policy counts", night, false, true, "held app: policy other only audits containers (enforcement.containers) | composure apply\n"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			in := input(func(in *Input) {
				in.Policies = slices.Clone(policies)
				in.Findings, in.Patches = []policy.Finding{stale("app")}, nil
				in.Unattended, in.Now = !tc.attended, tc.now
				if tc.other {
					f := compliant("app")
					f.Policy = "other"
					in.Findings = append(in.Findings, f)
					in.Policies = append(in.Policies, policy.Policy{Metadata: policy.Metadata{Name: "other"}})
				}
			})
			if diff := cmp.Diff(tc.want, text(Make(in))); diff != "" {
				t.Errorf("%s (-want +got):\n%s", tc.reason, diff)
			}
		})
	}
}

func TestSwapTakesTheWholeEnvironmentOfTheFiles(t *testing.T) {
	in := input(func(in *Input) {
		in.Containers = []Container{container("app", func(c *Container) {
			c.OldEnv = env("A=1", "GONE=x", "DB_PASSWORD=old", "BARE")
			c.NewEnv = []string{"A=2", "SYNC=true", "DB_PASSWORD=new", "BARE"}
		})}
	})
	got := Make(in).Of(VerbSwap)[0].Swap
	want := []Change{
		{Sign: SignChange, Key: "A", Old: new("1"), New: new("2"), Cause: notByPolicy},
		{Sign: SignChange, Key: "DB_PASSWORD", Old: new("old"), New: new("new"), Cause: notByPolicy, Sensitive: true},
		{Sign: SignRemove, Key: "GONE", Old: new("x"), Cause: notByPolicy},
		{
			Sign: SignAdd, Key: "SYNC", New: new("true"), Policy: "sync", Cause: "policy sync: FileMissing",
			Origin: &policy.Origin{File: "/srv/compose.yaml", Line: 3},
		},
	}
	if diff := cmp.Diff(want, got.Changes); diff != "" {
		t.Errorf("a swap must say every change it brings along (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"A=2", "BARE", "DB_PASSWORD=new", "SYNC=true"}, got.Env); diff != "" {
		t.Errorf("environment (-want +got):\n%s", diff)
	}
	printed, err := json.Marshal(Make(in))
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(printed), "new") && strings.Contains(string(printed), "DB_PASSWORD=new") {
		t.Error("a printed plan holds a secret")
	}
}

func TestMakeDoesNotDependOnOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		in := randomInput(t)
		want, err := json.Marshal(Make(in))
		if err != nil {
			t.Fatal(err)
		}
		in.Findings = rapid.Permutation(in.Findings).Draw(t, "findings")
		in.Containers = rapid.Permutation(in.Containers).Draw(t, "containers")
		in.Patches = rapid.Permutation(in.Patches).Draw(t, "patches")
		got, err := json.Marshal(Make(in))
		if err != nil {
			t.Fatal(err)
		}
		if string(want) != string(got) {
			t.Fatalf("the plan depends on the order of its input:\n%s\n%s", want, got)
		}
	})
}

// What is held is not swapped, what is swapped differs or is stale, and every prerequisite stands before its step.
func TestMakeProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		in := randomInput(t)
		p := Make(in)
		held := map[string]bool{}
		for _, h := range p.Held {
			held[h.Object] = true
		}
		seen := map[string]bool{}
		for _, step := range p.Steps {
			for _, id := range step.Requires {
				if !seen[id] {
					t.Fatalf("step %s comes before %s, which it requires", step.ID, id)
				}
			}
			seen[step.ID] = true
			if step.Swap != nil && held[step.Swap.Service] {
				t.Fatalf("service %s is held and swapped", step.Swap.Service)
			}
			if step.Cause == "" {
				t.Fatalf("step %s has no cause", step.ID)
			}
		}
		if len(p.Of(VerbSwap)) == 0 && len(p.Of(VerbCheck)) > 0 {
			t.Fatal("checks without a swap: there is nothing to verify")
		}
	})
}

func randomInput(t *rapid.T) Input {
	in := input(func(in *Input) { in.Findings, in.Containers, in.Patches = nil, nil, nil })
	in.Policies = []policy.Policy{sync(nil)}
	for _, service := range rapid.SliceOfDistinct(rapid.SampledFrom([]string{"app", "beat", "web", "worker"}), rapid.ID[string]).Draw(t, "services") {
		kind := rapid.SampledFrom([]func(string) policy.Finding{stale, missing, compliant}).Draw(t, "finding")
		in.Findings = append(in.Findings, kind(service), stale(service))
		c := container(service, nil)
		if rapid.Bool().Draw(t, "held") {
			c.Held, c.Next = "it is paused", "unpause it"
		}
		if rapid.Bool().Draw(t, "same") {
			c.NewHash, c.NewEnv = c.OldHash, []string{"A=1"}
		}
		c.Touched = rapid.Bool().Draw(t, "touched")
		in.Containers = append(in.Containers, c)
	}
	for _, f := range in.Findings {
		if f.Fix != nil {
			in.Patches = append(in.Patches, Patch{File: "/srv/" + f.Service + ".yaml", Keys: []string{f.Service + ".SYNC"}})
		}
	}
	return in
}
