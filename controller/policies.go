package controller

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/composure-dev/composure/policy"
)

// policySet is the policies in force. A file that cannot be read or parsed keeps its last good version in force, and keeps no
// other file from being read anew. One that was removed is in force no more: that is how a person takes a policy back.
type policySet struct {
	paths []string

	mu       sync.Mutex
	byFile   map[string][]policy.Policy
	problems []error
}

// load reads everything anew. Its problems are those of single files; policies stay in force beside them.
func (s *policySet) load() (changed bool, problems []error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	next := map[string][]policy.Policy{}
	problems = s.read(next)
	if err := policy.Unique(flat(next)); err != nil {
		problems = append(problems, err)
		next = s.byFile
	}
	changed = digests(next) != digests(s.byFile)
	s.byFile, s.problems = next, problems
	return changed, problems
}

func (s *policySet) read(next map[string][]policy.Policy) (problems []error) {
	for _, path := range s.paths {
		names, err := policyFiles(path, false)
		if err != nil {
			problems = append(problems, err)
			for name, known := range s.byFile {
				if within(path, name) && !gone(name) {
					next[name] = known
				}
			}
			continue
		}
		for _, name := range names {
			parsed, err := readPolicy(name)
			if err == nil {
				next[name] = parsed
				continue
			}
			problems = append(problems, err)
			if known, found := s.byFile[name]; found && !errors.Is(err, fs.ErrNotExist) {
				next[name] = known
			}
		}
	}
	return problems
}

// inForce are the policies, by file and then as they stand there.
func (s *policySet) inForce() []policy.Policy {
	s.mu.Lock()
	defer s.mu.Unlock()
	return flat(s.byFile)
}

func flat(byFile map[string][]policy.Policy) []policy.Policy {
	var list []policy.Policy
	for _, name := range slices.Sorted(maps.Keys(byFile)) {
		list = append(list, byFile[name]...)
	}
	return list
}

func digests(byFile map[string][]policy.Policy) string {
	var text strings.Builder
	for _, p := range flat(byFile) {
		fmt.Fprintf(&text, "%q@%s\n", p.Metadata.Name, p.Digest)
	}
	return text.String()
}

func names(policies []policy.Policy) []string {
	list := make([]string, 0, len(policies))
	for _, p := range policies {
		list = append(list, p.Metadata.Name)
	}
	return list
}

func gone(name string) bool {
	_, err := os.Stat(name)
	return errors.Is(err, fs.ErrNotExist)
}

// within reports whether a policy file is the path, or in the folder.
func within(path, file string) bool {
	return file == path || filepath.Dir(file) == filepath.Clean(path)
}
