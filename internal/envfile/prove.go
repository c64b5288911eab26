package envfile

import (
	"bytes"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"sort"
	"strings"

	"github.com/compose-spec/compose-go/v2/dotenv"
	"github.com/compose-spec/compose-go/v2/template"
	"github.com/docker/cli/pkg/kvfile"
)

// An edit is proved by reading the file before and after it in several environments. In each of them the intended keys must
// have their text's value, and all others what they had.

// distinctive is a value that no file has, and another for each name.
func distinctive(name string) string { return "\x02" + name + "\x03" }

// environments are those that a proof goes through: nothing is set, everything is, everything is empty, all but the file's own
// keys are set, and only these are.
func (e *editor) environments() []dotenv.LookupFn {
	setIf := func(isSet func(name string) bool) dotenv.LookupFn {
		return func(name string) (string, bool) {
			if !isSet(name) {
				return "", false
			}
			return distinctive(name), true
		}
	}
	return []dotenv.LookupFn{
		setIf(func(string) bool { return false }),
		setIf(func(string) bool { return true }),
		func(string) (string, bool) { return "", true },
		setIf(func(name string) bool { return !e.own[name] }),
		setIf(func(name string) bool { return e.own[name] }),
	}
}

// read is the file as compose reads it: by compose-go, or the parser that docker compose has for the format raw.
func (f *file) read(env dotenv.LookupFn) (map[string]string, error) {
	return f.readTo(len(f.data), env)
}

func (f *file) readTo(end int, env dotenv.LookupFn) (map[string]string, error) {
	if f.format != FormatRaw {
		return parse(f.data[:end], env)
	}
	pairs, err := kvfile.ParseFromReader(bytes.NewReader(f.data[:end]), env)
	if err != nil {
		return nil, err
	}
	values := map[string]string{}
	for _, pair := range pairs {
		key, value, _ := strings.Cut(pair, "=")
		values[key] = value
	}
	return values, nil
}

// required is the variable that was missing where one is required, or "".
func required(err error) string {
	if missing, ok := errors.AsType[*template.MissingRequiredError](err); ok {
		return missing.Variable
	}
	return ""
}

// check tells what keeps compose from reading the file. A variable that is required but not set does not.
func (e *editor) check(f *file) error {
	for _, env := range e.environments() {
		_, err := f.read(env)
		if err == nil || required(err) != "" {
			continue
		}
		if i := f.failing(env); i >= 0 {
			return fmt.Errorf("line %d: %s", f.tokens[i].Line, cause(err))
		}
		return errors.New(cause(err))
	}
	return nil
}

// cause is what the parsers have to say, without what they quote of the file.
func cause(err error) string {
	if _, ok := errors.AsType[*template.InvalidTemplateError](err); ok {
		return "invalid interpolation: write a literal $ as $$"
	}
	for _, known := range []string{
		"unexpected character", "unterminated quoted value", "key cannot contain a space", "no variable name", "contains whitespaces", "token too long",
	} {
		if strings.Contains(err.Error(), known) {
			return known
		}
	}
	return "not an env file"
}

// failing is the index of the first statement that cannot be read, or -1.
func (f *file) failing(env dotenv.LookupFn) int {
	i := sort.Search(len(f.tokens), func(i int) bool {
		end := len(f.data)
		if i+1 < len(f.tokens) {
			end = f.tokens[i+1].begin
		}
		_, err := f.readTo(end, env)
		return err != nil
	})
	if i == len(f.tokens) {
		return -1
	}
	return i
}

// proof is what an edit is held against.
type proof struct {
	before, after *file
	intended      map[string]Change // by key
	fresh         string            // the key that no earlier proof looked at, or ""
}

// prove reports whether after has the intended changes and no other. If it has others, shared are the keys that changed too,
// as far as they are known.
func (e *editor) prove(p proof) (shared []string, ok bool) {
	ok = true
	for _, env := range e.environments() {
		also, proved := p.in(env)
		shared = append(shared, also...)
		ok = ok && proved
	}
	return shared, ok
}

// maxRequired is how many of a file's own variables may be required and missing.
const maxRequired = 20

// in is the proof in one environment. Where that lacks a variable that a file requires, nothing is read of the file: either it
// is so before and after, or an intended statement is why. Then the proof goes on with the variable set.
func (p proof) in(env dotenv.LookupFn) (shared []string, ok bool) {
	set := map[string]bool{}
	full := func(name string) (string, bool) {
		if set[name] {
			return distinctive(name), true
		}
		return env(name)
	}
	for range maxRequired {
		old, errBefore := p.before.read(full)
		got, errAfter := p.after.read(full)
		switch {
		case errBefore == nil && errAfter == nil:
			return p.compare(old, got, full)
		case errAfter == nil:
			shared, ok = p.excuses(p.before, full)
		case errBefore == nil:
			shared, ok = p.excuses(p.after, full)
		default:
			shared, ok = nil, true
		}
		if !ok || !wants(set, errBefore, errAfter) {
			return shared, false
		}
		for _, f := range []*file{p.before, p.after} {
			f.require(set)
		}
	}
	return nil, false
}

