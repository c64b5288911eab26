package policy

import (
	"fmt"
	"slices"
	"strings"
)

// judgeContainers returns c's findings in the containers: one for each that runs, one for all that do not. While the files are
// wrong theirs is the one verdict: whatever a container has, it is to get what the files will say.
func (q *question) judgeContainers(c *claim, files settled) []Finding {
	var findings []Finding
	var idle []string
	running := false
	for i := range q.service.Containers {
		container := &q.service.Containers[i]
		if !container.Running {
			idle = append(idle, fmt.Sprintf("%s is %s", container.Name, container.State))
			continue
		}
		running = true
		if files.compliant || q.facts.FilesUnreachable != "" {
			findings = append(findings, q.judgeContainer(c, container, files))
		}
	}
	if running && len(idle) == 0 {
		return findings
	}
	slices.Sort(idle)
	f := q.finding(c)
	f.Layer = LayerContainer
	f.Verdict = NotCreated
	f.Message = "no container"
	if len(idle) > 0 {
		f.Message = strings.Join(idle, ", ")
	}
	f.Hint = "the next docker compose up -d " + q.service.Name + " takes what the files say"
	return append(findings, f)
}

func (q *question) judgeContainer(c *claim, container *Container, files settled) Finding {
	f := q.finding(c)
	f.Layer = LayerContainer
	f.Container = container.ID
	value := container.Env[c.Name]
	f.Message = "runs without it"
	if value != nil {
		f.Message = "runs with " + c.quote(*value)
	}
	if c.Absent {
		q.judgeAbsent(&f, c, container, files)
		return f
	}
	ok := c.meets(value, effective)
	if files.compliant {
		ok = value != nil && c.accepts(*value) && (files.value == nil || *value == *files.value)
	}
	if ok {
		f.Verdict = Compliant
		return f
	}
	want := q.wantIn(c, view{name: effective, variable: Variable{Value: value}})
	if files.compliant && files.value != nil {
		want = "the files say " + c.quote(*files.value)
	}
	f.Verdict = ContainerStale
	f.Message += ", " + want
	f.Held, f.Hint = q.heldContainer(c)
	return f
}

// judgeAbsent tells a container that a swap would rid of the variable from one whose image brings it back.
func (q *question) judgeAbsent(f *Finding, c *claim, container *Container, files settled) {
	_, bare := q.service.Resolved[c.Name]
	_, fromImage := container.ImageEnv[c.Name]
	switch {
	case container.Env[c.Name] == nil:
		f.Verdict = Compliant
	case fromImage && files.compliant && !bare:
		q.hide(f, c, container)
	default:
		f.Verdict = ContainerStale
		f.Message += ", " + c.want()
		f.Held, f.Hint = q.heldContainer(c)
	}
}

// heldContainer says why a container is not to be swapped for this variable; empty when it is.
func (q *question) heldContainer(c *claim) (held, hint string) {
	up := "docker compose up -d " + q.service.Name
	switch {
	case q.facts.FilesUnreachable != "":
		return q.facts.FilesUnreachable, "run " + up + " where the compose files are"
	case c.unsupported() != "":
		return c.unsupported(), up
	case c.policy.Spec.Rollout.Strategy == StrategyNever:
		return "rollout.strategy is Never", up
	}
	return "", ""
}
