package compose

import (
	"cmp"
	"strconv"
	"strings"
)

// Flavor is a set of differences between the bytes that an older compose hashes and those that compose 5 hashes. The zero
// Flavor is compose 5.
type Flavor uint8

// The differences. Each is one change in the history of compose; a version has those of all later changes.
const (
	FlavorBind      Flavor = 1 << iota // bind.create_host_path is written when true instead of when false (before 5.0.0)
	FlavorNull                         // variables without a value are left out (2.24.0 to before 2.35.0)
	FlavorNetwork                      // a network's priority comes first (before 2.36.0)
	FlavorProfiles                     // profiles are hashed (before 2.30.2)
	FlavorDependsOn                    // depends_on is hashed (before 2.29.3)
	FlavorDeploy                       // deploy is always there, with one replica (before 2.24.0)

	flavorCount = 1 << iota
)

// FlavorOf is the flavor of a compose version such as "2.40.3". It is false for a version that this release does not know:
// older than 2.19, or not a release.
func FlavorOf(version string) (Flavor, bool) {
	v, ok := parseVersion(version)
	if !ok || v.before(2, 19, 0) || v[0] == 3 || v[0] == 4 {
		return 0, false
	}
	var f Flavor
	for _, change := range []struct {
		flavor              Flavor
		major, minor, patch int
	}{
		{FlavorBind, 5, 0, 0},
		{FlavorNull, 2, 35, 0},
		{FlavorNetwork, 2, 36, 0},
		{FlavorProfiles, 2, 30, 2},
		{FlavorDependsOn, 2, 29, 3},
		{FlavorDeploy, 2, 24, 0},
	} {
		if v.before(change.major, change.minor, change.patch) {
			f |= change.flavor
		}
	}
	if v.before(2, 24, 0) {
		f &^= FlavorNull
	}
	return f, true
}

type version [3]int

// parseVersion reads 2.40.3 and v2.40.3-desktop.1; what follows the numbers is a build of that release.
func parseVersion(s string) (version, bool) {
	s, _, _ = strings.Cut(strings.TrimPrefix(s, "v"), "-")
	s, _, _ = strings.Cut(s, "+")
	parts := strings.Split(s, ".")
	if len(parts) != 3 {
		return version{}, false
	}
	var v version
	for i, part := range parts {
		n, err := strconv.Atoi(part)
		if err != nil || n < 0 {
			return version{}, false
		}
		v[i] = n
	}
	return v, true
}

func (v version) before(major, minor, patch int) bool {
	return cmp.Or(cmp.Compare(v[0], major), cmp.Compare(v[1], minor), cmp.Compare(v[2], patch)) < 0
}
