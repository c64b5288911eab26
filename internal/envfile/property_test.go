package envfile

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

var (
	// namesKey matches what may name a key of a drawn file. The texts name none, so that their value is known without the file.
	namesKey = regexp.MustCompile(`\$\{?[A-Z]`)

	drawText = rapid.OneOf(
		rapid.SampledFrom([]string{
			"", " ", "true", "a b", "a #b", "#", "#a", "a#b", "'", `"`, "it's", `"q"`, `'"`, `\`, `\\`, `\'`, `a\n`, `C:\dir\`, "\t", "a\nb", "\n", "a\r\nb", "\r", "\v", "\u00a0x",
			"\u0085", "\u2028", "\ufeff", "ü", "☃ 😀", "$$", "$$HOME", "$$$$", "$ ", "5$", `\$$x`, "${x:-5}", "${x:-a b}", `${x:-"}`, "$x", "${x}'", "${x+y}", "${x:-${y:-'}}", "pa$$$$w0rd",
			"postgres://u:p@h:5/d?x=y&z", "a,b", " lead", "trail ", "=", "A=1", ":", "x: y", "export", `\"`, `\0101`, "`id`", "$(id)", "a;b|c", "-----BEGIN-----\nabc\n-----END-----\n",
		}),
		rapid.StringN(0, 20, 40).Filter(func(s string) bool { return !namesKey.MatchString(s) }),
	)
	drawKey = rapid.StringMatching(`[A-Z][A-Z_]{0,2}`)
)

