package report

import (
	"github.com/composure-dev/composure/reconcile/plan"
)

// recoveries lists the transactions that are put in order before anything else is planned.
func (s section) recoveries() {
	steps := s.project.Plan.Of(plan.VerbRecover)
	if len(steps) == 0 {
		return
	}
	s.title("cut off, and put in order first")
	for _, step := range steps {
		s.block(block{head: "  " + signRestart + " ", color: signColor(signRestart), hang: 4, words: words(step.Object + " " + step.Cause)})
		for _, name := range step.Recover.Containers {
			s.text("      container ", name)
		}
		for _, name := range step.Recover.Files {
			s.text("      file ", s.fileName(name))
		}
	}
}

// recovered says what became of transactions that had been cut off, before this one began.
func (s section) recovered() {
	if len(s.project.Recovered) == 0 || s.Announced {
		return // it is said once, at the end
	}
	s.title("put in order first, after a transaction that was cut off")
	for _, line := range s.project.Recovered {
		s.told(block{head: "  ", hang: 2}, line)
	}
}
