package edit

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/aymanbagabas/go-udiff"
	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
	"sigs.k8s.io/yaml"
)

var (
	drawText = rapid.OneOf(
		rapid.SampledFrom([]string{
			"", " ", "true", "no", "y", "~", "null", "1", "022", "1.10", "1e3", "0x1F", "12:30", "2001-12-14", "<<", "=", "-", "- a", "a: b", "a #b", "#",
			"'", `"`, `\`, `a\n`, "{a}", "[a", "*x", "&x", "!t", "%d", "@", "`", "|", ">", "?", "? a", "a:", ":a", "---", "...", "ü", "☃ 😀", "\t", "a\nb", "\r", "\u0085",
			"\u2028", "\u00a0", "\ufeff", "${X:-5}", "$$HOME", "postgres://u:p@h:5/d?x=y&z", "a,b", " lead", "trail ",
		}),
		rapid.StringN(0, 20, 40),
	)
	drawKey  = rapid.StringMatching(`[A-Z][A-Z_]{0,3}`)
	services = []string{"web", "db", "job"}
)

// composeFile draws a file of three services with block environments in varied indentation, form, quoting and commenting.
func composeFile(t *rapid.T) string {
	var b strings.Builder
	step := strings.Repeat(" ", rapid.IntRange(1, 4).Draw(t, "step"))
	noise := func(indent string) {
		b.WriteString(rapid.SampledFrom([]string{"", "", "", "\n", indent + "# note: x\n", "# flush\n"}).Draw(t, "noise"))
	}
	b.WriteString("services:\n")
	for _, service := range services {
		noise(step)
		fmt.Fprintf(&b, "%s%s: # service\n%s%simage: x\n", step, service, step, step)
		noise(step)
		form := rapid.SampledFrom([]string{"list", "map", "none"}).Draw(t, "form")
		if form != "none" {
			fmt.Fprintf(&b, "%s%senvironment:\n", step, step)
		}
		keys := rapid.SliceOfNDistinct(drawKey, 1, 4, rapid.ID).Draw(t, "keys")
		inner := strings.Repeat(step, 3)
		for _, key := range keys {
			change := Change{Key: key, Text: drawText.Draw(t, "present")}
			style := rapid.SampledFrom([]style{styleAny, styleSingle, styleDouble}).Draw(t, "style")
			switch form {
			case "list":
				fmt.Fprintf(&b, "%s- %s", inner, listItem(change, style))
			case "map":
				fmt.Fprintf(&b, "%s%s", inner, mapEntry(change, style))
			}
			if form != "none" {
				b.WriteString(rapid.SampledFrom([]string{"\n", "\n", " # why\n"}).Draw(t, "end"))
				noise(inner)
			}
		}
		b.WriteString(rapid.SampledFrom([]string{"", step + step + "restart: always\n"}).Draw(t, "after"))
	}
	text := b.String()
	if rapid.Bool().Draw(t, "crlf") {
		text = strings.ReplaceAll(text, "\n", "\r\n")
	}
	if rapid.Bool().Draw(t, "cut") {
		text = strings.TrimRight(text, "\r\n")
	}
	return text
}

func TestApplyProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		before := composeFile(t)
		changes := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) Change {
			return Change{Service: rapid.SampledFrom(services[:2]).Draw(t, "service"), Key: drawKey.Draw(t, "key"), Text: drawText.Draw(t, "text")}
		}), 1, 4).Draw(t, "changes")
		changes = slices.CompactFunc(changes, func(a, b Change) bool { return a.Service == b.Service && a.Key == b.Key })

		first, err := Apply("compose.yml", []byte(before), changes)
		if err != nil {
			t.Fatal(err)
		}
		if len(first.Refused) > 0 {
			t.Fatalf("refused: %s\n%s", refusals(first), before)
		}
		checkReadsBack(t, before, string(first.Content), changes)
		checkLines(t, before, string(first.Content), len(changes))

		last := lastOfEach(changes)
		second, err := Apply("compose.yml", first.Content, last)
		if err != nil {
			t.Fatal(err)
		}
		if len(second.Applied) != len(last) || string(second.Content) != string(first.Content) {
			t.Fatalf("the second time is no noop:\n%s", cmp.Diff(string(first.Content), string(second.Content)))
		}
	})
}

