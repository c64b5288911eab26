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
	"time"

	"github.com/composure-dev/composure/policy"
)

// policySet is the policies in force. A file that cannot be read or parsed keeps its last good version in force, and keeps no
// other file from being read anew. One that was removed is in force no more: that is how a person takes a policy back.
type policySet struct {
	paths []string

	mu     sync.Mutex
	byFile map[string]policyFile
}

// policyFile is a file, or a folder that cannot be read, and what is known of it.
type policyFile struct {
	policies []policy.Policy // in force
	problem  string          // why they are not those that stand there now
	since    time.Time       // when one of both became what it is
}

// knownPolicy is a policy in force, or a file that has none; or both, of a file that cannot be read any more.
type knownPolicy struct {
	file    string
	policy  *policy.Policy
	problem string
	since   time.Time
}

// load reads everything anew. Its problems are those of single files; policies stay in force beside them.
func (s *policySet) load() (changed bool, problems []error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	next := map[string]policyFile{}
	problems = s.read(next)
	if err := policy.Unique(flat(next)); err != nil {
		problems = append(problems, err)
		next = maps.Clone(s.byFile)
		if next == nil {
			next = map[string]policyFile{}
		}
		for file, problem := range byPlace(err) {
			next[file] = policyFile{policies: next[file].policies, problem: problem}
		}
	}
	changed = digests(next) != digests(s.byFile)
	for name, file := range next {
		file.since = time.Now().UTC()
		was, known := s.byFile[name]
		if known && was.problem == file.problem && digestsOf(was.policies) == digestsOf(file.policies) {
			file.since = was.since
		}
		next[name] = file
	}
	s.byFile = next
	return changed, problems
}

// byPlace tells of each file what is wrong in it.
func byPlace(err error) map[string]string {
	found := map[string]string{}
	problems, _ := errors.AsType[policy.Problems](err)
	for _, problem := range problems {
		if found[problem.Origin.File] == "" {
			found[problem.Origin.File] = problem.Origin.String() + ": " + problem.Message
		}
	}
	return found
}

func (s *policySet) read(next map[string]policyFile) (problems []error) {
	for _, path := range s.paths {
		names, err := policyFiles(path, false)
		if err != nil {
			problems = append(problems, err)
			next[path] = policyFile{policies: next[path].policies, problem: err.Error()}
			for name, known := range s.byFile {
				if within(path, name) && !gone(name) {
					next[name] = policyFile{policies: known.policies, problem: err.Error()}
				}
			}
			continue
		}
		for _, name := range names {
			parsed, err := readPolicy(name)
			if err == nil {
				next[name] = policyFile{policies: parsed}
				continue
			}
			problems = append(problems, err)
			file := policyFile{problem: err.Error()}
			if known, found := s.byFile[name]; found && !errors.Is(err, fs.ErrNotExist) {
				file.policies = known.policies
			}
			next[name] = file
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

// known are the policies in force, and the files that have none, sorted by file.
func (s *policySet) known() []knownPolicy {
	s.mu.Lock()
	defer s.mu.Unlock()
	var list []knownPolicy
	for _, name := range slices.Sorted(maps.Keys(s.byFile)) {
		file := s.byFile[name]
		for i := range file.policies {
			list = append(list, knownPolicy{name, &file.policies[i], file.problem, file.since})
		}
		if len(file.policies) == 0 && file.problem != "" {
			list = append(list, knownPolicy{file: name, problem: file.problem, since: file.since})
		}
	}
	return list
}

// problems are those of all files, one after the other; empty: there are none.
func (s *policySet) problems() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var text strings.Builder
	for _, name := range slices.Sorted(maps.Keys(s.byFile)) {
		if problem := s.byFile[name].problem; problem != "" {
			text.WriteString(name + " " + problem + "\n")
		}
	}
	return text.String()
}

func flat(byFile map[string]policyFile) []policy.Policy {
	var list []policy.Policy
	for _, name := range slices.Sorted(maps.Keys(byFile)) {
		list = append(list, byFile[name].policies...)
	}
	return list
}

func digests(byFile map[string]policyFile) string { return digestsOf(flat(byFile)) }

func digestsOf(policies []policy.Policy) string {
	var text strings.Builder
	for _, p := range policies {
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
