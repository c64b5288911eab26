package policy

import (
	"fmt"
	"time"
)

// FilesHeld says why the daemon must not write files for the policy at an instant; empty when it may. The text stays the same until
// the answer changes.
func (p Policy) FilesHeld(now time.Time) string {
	return p.held("files", p.Spec.Enforcement.Files, now)
}

// ContainersHeld is [Policy.FilesHeld] for the containers of the services that the policy selects.
func (p Policy) ContainersHeld(now time.Time) string {
	return p.held("containers", p.Spec.Enforcement.Containers, now)
}

func (p Policy) held(what string, mode Mode, now time.Time) string {
	name, e := p.Metadata.Name, p.Spec.Enforcement
	if mode != ModeEnforce {
		return fmt.Sprintf("policy %s only audits %s (enforcement.%s)", name, what, what)
	}
	if e.Open(now) {
		return ""
	}
	next := e.NextChange(now)
	if next.IsZero() {
		return fmt.Sprintf("outside of the maintenance windows of policy %s, and none opens any more", name)
	}
	return fmt.Sprintf("outside of the maintenance windows of policy %s, the next one opens at %s", name, next.Format(time.RFC3339))
}
