package edit_test

import (
	"context"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/composure-dev/composure/internal/edit"
)

// TestCorpus edits compose files in every way and lets the judges say what is wrong: each service gets a new variable, loses it
// again, and has each of its variables changed and some removed; and all services of a file are asked at once.
//
// COMPOSURE_CORPUS names a folder of real files. Without it the project's own files in testdata/corpus are edited.
func TestCorpus(t *testing.T) {
	files, left := corpus(t, 12)
	r := newReport(t)
	r.each(files, func(s *subject, number int) {
		(&trial{report: r, subject: s, number: number, judged: judgedShare(s)}).everything()
	})
	r.print("files", len(files), left)
}

// corpus lists the compose files to edit, and how many were left out: under the race detector and with -short only every nth of
// a foreign corpus is taken, by its place in the sorted list. The project's own files are always taken.
func corpus(t *testing.T, nth int) (paths []string, left int) {
	t.Helper()
	own := composeFiles(t, filepath.Join("testdata", "corpus"))
	root := os.Getenv("COMPOSURE_CORPUS")
	if root == "" {
		t.Logf("COMPOSURE_CORPUS, a folder of compose files, is not set: only the %d files of testdata/corpus are edited", len(own))
		return own, 0
	}
	all := composeFiles(t, root)
	if len(all) == 0 {
		t.Fatalf("no compose file under COMPOSURE_CORPUS=%s", root)
	}
	if !raceEnabled() && !testing.Short() {
		return append(own, all...), 0
	}
	if raceEnabled() {
		nth *= 12
	}
	for i, path := range all {
		if i%nth == 0 {
			own = append(own, path)
		} else {
			left++
		}
	}
	return own, left
}

