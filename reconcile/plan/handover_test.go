package plan

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/composure-dev/composure/policy"
)

// handedTo is a policy that wants docker compose to recreate the service; the other one wants a swap of what it selects.
func handedTo(in *Input, service string) {
	p := sync(func(s *policy.Spec) { s.Verify, s.Rollout.Strategy = nil, policy.StrategyCompose })
	p.Metadata.Name = "hand-" + service
	in.Policies = append(in.Policies, p)
	f := stale(service)
	f.Policy = p.Metadata.Name
	in.Findings = append(in.Findings, f)
}

func hooked(c *Container) {
	c.NewEnv, c.NewHash, c.Held, c.Next = nil, "", "hooks are not supported yet", "docker compose up -d"
	c.Handover.Env = []string{"A=1", "SYNC=true"}
}

// forCompose is an input in which app alone is due, for docker compose.
func forCompose(change func(*Container), others ...Container) Input {
	in := input(func(in *Input) {
		in.Policies, in.Findings, in.Patches = []policy.Policy{sync(func(s *policy.Spec) { s.Verify = nil })}, nil, nil
		in.Containers = append(others, container("app", change))
	})
	handedTo(&in, "app")
	return in
}

func TestHandedOver(t *testing.T) {
	replica := func(n string) Container {
		return bystander("app", func(c *Container) { c.ID, c.Name = "id-app-"+n, "shop-app-"+n })
	}
	tests := map[string]struct {
		reason string
		in     Input
		want   string
	}{
		"Hooks": {
			"what only a swap cannot do is no reason to hold it, and what changes is told",
			forCompose(hooked),
			"compose app <- [] app:+SYNC\n",
		},
		"Wish": {
			"the policy says so, be a swap possible or not",
			forCompose(nil),
			"compose app <- [] app:+SYNC\n",
		},
		"Safety": {
			"what docker compose is not to touch either is held",
			forCompose(func(c *Container) { c.Handover.Held, c.Handover.Next = "it is paused", "unpause it" }),
			"held app: it is paused | unpause it\n",
		},
		"Sidecar": {
			"what shares its namespaces goes along, in the same call",
			forCompose(nil, bystander("agent", func(c *Container) { hooked(c); c.Shares = []string{"id-app"} })),
			"compose app, agent <- [] app:+SYNC agent:+SYNC\n",
		},
		"HeldSidecar": {
			"docker compose would not see to it",
			forCompose(nil, bystander("agent", func(c *Container) { c.Shares, c.Handover.Held = []string{"id-app"}, "it is paused" })),
			"held app: shop-agent-1, which shares namespaces or volumes with it, cannot be replaced: it is paused | docker compose up -d\n",
		},
		"Replicas": {
			"a service is one step; a replica that does not differ may stay",
			forCompose(nil, replica("2"), replica("3")),
			"compose app <- [] app:+SYNC app:kept app:kept\n",
		},
		"Restart": {
			"what restarts with it is restarted after it, as with a swap",
			forCompose(nil, bystander("agent", sharing("id-app")), bystander("a-worker", restartingWith("app"))),
			"compose app, agent <- [] app:+SYNC agent:\nrestart a-worker (shop-a-worker-1) <- [compose:app]\n",
		},
		"RestartedItself": {
			"a restart is no matter of docker compose",
			func() Input {
				in := forCompose(nil, container("beat", nil))
				in.Findings = []policy.Finding{stale("beat"), compliant("app")}
				in.Findings[1].Policy = "hand-app"
				i := slices.IndexFunc(in.Containers, func(c Container) bool { return c.Service == "app" })
				in.Containers[i].RestartsWith = []string{"beat"}
				return in
			}(),
			"swap beat (shop-beat-1) <- [] +SYNC\nrestart app (shop-app-1) <- [swap:shop-beat-1]\n",
		},
		"SwappedParent": {
			"docker compose could find the kept original in the place of the replacement",
			func() Input {
				in := forCompose(sharing("id-beat"), container("beat", nil))
				in.Findings = append(in.Findings, stale("beat"))
				return in
			}(),
			"compose app <- [] app:+SYNC\nheld beat: shop-app-1, which shares namespaces or volumes with it, is for docker compose by its policy, " +
				"and this one is not | say rollout.strategy Compose for service beat too\n",
		},
		"NoCompose": {
			"there is nothing to hand it to",
			func() Input {
				in := forCompose(nil)
				in.NoCompose = Hold{Reason: "there is no docker compose", Next: "install it"}
				return in
			}(),
			"held app: there is no docker compose | install it\n",
		},
		"Lossy": {
			"what could not be undone is told before",
			forCompose(func(c *Container) { c.Handover.Lossy = "the files do not give it" }),
			"compose app <- [] app:+SYNC (a failure could not be undone: the files do not give it)\n",
		},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(tc.want, handedText(Make(tc.in))); diff != "" {
				t.Errorf("%s (-want +got):\n%s", tc.reason, diff)
			}
		})
	}
}

// handedText is text with what is handed over.
func handedText(p Plan) string {
	lines := strings.SplitAfter(text(p), "\n")
	for i, step := range p.Steps {
		if step.Compose == nil {
			continue
		}
		lines[i] = strings.TrimSuffix(lines[i], "\n")
		for _, c := range step.Compose.Containers {
			lines[i] += " " + c.Service + ":"
			if c.Kept {
				lines[i] += "kept"
			}
			for _, change := range c.Changes {
				lines[i] += string(change.Sign) + change.Key
			}
		}
		if _, lossy, found := strings.Cut(step.Cause, "; "); found {
			lines[i] += " (" + lossy + ")"
		}
		lines[i] += "\n"
	}
	return strings.Join(lines, "")
}