// writtenValues are what a person may have written behind an =.
var writtenValues = []string{
	"1", "", "''", `""`, "'a b'", `"a b"`, "a b", "a#b", "# no comment", "'it\\'s'", `"\"q\" \$x"`, "'x\ny'", "\"x\n\ny\"", "${Z}", "'${Z}'", `"${Z:-d}"`, "$$z", `\`, `'\\'`, "a\\nb", `"a\nb"`, "ü",
}

// envFile draws a file of statements in varied form, with comments and blanks about them.
func envFile(t *rapid.T) string {
	var b strings.Builder
	noise := rapid.SampledFrom([]string{"", "", "", "\n", "# note\n", "#A=1\n", "  \n", "  # '\n"})
	for _, key := range rapid.SliceOfN(drawKey, 0, 6).Draw(t, "keys") {
		b.WriteString(noise.Draw(t, "noise"))
		b.WriteString(rapid.SampledFrom([]string{"", "", "", "export ", "  ", "\texport\t"}).Draw(t, "lead") + key)
		if rapid.IntRange(0, 9).Draw(t, "bare") > 0 {
			b.WriteString(rapid.SampledFrom([]string{"=", "=", "=", " = ", ": ", ":", "= "}).Draw(t, "separator"))
			b.WriteString(rapid.SampledFrom(writtenValues).Draw(t, "value"))
			b.WriteString(rapid.SampledFrom([]string{"", "", "  ", " # why", " # it's"}).Draw(t, "trail"))
		}
		b.WriteString("\n")
	}
	b.WriteString(noise.Draw(t, "end"))
	text := b.String()
	if rapid.Bool().Draw(t, "crlf") {
		text = strings.ReplaceAll(text, "\n", "\r\n")
	}
	if rapid.Bool().Draw(t, "cut") {
		text = strings.TrimRight(text, "\r\n")
	}
	if rapid.Bool().Draw(t, "bom") {
		text = "\ufeff" + text
	}
	return text
}

func rawFile(t *rapid.T) string {
	var b strings.Builder
	for _, key := range rapid.SliceOfN(drawKey, 0, 6).Draw(t, "keys") {
		b.WriteString(rapid.SampledFrom([]string{"", "", "# note\n", "\n"}).Draw(t, "noise"))
		b.WriteString(rapid.SampledFrom([]string{"", " "}).Draw(t, "lead") + key)
		b.WriteString(rapid.SampledFrom([]string{"", "=", "=1", "='a' # b", "= ${X} "}).Draw(t, "value") + "\n")
	}
	return strings.TrimSuffix(b.String(), rapid.SampledFrom([]string{"", "\n"}).Draw(t, "cut"))
}

func drawFile(t *rapid.T) (content, format string) {
	if rapid.IntRange(0, 4).Draw(t, "format") == 0 {
		return rawFile(t), FormatRaw
	}
	return envFile(t), ""
}

func drawChange(t *rapid.T) Change {
	c := Change{Key: drawKey.Draw(t, "key"), Remove: rapid.IntRange(0, 3).Draw(t, "remove") == 0}
	if !c.Remove {
		c.Text = drawText.Draw(t, "text")
	}
	return c
}

func apply(t *rapid.T, content, format string, changes ...Change) Result {
	t.Helper()
	got, err := Apply(".env", []byte(content), format, changes)
	if err != nil {
		t.Fatalf("%v\n%q", err, content)
	}
	return got
}

// Only the intended keys change, they say what they were to say, and to say it again moves nothing.
func TestApplyProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		before, format := drawFile(t)
		if !readable([]byte(before), format) {
			t.Skip("a quote that is never closed")
		}
		changes := rapid.SliceOfN(rapid.Custom(drawChange), 1, 4).Draw(t, "changes")
		first := apply(t, before, format, changes...)
		for _, refusal := range first.Refused {
			if refusal.Reason == ReasonUnproven {
				t.Fatalf("unproven: %+v\n%q", refusal, before)
			}
		}
		if wrong := wrongValues([]byte(before), first.Content, format, first.Applied...); wrong != "" {
			t.Fatalf("%s\n%q\n%q", wrong, before, first.Content)
		}
		if !slices.ContainsFunc(first.Applied, func(c Change) bool { return c.Remove }) {
			if removed, added := movedLines([]byte(before), first.Content); len(added) > len(removed)+len(first.Applied) && !strings.Contains(before, "'x") {
				t.Fatalf("%d lines became %d:\n%q\n%q", len(removed), len(added), before, first.Content)
			}
		}
		second := apply(t, string(first.Content), format, lastOfEach(first.Applied)...)
		if len(second.Refused) > 0 || string(second.Content) != string(first.Content) {
			t.Fatalf("the second time is no noop: %s\n%q\n%q", refusals(second), first.Content, second.Content)
		}
	})
}

func lastOfEach(changes []Change) []Change {
	var last []Change
	for i, c := range changes {
		if !slices.ContainsFunc(changes[i+1:], func(d Change) bool { return c.Key == d.Key }) {
			last = append(last, c)
		}
	}
	return last
}

// To add a key and take it out again leaves the file as it was, byte for byte.
func TestApplyUndo(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		before, format := drawFile(t)
		if !readable([]byte(before), format) {
			t.Skip("a quote that is never closed")
		}
		added := apply(t, before, format, set("NEW_KEY", drawText.Draw(t, "text")))
		if len(added.Refused) > 0 {
			t.Skip(added.Refused[0].Reason)
		}
		gone := apply(t, string(added.Content), format, remove("NEW_KEY"))
		if diff := cmp.Diff(before, string(gone.Content)); diff != "" {
			t.Fatalf("refused %s: -want, +got:\n%s", refusals(gone), diff)
		}
	})
}

// Whatever the text, quotes can be found that hold it, and the package's own reading of them is compose-go's.
func TestQuote(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := drawText.Draw(t, "text")
		if strings.ContainsRune(text, 0) || !readable([]byte(`A="`+strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(text)+`"`), "") {
			t.Skip("no template")
		}
		style := rapid.SampledFrom([]style{stylePlain, styleSingle, styleDouble})
		q := quoting{kept: style.Draw(t, "kept"), house: style.Draw(t, "house"), shell: rapid.Bool().Draw(t, "shell"), lines: rapid.Bool().Draw(t, "lines"), noted: true}
		content := fmt.Sprintf("X=1\nA=%s # why\nB=2\n", q.quote(text))
		if wrong := wrongValues([]byte("X=1\nB=2\n"), []byte(content), "", set("A", text)); wrong != "" {
			t.Fatalf("%s\n%s", wrong, content)
		}
		if got := scan([]byte(content))[1].template(); !sameText(got, text) {
			t.Fatalf("%q reads back as %q\n%s", text, got, content)
		}
	})
}

// FuzzApply: no file and no change makes it panic or hang, and what it applies can be read back.
func FuzzApply(f *testing.F) {
	f.Add("\ufeffexport A=1\r\nexport B='x\r\ny' # c\r\n", false, "A", "${X:-1}", "C", "it's", false)
	f.Add("A=1\nB=${A}\nA: \"x\" # c\nD", false, "A", "$$", "B", "", true)
	f.Add("A= # c\nexport\nB =\n=x\nC='\\'' D=", false, "D", "\\", "A", "#", false)
	f.Add("A=${X:?}${Y:-${Z}}$A\n", false, "A", "${X?}", "B", "$A$A", false)
	f.Add("A\r\n B= 1 \n#", true, "A", " x", "C", "$", true)
	f.Add("A=1\nA=\"1\"A=\"2\n\"B=1", false, "A", "x", "A", "", true)
	f.Fuzz(func(t *testing.T, content string, raw bool, key1, text1, key2, text2 string, gone bool) {
		format := ""
		if raw {
			format = FormatRaw
		}
		changes := []Change{set(key1, text1), {Key: key2, Text: text2, Remove: gone}}
		got, err := Apply(".env", []byte(content), format, changes)
		if err != nil {
			return
		}
		if len(got.Applied)+len(got.Refused) != len(changes) {
			t.Fatalf("%d applied and %d refused", len(got.Applied), len(got.Refused))
		}
		again, err := Apply(".env", got.Content, format, lastOfEach(got.Applied))
		if err != nil || string(again.Content) != string(got.Content) {
			t.Fatalf("not idempotent (%v):\n%q\n%q", err, got.Content, again.Content)
		}
		if len(got.Applied) == 0 || !readable([]byte(content), format) {
			return
		}
		keys := map[string]bool{}
		for _, c := range got.Applied {
			keys[c.Key] = true
		}
		for _, shell := range shells() {
			was, errBefore := readAs([]byte(content), format, shell)
			is, errAfter := readAs(got.Content, format, shell)
			if errBefore != nil || errAfter != nil {
				continue
			}
			for key := range was {
				if !keys[key] && (is[key] != was[key] || !has(is, key)) {
					t.Fatalf("%q changed:\n%q\n%q", key, content, got.Content)
				}
			}
		}
	})
}
