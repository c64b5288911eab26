package policy

import (
	"cmp"
	"maps"
	"slices"
)

// Evaluate compares the project with every policy that selects one of its services and returns a finding for each variable,
// in each file and each container, compliant ones included. It is pure, does not depend on the order of its input, and returns
// findings sorted by service, variable, layer, file or container, and policy. Policies must be as [Parse] returns them.
func Evaluate(policies []Policy, facts Facts) []Finding {
	e := &evaluation{facts: &facts}
	var findings []Finding
	for _, q := range e.questions(policies) {
		findings = append(findings, q.answer()...)
	}
	slices.SortStableFunc(findings, compareFindings)
	return findings
}

type evaluation struct{ facts *Facts }

// question is one variable of one service and all that policies claim about it, by policy name.
type question struct {
	*evaluation
	service *Service
	claims  []*claim
}

func (e *evaluation) questions(policies []Policy) []*question {
	type key struct{ service, variable string }
	questions := map[key]*question{}
	claims := e.claims(policies)
	hidden := secrets(claims)
	for _, shared := range claims {
		shared.agreement = e.agree(shared)
		for _, s := range shared.services {
			c, k := *shared, key{s.Name, shared.Name}
			c.sensitive = hidden[secret{s, c.Name}]
			if questions[k] == nil {
				questions[k] = &question{evaluation: e, service: s}
			}
			questions[k].claims = append(questions[k].claims, &c)
		}
	}
	return slices.SortedFunc(maps.Values(questions), func(a, b *question) int {
		return cmp.Or(cmp.Compare(a.service.Name, b.service.Name), cmp.Compare(a.claims[0].Name, b.claims[0].Name))
	})
}

// claims returns every rule of every policy, by policy name.
func (e *evaluation) claims(policies []Policy) []*claim {
	sorted := slices.Clone(policies)
	slices.SortStableFunc(sorted, func(a, b Policy) int {
		return cmp.Or(cmp.Compare(a.Metadata.Name, b.Metadata.Name), compareOrigins(a.Origin, b.Origin))
	})
	var claims []*claim
	for i := range sorted {
		p := &sorted[i]
		services := e.selected(p)
		for j := range p.Spec.Variables {
			c := newClaim(p, &p.Spec.Variables[j])
			c.services = services
			claims = append(claims, c)
		}
	}
	return claims
}

// secret is a variable of a service whose value no message may hold.
type secret struct {
	service  *Service
	variable string
}

// secrets are the variables that any of the claims on them calls sensitive. Services that have to agree share the value, and so
// its secrecy; their claim becomes sensitive too.
func secrets(claims []*claim) map[secret]bool {
	hidden := map[secret]bool{}
	for spread := true; spread; {
		spread = false
		for _, c := range claims {
			isHidden := func(s *Service) bool { return hidden[secret{s, c.Name}] }
			c.sensitive = c.sensitive || c.SameAcrossServices && slices.ContainsFunc(c.services, isHidden)
			for _, s := range c.services {
				spread = spread || c.sensitive && !isHidden(s)
				hidden[secret{s, c.Name}] = c.sensitive || isHidden(s)
			}
		}
	}
	return hidden
}

func (e *evaluation) selected(p *Policy) []*Service {
	var services []*Service
	for i := range e.facts.Services {
		if s := &e.facts.Services[i]; p.Spec.Selector.Matches(e.facts.Project, *s) {
			services = append(services, s)
		}
	}
	return services
}

func (q *question) answer() []Finding {
	if a, b, found := conflicting(q.claims); found {
		return []Finding{q.conflict(a, b)}
	}
	remedy := q.remedy()
	var findings []Finding
	all := true // every policy is content with the files
	verdicts := make([]settled, len(q.claims))
	for i, c := range q.claims {
		var files []Finding
		files, verdicts[i] = q.judgeFiles(c, remedy)
		findings = append(findings, files...)
		all = all && verdicts[i].compliant
	}
	if len(q.service.Containers) == 0 && q.service.foreign() {
		return findings // the next up does not create it
	}
	for i, c := range q.claims {
		verdicts[i].compliant = all
		findings = append(findings, q.judgeContainers(c, verdicts[i])...)
	}
	return findings
}

// finding returns a finding of c with all that does not depend on the verdict.
func (q *question) finding(c *claim) Finding {
	return Finding{
		Policy:    c.policy.Metadata.Name,
		Severity:  c.policy.Spec.Severity,
		Project:   q.facts.Project,
		Service:   q.service.Name,
		Variable:  c.Name,
		Layer:     LayerEnvironment,
		Sensitive: c.sensitive,
	}
}

func compareFindings(a, b Finding) int {
	return cmp.Or(
		cmp.Compare(a.Service, b.Service),
		cmp.Compare(a.Variable, b.Variable),
		cmp.Compare(layerRank(a.Layer), layerRank(b.Layer)),
		compareOrigins(originOf(a), originOf(b)),
		cmp.Compare(a.Container, b.Container),
		cmp.Compare(a.Policy, b.Policy),
		cmp.Compare(a.Verdict, b.Verdict),
		cmp.Compare(a.Message, b.Message),
	)
}

func layerRank(l Layer) int {
	return slices.Index([]Layer{LayerEnvironment, LayerEnvFile, LayerImage, LayerContainer}, l)
}

func originOf(f Finding) Origin {
	if f.Origin == nil {
		return Origin{}
	}
	return *f.Origin
}
