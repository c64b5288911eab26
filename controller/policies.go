package controller

import (
	"bytes"
	"cmp"
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

	"github.com/composure-dev/composure/internal/state"
	"github.com/composure-dev/composure/policy"
)

// policySet is the policies in force. A file that cannot be read or parsed keeps its last good version in force, be it one that an
// earlier process has read, and keeps no other file from being read anew. One that was removed is in force no more: that is how a person
// takes a policy back.
type policySet struct {
	paths []string
	store state.Store
	warn  func(error) // is told why a good version could not be kept

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

func newPolicySet(paths []string, store state.Store, warn func(error)) *policySet {
	return &policySet{paths: paths, store: store, warn: warn}
}

// policyNews is a file that cannot be read as it is, since now or in another way than before; or one that can be again.
type policyNews struct{ file, problem string }

// load reads everything anew. What is wrong is told once; policies stay in force beside it.
func (s *policySet) load() (changed bool, news []policyNews) {
	s.mu.Lock()
	defer s.mu.Unlock()
	next := map[string]policyFile{}
	s.read(next)
	s.nameOnce(next)
	changed = digests(next) != digests(s.byFile)
	for _, name := range slices.Sorted(maps.Keys(next)) {
		file, was := next[name], s.byFile[name]
		file.since = time.Now().UTC()
		if was.problem == file.problem && digestsOf(was.policies) == digestsOf(file.policies) && !was.since.IsZero() {
			file.since = was.since
		}
		if was.problem != file.problem {
			news = append(news, policyNews{name, file.problem})
		}
		next[name] = file
	}
	for name := range s.byFile {
		if _, still := next[name]; !still {
			if err := s.store.ForgetPolicy(name); err != nil {
				s.warn(err)
			}
		}
	}
	s.byFile = next
	return changed, news
}

// nameOnce leaves out the files that take a name which another one has: who has had it keeps it, and else the first one.
func (s *policySet) nameOnce(next map[string]policyFile) {
	had := func(name string) int {
		if digestsOf(next[name].policies) == digestsOf(s.byFile[name].policies) {
			return 0
		}
		if len(s.byFile[name].policies) > 0 {
			return 1
		}
		return 2
	}
	files := slices.SortedFunc(maps.Keys(next), func(a, b string) int { return cmp.Or(cmp.Compare(had(a), had(b)), cmp.Compare(a, b)) })
	taken := map[string]policy.Origin{}
	for _, name := range files {
		clash := claim(taken, next[name].policies)
		if clash == "" {
			continue
		}
		last := s.byFile[name].policies
		if claim(taken, last) != "" {
			last = nil
		}
		next[name] = policyFile{policies: last, problem: clash}
	}
}

// claim takes the names of the policies, or says which one is taken and takes none.
func claim(taken map[string]policy.Origin, policies []policy.Policy) (clash string) {
	for _, p := range policies {
		if place, is := taken[p.Metadata.Name]; is {
			return fmt.Sprintf("%s: policy name %q is already taken at %s", p.Origin, p.Metadata.Name, place)
		}
	}
	for _, p := range policies {
		taken[p.Metadata.Name] = p.Origin
	}
	return ""
}

func (s *policySet) read(next map[string]policyFile) {
	for _, path := range s.paths {
		names, err := policyFiles(path, false)
		if err != nil {
			next[path] = policyFile{policies: next[path].policies, problem: err.Error()}
			for name, known := range s.byFile {
				if name != path && within(path, name) && !gone(name) {
					next[name] = policyFile{policies: known.policies, problem: err.Error()}
				}
			}
			continue
		}
		for _, name := range names {
			parsed, content, err := readPolicy(name)
			if err == nil {
				next[name] = policyFile{policies: parsed}
				s.keep(name, content)
				continue
			}
			next[name] = policyFile{policies: s.lastGood(name, err), problem: err.Error()}
		}
	}
}

// lastGood are the policies of a file that cannot be read now.
func (s *policySet) lastGood(name string, err error) []policy.Policy {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if known := s.byFile[name].policies; len(known) > 0 {
		return known
	}
	content, err := s.store.KeptPolicy(name)
	if err != nil || content == nil {
		return nil
	}
	parsed, err := policy.Parse(name, content)
	if err != nil {
		return nil // of another release
	}
	return parsed
}

// keep writes what is not kept already: most starts find the policies as the last one has left them.
func (s *policySet) keep(name string, content []byte) {
	if kept, err := s.store.KeptPolicy(name); err == nil && bytes.Equal(kept, content) {
		return
	}
	if err := s.store.KeepPolicy(name, content); err != nil {
		s.warn(err)
	}
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

// problems is how many files cannot be read as they are.
func (s *policySet) problems() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	count := 0
	for _, file := range s.byFile {
		if file.problem != "" {
			count++
		}
	}
	return count
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
