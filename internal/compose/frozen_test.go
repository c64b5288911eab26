package compose

import (
	"maps"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestFrozen: a project that was put away answers as it did, whatever is in it.
func TestFrozen(t *testing.T) {
	for _, version := range goldenVersions() {
		p := loadGolden(t, version)
		f, err := p.Freeze()
		if err != nil {
			t.Fatal(err)
		}
		thawed, err := f.Thaw()
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(p, thawed, cmp.FilterPath(unexported, cmp.Ignore())); diff != "" {
			t.Errorf("%s (-before +thawed):\n%s", version, diff)
		}
		flavor, _ := FlavorOf(version)
		for name := range p.Services {
			shared := golden(t, version)[name].Shared
			before, beforeErr := p.HashShared(name, flavor, shared)
			after, afterErr := thawed.HashShared(name, flavor, shared)
			if before != after || (beforeErr == nil) != (afterErr == nil) {
				t.Errorf("%s: %s hashes to %q, %v once thawed; before to %q, %v", version, name, after, afterErr, before, beforeErr)
			}
		}
		if reason := p.Differs(thawed); reason != "" {
			t.Errorf("%s: %s", version, reason)
		}
		if kept := len(f.kept); kept > len(p.configs)/2 {
			t.Errorf("%s: %d of %d services are not frozen: %q", version, kept, len(p.configs), slices.Sorted(maps.Keys(f.kept)))
		}
	}
}

func unexported(path cmp.Path) bool {
	field, is := path.Last().(cmp.StructField)
	return is && (field.Name() == "model" || field.Name() == "configs" || field.Name() == "selfReferring")
}