func composeFiles(t *testing.T, root string) []string {
	t.Helper()
	root, err := filepath.Abs(root)
	if err != nil {
		t.Fatal(err)
	}
	var paths []string
	err = filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err == nil && !entry.IsDir() && slices.Contains([]string{".yml", ".yaml"}, filepath.Ext(path)) {
			paths = append(paths, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return paths
}

// raceEnabled reports whether the tests run under the race detector, which makes them many times slower.
func raceEnabled() bool {
	info, ok := debug.ReadBuildInfo()
	return ok && slices.Contains(info.Settings, debug.BuildSetting{Key: "-race", Value: "true"})
}

// judgedShare is n when compose-go judges every nth edit of a file, and the second YAML parser too. What they cost grows with the
// file, and a big file has many entries: without a limit a few files would take most of the time. Edits of several services at
// once are always judged by both. With COMPOSURE_CORPUS_EVERY=1 there is no limit, and it takes long.
func judgedShare(s *subject) int { return share(s, 5000) }

// keysShare is n when only every nth key of a file is changed, for the same reason.
func keysShare(s *subject) int { return share(s, 15_000) }

func share(s *subject, size int) int {
	if os.Getenv("COMPOSURE_CORPUS_EVERY") == "1" {
		return 1
	}
	return 1 + len(s.data)/size
}

// palette are values that go wrong when they are written carelessly. The one that stands for no value is a bare key.
var palette = []string{
	"changed", "", " ", "two words", " lead", "trail ", "a\nb", "\n", "a\n\nb\n", " a\n  b", "tab\there", "\t", "a: b", "a:", ": a", ":", "a #b", "#", "a#b", "'", `"`, `it's "so"`, `\`, `\n`, `a\"b`, "''", `""`,
	"$HOME", "$$HOME", "${X:-5}", "${X:-a b}", "${X:-${Y:-z}}", "$$", "a$$b${C-d}", "100%$", "${", "{{.Name}}", "true", "false", "yes", "No", "on", "Off", "y", "N", "null", "Null", "~", "nil",
	"0", "1", "-1", "022", "0o17", "0x1F", "0b1", "1.10", "1.", ".5", "1e3", "1_000", "+5", "-0", ".inf", "-.INF", ".nan", "12:30", "12:30:45", "2001-12-14", "2001-12-14T21:59:43Z", "9223372036854775808",
	"{a}", "{a: b}", "[x]", "[", "]", "}", ",", "a,b", "*a", "&a", "!t", "!!str", "|", "|-", ">", "%d", "@x", "`x`", "-", "--", "- a", "? a", "?", "---", "...", "--- a", "=", "a=b", "==", "<<", "<<: x",
	"ü", "Ünïcödé ☃", "😀", "日本語", "\u00a0", "\u0085", "\u2028", "\ufeff", "\u200b", "\x01", "\x7f", "\r", "a\r\nb", "postgres://u:p@h:5/d?x=y&z#f", `{"a": "b", "c": [1, 2]}`, `C:\dir\n`, "a  b", "x\n# y", "key: [", "a\tb # c",
	strings.Repeat("long ", 60) + "end", strings.Repeat("x", 300), barePalette,
}

const barePalette = "(bare)"

func set(service, key string, number int) edit.Change {
	text := palette[number%len(palette)]
	if text == barePalette {
		return edit.Change{Service: service, Key: key, Bare: true}
	}
	return edit.Change{Service: service, Key: key, Text: text}
}

const newKey = "COMPOSURE_NEW"

// trial is one file with the edits that are made to it.
type trial struct {
	*report
	*subject
	number int // of the file: it picks values from the palette
	judged int // see judgedShare
	edits  int
	prefix string // of the kinds in the report
}

func (t *trial) everything() {
	names := t.services()
	for i, name := range names {
		t.addAndUndo(set(name, newKey, t.number+i))
	}
	for i, name := range names {
		keys := t.keys(name)
		for j, key := range keys {
			if (i+j)%keysShare(t.subject) != 0 {
				t.count("change", "left out")
				continue
			}
			t.make("change", set(name, key, t.number+7*i+j))
		}
		for _, key := range ends(keys) {
			t.make("remove", edit.Change{Service: name, Key: key, Remove: true})
		}
	}
	t.together(names)
	t.make("create", edit.Change{Service: "composure-new", Key: newKey, Text: palette[t.number%60], Create: true})
	t.mustRefuse("service-missing", edit.Change{Service: "composure-missing", Key: newKey, Text: "1"})
	if len(names) > 0 {
		t.mustRefuse("invalid-key", edit.Change{Service: names[0], Key: []string{"", "A=B", "A B", "A\nB"}[t.number%4], Text: "1"})
	}
}

// together asks every service at once: for a new key, and for the key that most of them have.
func (t *trial) together(names []string) {
	if len(names) == 0 {
		return
	}
	counts := map[string]int{}
	for _, name := range names {
		for _, key := range t.keys(name) {
			counts[key]++
		}
	}
	common := ""
	for _, key := range slices.Sorted(maps.Keys(counts)) {
		if counts[key] > counts[common] {
			common = key
		}
	}
	add, change, remove := []edit.Change{}, []edit.Change{}, []edit.Change{}
	for _, name := range names {
		add = append(add, set(name, newKey, t.number))
		if common != "" && slices.Contains(t.keys(name), common) {
			change = append(change, set(name, common, t.number+1))
			remove = append(remove, edit.Change{Service: name, Key: common, Remove: true})
		}
	}
	t.make("add to all", add...)
	if common != "" {
		t.make("change in all", change...)
		t.make("remove from all", remove...)
	}
}

// thin takes at most n of a list: the first, the last and some between.
func thin[T any](list []T, n int) []T {
	if n == 0 || len(list) <= n {
		return list
	}
	out := make([]T, n)
	for i := range n {
		out[i] = list[i*(len(list)-1)/max(n-1, 1)]
	}
	return out
}

func ends(keys []string) []string {
	return slices.Compact(thin(keys, 3))
}

// services are those that any document of the file defines, sorted.
func (s *subject) services() []string {
	names := map[string]bool{}
	for _, doc := range s.yaml {
		services, _ := untagged(member(doc, "services")).(map[string]any)
		for name := range services {
			names[name] = true
		}
	}
	return slices.Sorted(maps.Keys(names))
}

// keys are those of a service's environment, own and inherited, as YAML resolves them; but for such as compose interpolates.
func (s *subject) keys(service string) []string {
	keys := map[string]bool{}
	for _, doc := range s.yaml {
		e, _ := environment(member(doc, "services", service, "environment"))
		for key := range e {
			if !strings.Contains(key, "$") && !strings.HasSuffix(key, " (again)") {
				keys[key] = true
			}
		}
	}
	return slices.Sorted(maps.Keys(keys))
}

// apply calls the editor and holds what it must always hold: no error, no panic, every change in one of the two lists, reasons
// from the list and with a hint, no byte moved when all is refused.
func (t *trial) apply(kind string, data []byte, changes []edit.Change) (result edit.Result, ok bool) {
	defer func() {
		if r := recover(); r != nil {
			t.fail(kind, "apply", t.name, changes, fmt.Sprintf("panic: %v\n%s", r, debug.Stack()))
			ok = false
		}
	}()
	result, err := edit.Apply(t.name, data, changes)
	if err != nil {
		t.fail(kind, "apply", t.name, changes, "error: "+err.Error())
		return result, false
	}
	for _, what := range malformed(data, changes, result) {
		t.fail(kind, "refusal", t.name, changes, what)
		ok = false
	}
	return result, true
}

// reasons is the closed list. No real file may be too large or unproven.
var reasons = []string{"too-large", "shared", "inherited", "ambiguous", "reset", "shape", "encoding", "service-missing", "invalid-key", "unproven"}

// malformed is what is wrong with a result whatever the file is.
func malformed(data []byte, changes []edit.Change, r edit.Result) []string {
	var found []string
	for _, refusal := range r.Refused {
		switch {
		case !slices.Contains(reasons, string(refusal.Reason)):
			found = append(found, fmt.Sprintf("the reason %q is not in the list", refusal.Reason))
		case refusal.Reason == "unproven":
			found = append(found, "unproven: "+refusal.Message)
		}
		if refusal.Hint == "" || refusal.Message == "" {
			found = append(found, fmt.Sprintf("a refusal %q without hint or message", refusal.Reason))
		}
		if refusal.Line < 0 || refusal.Line > strings.Count(string(data), "\n")+1 {
			found = append(found, fmt.Sprintf("a refusal for line %d", refusal.Line))
		}
		if c := refusal.Change; c.Sensitive && len(c.Text) > 6 && !strings.Contains(c.Service+" "+c.Key, c.Text) && strings.Contains(refusal.Message+refusal.Hint, c.Text) {
			found = append(found, "a sensitive text is shown: "+refusal.Hint)
		}
		if !slices.Contains(changes, refusal.Change) {
			found = append(found, fmt.Sprintf("a refusal of something else: %+v", refusal.Change))
		}
	}
	if len(r.Applied)+len(r.Refused) != len(changes) {
		found = append(found, fmt.Sprintf("%d applied and %d refused of %d", len(r.Applied), len(r.Refused), len(changes)))
	}
	for _, c := range r.Applied {
		if !slices.Contains(changes, c) {
			found = append(found, fmt.Sprintf("applied something else: %+v", c))
		}
	}
	if len(r.Applied) == 0 && string(r.Content) != string(data) {
		found = append(found, "everything is refused and yet bytes moved")
	}
	return found
}

// make makes an edit and has it judged. It returns the edited file, nil when there is nothing new.
func (t *trial) make(kind string, changes ...edit.Change) []byte {
	t.edits++
	kind = t.prefix + kind
	result, ok := t.apply(kind, t.data, changes)
	if !ok {
		return nil
	}
	for _, refusal := range result.Refused {
		t.refused(kind, t.name, refusal)
		if len(changes) > 1 {
			t.sameLine(kind, refusal)
		}
		if (refusal.Reason == "shared" || refusal.Reason == "inherited") && !slices.ContainsFunc(t.services(), func(name string) bool {
			return name != refusal.Change.Service && strings.Contains(refusal.Message+refusal.Hint, name)
		}) {
			t.count(kind, "shared with nobody named")
		}
		if refusal.Reason == "too-large" {
			t.fail(kind, "refusal", t.name, changes, "a file that somebody wrote is not too large")
		}
	}
	in := intentOf(result.Applied)
	if string(result.Content) == string(t.data) {
		if len(result.Applied) > 0 {
			t.count(kind, "noop")
			t.judgeNoop(kind, result.Applied, in)
		}
		return nil
	}
	t.count(kind, "edited")
	t.judge(kind, result.Content, result.Applied, in)
	again, ok := t.apply(kind, result.Content, result.Applied)
	if ok && (len(again.Refused) > 0 || string(again.Content) != string(result.Content)) {
		t.fail(kind, "twice", t.name, changes, fmt.Sprintf("the second time is no noop: refused %s\n%s",
			reasonsOf(again), showHunks(result.Content, again.Content)))
	}
	return result.Content
}

// sameLine: a refusal names a line of the file as it is, whatever the changes before it moved. Where it is for what others were
// asked, the reason lies elsewhere.
func (t *trial) sameLine(kind string, refusal *edit.Refusal) {
	if refusal.Reason == "shared" || refusal.Reason == "inherited" {
		return
	}
	alone, ok := t.apply(kind, t.data, []edit.Change{refusal.Change})
	if !ok || len(alone.Refused) != 1 || alone.Refused[0].Reason != refusal.Reason {
		return
	}
	if want := alone.Refused[0].Line; refusal.Line != want {
		t.fail(kind, "refusal", t.name, []edit.Change{refusal.Change}, fmt.Sprintf("refused for line %d, by itself for line %d", refusal.Line, want))
	}
}

func reasonsOf(r edit.Result) string {
	var out []string
	for _, refusal := range r.Refused {
		out = append(out, string(refusal.Reason))
	}
	return "[" + strings.Join(out, " ") + "]"
}

// judge asks every judge.
func (t *trial) judge(kind string, after []byte, changes []edit.Change, in intent) {
	fail := func(judge string, found []string) {
		if len(found) > 0 {
			t.fail(kind, judge, t.name, changes, strings.Join(found, "\n")+"\n"+showHunks(t.data, after))
		}
	}
	fail("lines", t.linesSay(after, in))
	turn := func(offset int) bool { return (t.edits+t.number+offset)%t.judged == 0 || len(changes) > 1 }
	found, second := t.yamlSays(after, in, turn(t.judged/2))
	fail("yaml", found)
	if second {
		t.count(kind, "by goccy")
	}
	if !turn(0) {
		return
	}
	found, loads := t.composeSays(t.ctx, after, in)
	fail("compose", found)
	if loads {
		t.count(kind, "by compose")
	} else {
		t.count(kind, "compose cannot load")
	}
}

// judgeNoop: what moved no byte must read as wanted already.
func (t *trial) judgeNoop(kind string, changes []edit.Change, in intent) {
	found := unmet(t.yaml, in)
	if len(found) == 0 {
		return
	}
	// YAML may not know what compose does: an extended service may have the key.
	if more, loads := t.composeSays(t.ctx, t.data, in); loads && len(more) == 0 {
		return
	}
	t.fail(kind, "noop", t.name, changes, strings.Join(found, "\n"))
}

// addAndUndo adds a key, and takes it out again: the file must be the original, byte for byte, where it can be.
func (t *trial) addAndUndo(change edit.Change) {
	after := t.make("add", change)
	if after == nil {
		return
	}
	kind := t.prefix + "undo"
	undo := edit.Change{Service: change.Service, Key: change.Key, Remove: true}
	result, ok := t.apply(kind, after, []edit.Change{undo})
	switch {
	case !ok:
		return
	case len(result.Refused) > 0:
		t.refused(kind, t.name, result.Refused[0])
		t.fail(kind, "undo", t.name, []edit.Change{change}, "what was added cannot be removed: "+reasonsOf(result)+"\n"+showHunks(t.data, after))
		return
	case string(result.Content) == string(t.data):
		t.count(kind, "identical")
		return
	}
	why := t.inexact(change.Service)
	if why == "" {
		t.fail(kind, "undo", t.name, []edit.Change{change}, "add and remove is not the original:\n"+showHunks(t.data, result.Content))
		return
	}
	t.count(kind, "by design: "+why)
	if found, _ := t.yamlSays(result.Content, intentOf([]edit.Change{undo}), true); len(found) > 0 {
		t.fail(kind, "yaml", t.name, []edit.Change{change}, strings.Join(found, "\n"))
	}
}

// inexact is why adding a key to a service and removing it again need not lead to the same bytes, or empty. It is so where the
// addition has to replace something that a removal cannot know of.
func (s *subject) inexact(service string) string {
	for _, p := range s.places(service) {
		switch {
		case p.service == nil:
		case p.service.Tag == "!!null":
			return "a null service"
		case opens(p.service) && !flow(p.service):
			return "the service is an alias"
		case p.environment == nil && s.inherits(service):
			return "the environment is inherited"
		case p.environment == nil && s.deepComment(p):
			return "a comment deeper than the service's keys, which a new block above it seems to hold"
		case p.environment == nil:
		case p.environment.Tag == "!!null":
			return "a null environment"
		case opens(p.environment) && !flow(p.environment):
			return "the environment is an alias"
		}
	}
	return ""
}

// inherits reports whether a service has an environment by a merge key.
func (s *subject) inherits(service string) bool {
	return slices.ContainsFunc(s.yaml, func(doc any) bool { return member(doc, "services", service, "environment") != nil })
}

func (s *subject) deepComment(p place) bool {
	for number := p.service.Line; number <= len(s.lines) && !flow(p.service); number++ {
		text := s.text(number)
		if comment(text) && indentOf(text) >= p.service.Column {
			return true
		}
		if !idle(text) && indentOf(text) <= indentOf(s.text(p.serviceKey.Line)) && number > p.serviceKey.Line {
			break
		}
	}
	return false
}

func (t *trial) mustRefuse(reason string, change edit.Change) {
	result, ok := t.apply(reason, t.data, []edit.Change{change})
	if !ok {
		return
	}
	for _, refusal := range result.Refused {
		t.refused(reason, t.name, refusal)
		if got := string(refusal.Reason); got != reason && got != "encoding" && got != "shape" && got != "ambiguous" {
			t.fail(reason, "refusal", t.name, []edit.Change{change}, "refused as "+got)
		}
	}
	if len(result.Refused) == 0 {
		t.fail(reason, "refusal", t.name, []edit.Change{change}, "was not refused")
	}
}

func showHunks(before, after []byte) string {
	var b strings.Builder
	for _, h := range hunks(splitLines(before), splitLines(after)) {
		fmt.Fprintf(&b, "  line %d\n", h.from+1)
		for _, l := range h.del {
			fmt.Fprintf(&b, "  - %q\n", l.text+l.eol)
		}
		for _, l := range h.add {
			fmt.Fprintf(&b, "  + %q\n", l.text+l.eol)
		}
	}
	return b.String()
}

// ---- Report ----

// report counts what happened, for one table at the end, and keeps the first examples of what is wrong.
type report struct {
	t   *testing.T
	ctx context.Context //nolint:containedctx // the test's own, which lives as long as the report

	mu       sync.Mutex
	rows     map[string]map[string]int
	examples map[string][]string
	wrong    map[string][]string // by kind and judge
	parsed   int
	broken   int
}

func newReport(t *testing.T) *report {
	return &report{t: t, ctx: t.Context(), rows: map[string]map[string]int{}, examples: map[string][]string{}, wrong: map[string][]string{}}
}

func (r *report) count(kind, what string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.rows[kind] == nil {
		r.rows[kind] = map[string]int{}
	}
	r.rows[kind][what]++
}

func (r *report) refused(kind, name string, refusal *edit.Refusal) {
	r.count(kind, "refused "+string(refusal.Reason))
	r.mu.Lock()
	defer r.mu.Unlock()
	of := kind + ", refused as " + string(refusal.Reason)
	if len(r.examples[of]) < 2 {
		r.examples[of] = append(r.examples[of], fmt.Sprintf("%s:%d: %s.%q: %s: %s", name, refusal.Line, refusal.Change.Service, refusal.Change.Key,
			refusal.Message, clip(refusal.Hint)))
	}
}

func clip(text string) string {
	if len(text) > 300 {
		return text[:300] + "…"
	}
	return text
}

func (r *report) fail(kind, judge, name string, changes []edit.Change, what string) {
	r.count(kind, "WRONG by "+judge)
	r.mu.Lock()
	defer r.mu.Unlock()
	text := fmt.Sprintf("%+v", changes)
	r.wrong[judge+" "+kind] = append(r.wrong[judge+" "+kind], fmt.Sprintf("%s: %s: wrong by %s: %s\n%s", name, kind, judge, clip(text), what))
}

// each runs work on every file that is YAML, on as many processors as there are.
func (r *report) each(paths []string, work func(s *subject, number int)) {
	numbers := make(chan int)
	var workers sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		workers.Go(func() {
			for number := range numbers {
				r.one(paths[number], number, work)
			}
		})
	}
	for number := range paths {
		numbers <- number
	}
	close(numbers)
	workers.Wait()
}

func (r *report) one(path string, number int, work func(s *subject, number int)) {
	data, err := os.ReadFile(path)
	if err != nil {
		r.t.Error(err)
		return
	}
	name := path
	for _, root := range []string{os.Getenv("COMPOSURE_CORPUS"), "."} {
		root, err := filepath.Abs(root)
		if below, errBelow := filepath.Rel(root, path); err == nil && errBelow == nil && filepath.IsLocal(below) {
			name = filepath.ToSlash(below)
		}
	}
	s, err := newSubject(name, path, data)
	r.mu.Lock()
	if err == nil {
		r.parsed++
	} else {
		r.broken++
	}
	r.mu.Unlock()
	if err != nil {
		if _, err := edit.Apply(name, data, []edit.Change{{Service: "a", Key: "A"}}); err == nil {
			r.fail("not YAML", "apply", name, nil, "the editor accepts what the parser does not")
		}
		return
	}
	work(s, number)
}

// print logs the table and fails the test for everything that is wrong.
func (r *report) print(what string, total, left int) {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %d, parsed %d, not YAML %d, left out %d\n", what, total, r.parsed, r.broken, left)
	for _, kind := range slices.Sorted(maps.Keys(r.rows)) {
		fmt.Fprintf(&b, "%-18s", kind)
		for _, column := range slices.Sorted(maps.Keys(r.rows[kind])) {
			fmt.Fprintf(&b, "  %s %d", column, r.rows[kind][column])
		}
		b.WriteString("\n")
	}
	for _, of := range slices.Sorted(maps.Keys(r.examples)) {
		for _, example := range r.examples[of] {
			fmt.Fprintf(&b, "  %s: %s\n", of, example)
		}
	}
	r.t.Log(b.String())
	shown, all := 0, 0
	for round := range 20 { // one of each sort first
		for _, sort := range slices.Sorted(maps.Keys(r.wrong)) {
			list := r.wrong[sort]
			if round == 0 {
				slices.Sort(list)
				all += len(list)
			}
			if round < len(list) && shown < 20 {
				shown++
				r.t.Error(list[round])
			}
		}
	}
	if all > shown {
		r.t.Errorf("%d more are wrong", all-shown)
	}
}
