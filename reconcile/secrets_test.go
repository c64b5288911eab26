package reconcile

import (
	"strings"
	"testing"
	"testing/synctest"
)

// A secret that is part of a name is hidden all the same: only where everything is taken for one, names stay readable.
func TestRedactorHidesASecretThatIsPartOfAName(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, syncPolicy)
		w.write(strings.ReplaceAll(composeFile, "tok-0123456789", "shop-beat"))
		p := w.propose()
		if told := p.redactor().String("the token is shop-beat"); strings.Contains(told, "shop-beat") {
			t.Errorf("told: %s", told)
		}
		p.unsure = true
		if told := p.redactor().String("container shop-beat-1 is gone"); !strings.Contains(told, "shop-beat-1") {
			t.Errorf("nobody can tell which container: %s", told)
		}
	})
}
