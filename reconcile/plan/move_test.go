package plan

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/composure-dev/composure/policy"
)

// bystander is a container of a service that no policy selects.
func bystander(service string, change func(*Container)) Container {
	return container(service, func(c *Container) {
		c.NewEnv, c.NewHash = []string{"A=1"}, c.OldHash
		if change != nil {
			change(c)
		}
	})
}

func sharing(ids ...string) func(*Container) { return func(c *Container) { c.Shares = ids } }

func restartingWith(services ...string) func(*Container) {
	return func(c *Container) { c.RestartsWith = services }
}

// onlyApp is an input in which app alone is due, beside the given containers.
func onlyApp(others ...Container) Input {
	return input(func(in *Input) {
		in.Policies = []policy.Policy{sync(func(s *policy.Spec) { s.Verify = nil })}
		in.Findings, in.Patches = []policy.Finding{stale("app")}, nil
		in.Containers = append(others, container("app", nil))
	})
}

func TestMoves(t *testing.T) {
	tests := map[string]struct {
		reason string
		in     Input
		want   string
	}{
		"Sidecar": {
			"what shares a namespace is replaced after what it shares it with, and so on",
			onlyApp(bystander("agent", sharing("id-app")), bystander("a-tap", sharing("id-agent"))),
			`swap app (shop-app-1) <- [] +SYNC
swap agent (shop-agent-1) <- [swap:shop-app-1]
swap a-tap (shop-a-tap-1) <- [swap:shop-agent-1]
`,
		},
		"Restart": {
			"a service that restarts with another is restarted, and what shares its namespaces too",
			onlyApp(bystander("a-worker", restartingWith("app")), bystander("a-tap", sharing("id-a-worker"))),
			`swap app (shop-app-1) <- [] +SYNC
restart a-worker (shop-a-worker-1) <- [swap:shop-app-1]
restart a-tap (shop-a-tap-1) <- [restart:shop-a-worker-1]
`,
		},
		"SwapIsARestart": {
			"what is replaced itself is not restarted beside that, but comes after what it depends on, whatever the rollout order says",
			input(func(in *Input) {
				in.Policies = []policy.Policy{sync(func(s *policy.Spec) { s.Rollout.Order = []string{"beat", "app"}; s.Verify = nil })}
				in.Findings, in.Patches = []policy.Finding{stale("app"), stale("beat")}, nil
				in.Containers = []Container{container("beat", restartingWith("app")), container("app", nil)}
			}),
			`swap app (shop-app-1) <- [] +SYNC
swap beat (shop-beat-1) <- [swap:shop-app-1] +SYNC
`,
		},
		"SharedBeatsRestart": {
			"a container that would be restarted for one reason and replaced for another is replaced",
			onlyApp(bystander("agent", func(c *Container) { c.Shares, c.RestartsWith = []string{"id-app"}, []string{"app"} })),
			`swap app (shop-app-1) <- [] +SYNC
swap agent (shop-agent-1) <- [swap:shop-app-1]
`,
		},
		"HeldSidecar": {
			"what cannot be replaced keeps what it shares with from being replaced",
			onlyApp(bystander("agent", func(c *Container) { c.Shares, c.Held, c.Next = []string{"id-app"}, "it is odd", "look" })),
			"held app: shop-agent-1, which shares namespaces or volumes with it, cannot be replaced: it is odd | docker compose up -d\n",
		},
		"SidecarOfTheSamePolicyIsHeld": {
			"nobody replaces half of what one policy selects",
			input(func(in *Input) {
				in.Policies = []policy.Policy{sync(func(s *policy.Spec) { s.Verify = nil })}
				in.Findings, in.Patches = []policy.Finding{stale("app"), stale("beat")}, nil
				in.Containers = []Container{container("beat", func(c *Container) { c.Held = "it is odd" }), container("app", sharing("id-beat"))}
			}),
			"held app: waits for beat, which the same policy selects and which is held | docker compose up -d app beat\nheld beat: it is odd | \n",
		},
		"Overlap": {
			"StartFirst runs both for a while, which not every container can",
			input(func(in *Input) {
				in.Policies = []policy.Policy{sync(func(s *policy.Spec) { s.Rollout.Strategy = policy.StrategyStartFirst; s.Verify = nil })}
				in.Findings, in.Patches = []policy.Finding{stale("app")}, nil
				in.Containers = []Container{container("app", func(c *Container) { c.Overlap = "volume data is writable" })}
			}),
			"held app: it should not run beside itself: volume data is writable | take rollout.strategy StartFirst out of the policy, or say rollout.force: true\n",
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

func TestReplicasGoByNumber(t *testing.T) {
	var replicas []Container
	for n := 12; n > 0; n-- {
		replicas = append(replicas, container("app", func(c *Container) {
			c.ID, c.Name, c.Number = fmt.Sprint("id-app-", n), fmt.Sprint("shop-app-", n), n
		}))
	}
	in := onlyApp()
	in.Containers, in.Findings = replicas, nil
	for _, c := range replicas {
		f := stale("app")
		f.Container = c.ID
		in.Findings = append(in.Findings, f)
	}
	var order []string
	for _, step := range Make(in).Steps {
		order = append(order, strings.TrimPrefix(step.ID, "swap:shop-app-"))
	}
	if want := "1 2 3 4 5 6 7 8 9 10 11 12"; strings.Join(order, " ") != want {
		t.Errorf("replicas are replaced in the order %v", order)
	}
}

func TestWhatIsSharedIsTold(t *testing.T) {
	steps := Make(onlyApp(bystander("agent", sharing("id-app", "id-other")))).Of(VerbSwap)
	agent := steps[1].Swap
	if diff := cmp.Diff([]string{"id-app"}, agent.Shares); diff != "" || agent.ConfigHash != "" {
		t.Errorf("shares (-want +got):\n%s; hash %q, which cannot be known yet", diff, agent.ConfigHash)
	}
	if want := "it shares namespaces or volumes with shop-app-1"; steps[1].Cause != want {
		t.Errorf("cause %q, want %q", steps[1].Cause, want)
	}
}

// Whoever shares and depends on whom: each container moves once, after all that it depends on.
func TestMovesAreOrdered(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		names := []string{"a", "b", "c", "d", "e", "f"}
		var containers []Container
		var findings []policy.Finding
		for i, name := range names {
			c := bystander(name, nil)
			for _, earlier := range names[:i] {
				switch rapid.IntRange(0, 5).Draw(t, name+earlier) {
				case 0:
					c.Shares = append(c.Shares, "id-"+earlier)
				case 1:
					c.RestartsWith = append(c.RestartsWith, earlier)
				}
			}
			if rapid.Bool().Draw(t, "due "+name) {
				findings = append(findings, stale(name))
			}
			containers = append(containers, c)
		}
		in := onlyApp()
		in.Policies[0].Spec.Rollout.Order = rapid.Permutation(names).Draw(t, "order")
		in.Containers, in.Findings = containers, findings
		at := map[string]int{}
		for i, step := range Make(in).Steps {
			name := step.ID[strings.Index(step.ID, ":")+1:]
			if _, twice := at[name]; twice {
				t.Fatalf("%s moves twice", name)
			}
			at[name] = i
		}
		for _, c := range containers {
			mine, moves := at[c.Name]
			for _, other := range containers {
				theirs, first := at[other.Name]
				depends := slices.Contains(c.Shares, other.ID) || slices.Contains(c.RestartsWith, other.Service)
				if depends && first && (!moves || mine < theirs) {
					t.Fatalf("%s depends on %s, which moves; own place %d, moves %v", c.Name, other.Name, mine, moves)
				}
			}
		}
	})
}