func lastOfEach(changes []Change) []Change {
	var last []Change
	for i, c := range changes {
		if !slices.ContainsFunc(changes[i+1:], func(d Change) bool { return c.Service == d.Service && c.Key == d.Key }) {
			last = append(last, c)
		}
	}
	return last
}

// checkReadsBack compares the files as another parser reads them: what was changed has its text, all else is as before.
func checkReadsBack(t *rapid.T, before, after string, changes []Change) {
	want, got := readServices(t, before), readServices(t, after)
	for _, c := range changes {
		want[c.Service].environment[c.Key] = c.Text
	}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(readService{})); diff != "" {
		t.Fatalf("-want, +got:\n%s\n%s", diff, after)
	}
}

type readService struct {
	environment map[string]string
	rest        map[string]any
}

func readServices(t *rapid.T, text string) map[string]readService {
	var file struct{ Services map[string]map[string]any }
	if err := yaml.Unmarshal([]byte(text), &file); err != nil {
		t.Fatalf("second parser: %v\n%s", err, text)
	}
	read := map[string]readService{}
	for name, service := range file.Services {
		environment := map[string]string{}
		switch e := service["environment"].(type) {
		case []any:
			for _, item := range e {
				key, value, _ := strings.Cut(item.(string), "=")
				environment[key] = value
			}
		case map[string]any:
			for key, value := range e {
				environment[key] = value.(string)
			}
		}
		delete(service, "environment")
		read[name] = readService{environment, service}
	}
	return read
}

// checkLines: no edit touches more than one line, but for the one that opens a new block.
func checkLines(t *rapid.T, before, after string, changes int) {
	removed, added := 0, 0
	for _, edit := range udiff.Lines(before, after) {
		removed += strings.Count(strings.TrimSuffix(before[edit.Start:edit.End], "\n")+"\n", "\n")
		if edit.Start == edit.End {
			removed--
		}
		added += strings.Count(strings.TrimSuffix(edit.New, "\n"), "\n") + 1
	}
	if !strings.HasSuffix(before, "\n") && added > 0 {
		removed-- // the last line is shown as changed when it gets a line break
	}
	if removed > changes || added > 2*changes+1 {
		t.Fatalf("%d lines removed and %d added by %d changes:\n%s", removed, added, changes, Unified("f", []byte(before), []byte(after)))
	}
}

func FuzzApply(f *testing.F) {
	f.Add("services:\n  a:\n    environment:\n    - A=1\n", "a", "A", "2", "B", "3")
	f.Add("services:\r\n  a:\r\n    environment:\r\n      A: |+\r\n        x\r\n\r\n", "a", "A", "2", "B", "'\"\\")
	f.Add("\ufeffservices: {a: &a {<<: *a}}\n", "a", "A", "2", "B", "3")
	f.Add("services:\n  a:\n    image: >\n     x", "a", "A", "2", "B", "3")
	f.Add("services:\n  a:\n    environment:\n      ? A\n      : b\n      \"c\\\n d\": e", "a", "A", "2", "B", "3")
	f.Fuzz(func(t *testing.T, data, service, key1, text1, key2, text2 string) {
		changes := []Change{{Service: service, Key: key1, Text: text1}, {Service: service, Key: key2, Text: text2}}
		got, err := Apply("compose.yml", []byte(data), changes)
		if err != nil {
			return
		}
		if len(got.Applied)+len(got.Refused) != len(changes) {
			t.Fatalf("%d applied and %d refused", len(got.Applied), len(got.Refused))
		}
		if string(got.Content) == data {
			return
		}
		before, _ := parse([]byte(data))
		after, err := parse(got.Content)
		if err != nil || !proved(before, after, got.Applied) {
			t.Fatalf("unproved content (%v):\n%s", err, got.Content)
		}
		again, err := Apply("compose.yml", got.Content, lastOfEach(got.Applied))
		if err != nil || string(again.Content) != string(got.Content) {
			t.Fatalf("not idempotent (%v):\n%s\n%s", err, got.Content, again.Content)
		}
	})
}
