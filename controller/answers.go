package controller

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/composure-dev/composure/internal/api"
	"github.com/composure-dev/composure/internal/state"
	"github.com/composure-dev/composure/policy"
	"github.com/composure-dev/composure/reconcile"
	"github.com/composure-dev/composure/reconcile/plan"
)

// basisDigest stands for the policies, files and surroundings that a plan is made from. Containers are not part of it: they are what is
// brought to it.
func basisDigest(b plan.Basis) string {
	b.Containers = nil
	text, err := json.Marshal(b)
	if err != nil {
		return ""
	}
	sum := sha256.Sum256(text)
	return "sha256:" + hex.EncodeToString(sum[:])
}

// conditions of a project.
func (s Status) conditions() []api.Condition {
	return conditionsOf(s.truths(), s.turned, string(s.Reason), s.Message)
}

// conditionsOf are Ready, Reconciling and Stalled, which are told for one reason, each with when it came to be so.
func conditionsOf(truths [3]string, turned [3]time.Time, reason, message string) []api.Condition {
	list := make([]api.Condition, 0, len(truths))
	for i, kind := range []string{api.Ready, api.Reconciling, api.Stalled} {
		list = append(list, api.Condition{Type: kind, Status: truths[i], Reason: reason, Message: message, LastTransitionTime: turned[i]})
	}
	return list
}

func truth(is bool) string {
	if is {
		return api.True
	}
	return api.False
}

// selections are the policies that say something of the project, and of which services.
func selections(p reconcile.Proposal) []selection {
	byName := map[string]*selection{}
	for _, f := range p.Findings {
		s := byName[f.Policy]
		if s == nil {
			s = &selection{policy: f.Policy}
			byName[f.Policy] = s
		}
		s.services = append(s.services, f.Service)
		if differs(f) {
			s.differences++
		}
	}
	var list []selection
	for _, name := range slices.Sorted(maps.Keys(byName)) {
		s := byName[name]
		slices.Sort(s.services)
		s.services = slices.Compact(s.services)
		list = append(list, *s)
	}
	return list
}

// differing are the findings that are differences, without values.
func differing(findings []policy.Finding) []api.Finding {
	var list []api.Finding
	for _, f := range findings {
		if !differs(f) {
			continue
		}
		told := api.Finding{Policy: f.Policy, Service: f.Service, Variable: f.Variable, Layer: string(f.Layer), Verdict: string(f.Verdict)}
		if f.Origin != nil {
			told.Place = fmt.Sprintf("%s:%d:%d", f.Origin.File, f.Origin.Line, f.Origin.Column)
		}
		list = append(list, told)
	}
	return list
}

// projects are all that the daemon looks after.
func (l *loop) projects() []api.Project {
	list := []api.Project{}
	for _, status := range l.statuses.list() {
		list = append(list, l.project(status))
	}
	return list
}

func (l *loop) project(s Status) api.Project {
	p := api.Project{
		Name: s.Project, Conditions: s.conditions(), Policies: []string{}, Differences: s.Differences, Held: slices.Clone(s.Held),
		ObservedDigest: s.Observed, AttemptedDigest: s.Attempted, AppliedDigest: s.Applied, LookedAt: s.LookedAt, NextLook: l.nextLook(s),
	}
	if p.Held == nil {
		p.Held = []api.Held{}
	}
	for _, selected := range s.Policies {
		p.Policies = append(p.Policies, selected.policy)
	}
	if s.Transaction != "" {
		p.LastTransaction = &api.Transaction{ID: s.Transaction, Outcome: s.Outcome, Failure: s.Failure}
	}
	mark, err := l.suspension(s.Project)
	switch {
	case err != nil:
		p.Suspended = &api.Suspension{Reason: "its mark of suspension cannot be read: " + err.Error()}
	case mark != nil:
		p.Suspended = &api.Suspension{Since: mark.Since, Reason: mark.Reason}
	}
	return p
}

// suspension is the mark of a project, nil when it has none. One whose name the store refuses can have none.
func (l *loop) suspension(project string) (*state.Suspension, error) {
	if state.CheckProject(project) != nil {
		return nil, nil //nolint:nilnil,nilerr // there is none, and nothing is wrong
	}
	return l.store().Suspension(project)
}

func (l *loop) store() state.Store { return state.Store{Dir: l.config.StateDir} }

// nextLook is when a project is looked at whatever happens: what is not ready with each resync, the others with those that believe nothing.
func (l *loop) nextLook(s Status) time.Time {
	l.mu.Lock()
	next := l.nextFull
	if !s.Ready {
		next = l.nextResync
	}
	l.mu.Unlock()
	if s.Next.After(time.Now()) && (next.IsZero() || s.Next.Before(next)) {
		next = s.Next
	}
	return next.UTC()
}

// shownTransactions is how many of them a description has.
const shownTransactions = 10