// wants adds to set the variables that the errors say are missing; ok is false if they have another cause.
func wants(set map[string]bool, errs ...error) (ok bool) {
	for _, err := range errs {
		if err == nil {
			continue
		}
		name := required(err)
		if name == "" {
			return false
		}
		ok = ok || !set[name]
		set[name] = true
	}
	return ok
}

// requirement is a variable that must be set.
var requirement = regexp.MustCompile(`(?i)\$\{([_a-z][_a-z0-9]*):?\?`)

// require adds to set all that the file requires and does not define.
func (f *file) require(set map[string]bool) {
	own := map[string]bool{}
	for _, t := range f.tokens {
		own[t.Key] = true
	}
	for _, m := range requirement.FindAllSubmatch(f.data, -1) {
		if name := string(m[1]); !own[name] {
			set[name] = true
		}
	}
}

// excuses reports whether it is an intended statement that keeps the file from being read; else it names the key.
func (p proof) excuses(f *file, env dotenv.LookupFn) (also []string, ok bool) {
	i := f.failing(env)
	if i < 0 {
		return nil, false
	}
	key := f.tokens[i].Key
	if _, ok := p.intended[key]; ok {
		return nil, true
	}
	return []string{key}, false
}

func (p proof) compare(old, got map[string]string, env dotenv.LookupFn) (shared []string, ok bool) {
	same := func(key string) bool {
		was, had := old[key]
		is, has := got[key]
		return was == is && had == has
	}
	for _, values := range []map[string]string{old, got} {
		for key := range values {
			if _, meant := p.intended[key]; !meant && !same(key) {
				shared = append(shared, key)
			}
		}
	}
	for key, change := range p.intended {
		if key != p.fresh && same(key) {
			continue
		}
		want, wanted := p.after.expected(change, env)
		if is, has := got[key]; is != want || has != wanted {
			return shared, false
		}
	}
	return shared, len(shared) == 0
}

// expected is the value that the change's text has where it stands; wanted is false if the key is to be absent.
func (f *file) expected(change Change, env dotenv.LookupFn) (value string, wanted bool) {
	i := f.last(change.Key)
	if i < 0 || change.Remove || f.format == FormatRaw {
		return change.Text, !change.Remove
	}
	earlier, err := f.readTo(f.tokens[i].begin, env)
	if err != nil {
		return "", false
	}
	value, err = substitute(change.Text, func(name string) (string, bool) {
		if v, ok := env(name); ok {
			return v, true
		}
		v, ok := earlier[name]
		return v, ok
	})
	return value, err == nil
}

// reference is a variable in a text; a doubled dollar is none.
var reference = regexp.MustCompile(`(?i)\$\$|\$\{?([_a-z][_a-z0-9]*)`)

// mentions are the keys of statements that interpolate the change's key, in whatever environment. The environments of a proof
// are few: what one of them does not show must not change either.
func (f *file) mentions(change Change, intended map[string]Change) []string {
	from := f.last(change.Key)
	if change.Remove {
		from = slices.IndexFunc(f.tokens, func(t token) bool { return t.Key == change.Key })
	}
	if from < 0 {
		return nil
	}
	var keys []string
	for _, t := range f.tokens[from+1:] {
		if _, ok := intended[t.Key]; ok || t.Literal || t.Bare {
			continue
		}
		for _, m := range reference.FindAllStringSubmatch(t.template(), -1) {
			if m[1] == change.Key {
				keys = append(keys, t.Key)
			}
		}
	}
	return keys
}

// What a file may cost: variables that refer to each other can expand to more than any memory holds, and a line with many of
// them takes long to interpolate.
const (
	maxSize = 256 << 10
	maxWork = 1 << 20
)

// work is about how long it takes to interpolate text.
func work(text string) int { return len(text) * (1 + strings.Count(text, "$")) }

func workable(text string) bool { return len(text) <= maxSize && work(text) <= maxWork }

// bounded reports whether the file can be read in little time and memory, in the environments of a proof.
func (f *file) bounded() bool {
	if len(f.data) > maxSize {
		return false
	}
	sizes := map[string]int{}
	effort, total := 0, 0
	for _, t := range f.tokens {
		size := len(t.Text) + len(distinctive(t.Key))
		if !t.Literal {
			text := t.template()
			effort += work(text)
			for _, m := range reference.FindAllStringSubmatch(text, -1) {
				size += max(sizes[m[1]], len(distinctive(m[1])))
			}
		}
		sizes[t.Key] = max(sizes[t.Key], size)
		if total += size; total > maxSize || effort > maxWork {
			return false
		}
	}
	return true
}