func (l *loop) describe(_ context.Context, name string) (api.Description, error) {
	status, known := l.statuses.get(name)
	if !known {
		return api.Description{}, noProject(name)
	}
	d := api.Description{Project: l.project(status), Findings: slices.Clone(status.Findings), Transactions: []api.Transaction{}}
	if d.Findings == nil {
		d.Findings = []api.Finding{}
	}
	records, err := l.store().List(name)
	if err != nil && len(records) == 0 {
		return api.Description{}, err
	}
	for _, record := range slices.Backward(records) {
		if len(d.Transactions) == shownTransactions {
			break
		}
		began := record.Began
		d.Transactions = append(d.Transactions, api.Transaction{ID: record.Transaction, Outcome: cmp.Or(string(record.Outcome), "unfinished"), Began: &began, Ended: record.Ended})
	}
	events, _ := l.events.After(0)
	if d.Events = api.Of(events, name); d.Events == nil {
		d.Events = []api.Event{}
	}
	return d, nil
}

func noProject(name string) error {
	return &api.NotFoundError{Message: fmt.Sprintf("the daemon looks after no project %q", name)}
}

// suspend has the project left alone.
func (l *loop) suspend(name, reason string) error {
	if _, known := l.statuses.get(name); !known {
		return noProject(name)
	}
	if err := l.store().Suspend(name, state.Suspension{Since: time.Now().UTC(), Reason: cmp.Or(reason, "by composure suspend")}); err != nil {
		return err
	}
	l.queue.Add(name)
	return nil
}

func (l *loop) resume(name string) error {
	if _, known := l.statuses.get(name); !known {
		return noProject(name)
	}
	if err := l.store().Resume(name); err != nil {
		return err
	}
	l.queue.Add(name)
	return nil
}

// reconcileNow looks at a project with its files read anew, or at everything without believing what was read before.
func (l *loop) reconcileNow(name string) error {
	if name == "" {
		l.resyncNow()
		return nil
	}
	if _, known := l.statuses.get(name); !known {
		return noProject(name)
	}
	l.loads.changed(name)
	l.queue.Add(name)
	return nil
}

// policyAnswers are the policies in force, and the files that have none.
func (l *loop) policyAnswers() []api.Policy {
	statuses := l.statuses.list()
	list := []api.Policy{}
	for _, known := range l.policies.known() {
		list = append(list, policyAnswer(known, statuses))
	}
	slices.SortStableFunc(list, func(a, b api.Policy) int { return cmp.Compare(a.Name, b.Name) })
	return list
}

func policyAnswer(k knownPolicy, statuses []Status) api.Policy {
	answer := api.Policy{Name: k.file, File: k.file, Variables: []string{}, Services: []string{}}
	if k.policy != nil {
		spec := k.policy.Spec
		answer.Name, answer.Digest = k.policy.Metadata.Name, k.policy.Digest
		answer.Files, answer.Containers = string(spec.Enforcement.Files), string(spec.Enforcement.Containers)
		answer.Variables = required(*k.policy)
	}
	t := turns{since: k.since}
	for _, status := range statuses {
		at := slices.IndexFunc(status.Policies, func(s selection) bool { return k.policy != nil && s.policy == answer.Name })
		if at < 0 {
			continue
		}
		selected := status.Policies[at]
		answer.Differences += selected.differences
		for _, service := range selected.services {
			answer.Services = append(answer.Services, status.Project+"/"+service)
		}
		differs := selected.differences > 0
		t.add(0, differs, selected.since)
		t.add(1, differs && status.Reconciling, status.turned[1])
		t.add(2, differs && status.Stalled, status.turned[2])
	}
	answer.Conditions = policyConditions(k, answer, t)
	return answer
}

// turns finds since when a policy is, over all projects, as it is: not ready, reconciling or stalled since the first of the projects that
// are so now; and else since the last one has ceased to be.
type turns struct {
	since      time.Time // when it came into force
	are        [3]bool
	began, end [3]time.Time
}

func (t *turns) add(which int, is bool, since time.Time) {
	switch {
	case is && (!t.are[which] || since.Before(t.began[which])):
		t.are[which], t.began[which] = true, since
	case !is && since.After(t.end[which]):
		t.end[which] = since
	}
}

func (t *turns) at(which int) time.Time {
	at := t.end[which]
	if t.are[which] {
		at = t.began[which]
	}
	if at.Before(t.since) {
		return t.since
	}
	return at
}

// The reasons that policies have beside those of projects.
const (
	policyInvalid = "Invalid"     // its file cannot be read as it is
	policyDiffers = "Differences" // something is not as it wants it
)

// policyConditions of one that holds everywhere, that does not, or whose file cannot be read as it is.
func policyConditions(k knownPolicy, answer api.Policy, t turns) []api.Condition {
	reason, message := string(ReasonCompliant), ""
	truths := [3]string{truth(!t.are[0]), truth(t.are[1]), truth(t.are[2])}
	switch {
	case k.problem != "":
		reason, message, truths = policyInvalid, k.problem, [3]string{api.False, api.False, api.True}
		t = turns{since: k.since}
	case len(answer.Services) == 0:
		reason = string(ReasonNotSelected)
	case answer.Differences > 0:
		reason, message = policyDiffers, fmt.Sprintf("%d variables are not as it wants them", answer.Differences)
	}
	return conditionsOf(truths, [3]time.Time{t.at(0), t.at(1), t.at(2)}, reason, message)
}

// required are the variables that a policy has rules for.
func required(p policy.Policy) []string {
	names := make([]string, 0, len(p.Spec.Variables))
	for _, rule := range p.Spec.Variables {
		names = append(names, rule.Name)
	}
	return names
}
