package envfile

import (
	"strings"
	"testing"

	"github.com/compose-spec/compose-go/v2/dotenv"
	"github.com/docker/cli/pkg/kvfile"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

func TestScan(t *testing.T) {
	for name, tc := range map[string]struct {
		reason  string
		content string
		want    []Statement
	}{
		"Plain":        {"comments and blanks count as lines", "\n# c\nA=1\n", []Statement{{Key: "A", Text: "1", Line: 3, Raw: "A=1"}}},
		"Comment":      {"# begins a comment after a space only", "A=a#b # c\n", []Statement{{Key: "A", Text: "a#b", Line: 1, Raw: "A=a#b # c"}}},
		"No comment":   {"a # that follows the = begins the value", "A= # c\n", []Statement{{Key: "A", Text: "# c", Line: 1, Raw: "A= # c"}}},
		"Quotes":       {"an escaped quote does not end it", `A="x\"y"` + "\n", []Statement{{Key: "A", Text: `x\"y`, Line: 1, Raw: `A="x\"y"`}}},
		"MultiLine":    {"a quoted value goes over lines", "A='x\ny'\nB=2\n", []Statement{{Key: "A", Text: "x\ny", Line: 1, Raw: "A='x\ny'", Literal: true}, {Key: "B", Text: "2", Line: 3, Raw: "B=2"}}},
		"Unterminated": {"a quote that is never closed takes the rest", "A='x\nB=2", []Statement{{Key: "A", Text: "x\nB=2", Line: 1, Raw: "A='x\nB=2", Literal: true}}},
		"Bare":         {"KEY alone", "A\nexport B\n", []Statement{{Key: "A", Bare: true, Line: 1, Raw: "A"}, {Key: "B", Bare: true, Line: 2, Raw: "export B"}}},
		"Bare end":     {"KEY alone at the end is a value without a name", "A=1\nB", []Statement{{Key: "A", Text: "1", Line: 1, Raw: "A=1"}, {Text: "B", Line: 2, Raw: "B"}}},
		"Colon":        {"a YAML style assignment", "A: 1\n", []Statement{{Key: "A", Text: "1", Line: 1, Raw: "A: 1"}}},
		"BOM":          {"a byte order mark is no part of the key", "\ufeffA=1\n", []Statement{{Key: "A", Text: "1", Line: 1, Raw: "A=1"}}},
		"CRLF":         {"nor is a carriage return of the value", "A=1\r\nB\r\n\r\nC=\"1\r\n2\"\r\n", []Statement{{Key: "A", Text: "1", Line: 1, Raw: "A=1"}, {Key: "B", Bare: true, Line: 2, Raw: "B"}, {Key: "C", Text: "1\r\n2", Line: 4, Raw: "C=\"1\r\n2\""}}},
		"Same line":    {"what follows a quoted value is a statement", "A=\"1\"B='2' # c\n", []Statement{{Key: "A", Text: "1", Line: 1, Raw: `A="1"`}, {Key: "B", Text: "2", Line: 1, Raw: "B='2' # c", Literal: true}}},
		"Unreadable":   {"a line that cannot be read is one all the same", "A B=1\nC!\nD=1\n", []Statement{{Key: "A B", Text: "1", Line: 1, Raw: "A B=1"}, {Key: "C!", Bare: true, Line: 2, Raw: "C!"}, {Key: "D", Text: "1", Line: 3, Raw: "D=1"}}},
		"Empty":        {"nothing is in it", "\ufeff \n#A=1\n", nil},
	} {
		t.Run(name, func(t *testing.T) {
			got := Scan([]byte(tc.content))
			places := cmpopts.IgnoreFields(Statement{}, "Start", "End", "ValueStart", "ValueEnd")
			if diff := cmp.Diff(tc.want, got, places); diff != "" {
				t.Errorf("%s: -want, +got:\n%s", tc.reason, diff)
			}
		})
	}
}

func TestScanPlaces(t *testing.T) {
	for name, tc := range map[string]struct {
		reason  string
		content string
		scan    func([]byte) []Statement
		want    []string // lines | value
	}{
		"Values":      {"quotes are part of a value, comments are not", "\ufeff  export A = 1 # c\r\nB='x\r\ny'  # c\r\n", Scan, []string{"  export A = 1 # c|1", "B='x\r\ny'  # c|'x\r\ny'"}},
		"Empty":       {"an empty value is right behind the =", "A=  \nB:\n", Scan, []string{"A=  |", "B:|"}},
		"Bare":        {"a name alone has no value", "A  \r\nB=1", Scan, []string{"A  |", "B=1|1"}},
		"Same line":   {"both have the line", `A="1" B=2`, Scan, []string{`A="1" B=2|"1"`, `A="1" B=2|2`}},
		"Raw":         {"all is value", "\ufeff A= '1' # c\r\nB\r\nC=", ScanRaw, []string{" A= '1' # c| '1' # c", "B|", "C=|"}},
		"Unclosed":    {"the rest is the value", "A=1\nB=\"x\n", Scan, []string{"A=1|1", "B=\"x\n|\"x\n"}},
		"Odd columns": {"places count bytes", "Ä=ü # é\n", Scan, []string{"Ä=ü # é|ü"}},
	} {
		t.Run(name, func(t *testing.T) {
			var got []string
			for _, s := range tc.scan([]byte(tc.content)) {
				got = append(got, tc.content[s.Start:s.End]+"|"+tc.content[s.ValueStart:s.ValueEnd])
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("%s: -want, +got:\n%s", tc.reason, diff)
			}
		})
	}
}

func TestScanRaw(t *testing.T) {
	content := "\ufeffA='1' # c\r\n\n# c\n  B\nC=$A \n"
	want := []Statement{
		{Key: "A", Text: "'1' # c", Line: 1, Raw: "A='1' # c", Literal: true, AsIs: true},
		{Key: "B", Bare: true, Line: 4, Raw: "B", Literal: true, AsIs: true},
		{Key: "C", Text: "$A ", Line: 5, Raw: "C=$A ", Literal: true, AsIs: true},
	}
	if diff := cmp.Diff(want, ScanRaw([]byte(content)), cmpopts.IgnoreFields(Statement{}, "Start", "End", "ValueStart", "ValueEnd")); diff != "" {
		t.Errorf("quotes and comments mean nothing: -want, +got:\n%s", diff)
	}
}

func TestStatementValue(t *testing.T) {
	shell := func(name string) (string, bool) { return "shell " + name, name != "UNSET" }
	for name, tc := range map[string]struct {
		reason, content, want string
		scan                  func([]byte) []Statement
		ok                    bool
	}{
		"Interpolated": {"variables are the caller's", `A="${X}-${UNSET:-d}\n"`, "shell X-d\n", Scan, true},
		"Literal":      {"single quotes keep it out", `A='${X}'`, "${X}", Scan, true},
		"Bare":         {"a name alone is looked up", "A\n", "shell A", Scan, true},
		"Bare unset":   {"and gives nothing if it is not there", "UNSET\n", "", Scan, false},
		"Bare end":     {"compose-go takes it for a value", "A", "A", Scan, true},
		"Required":     {"what is required is missing", "A=${UNSET:?}\n", "", Scan, false},
		"Unreadable":   {"it cannot be read", "A='x\n", "", Scan, false},
		"Raw":          {"nothing is interpolated", "A='$X'", "'$X'", ScanRaw, true},
		"Raw bare":     {"a name alone is looked up", "A", "shell A", ScanRaw, true},
	} {
		t.Run(name, func(t *testing.T) {
			got, ok := tc.scan([]byte(tc.content))[0].Value(shell)
			if got != tc.want || ok != tc.ok {
				t.Errorf("%s: got %q, %v", tc.reason, got, ok)
			}
		})
	}
}

// folded is what the statements give one after the other.
func folded(statements []Statement, lookup dotenv.LookupFn) map[string]string {
	values := map[string]string{}
	for _, s := range statements {
		value, ok := s.Value(func(name string) (string, bool) {
			if v, ok := lookup(name); ok {
				return v, true
			}
			v, ok := values[name]
			return v, ok
		})
		if ok {
			values[s.Key] = value
		}
	}
	return values
}

// FuzzScan: the statements of a file are what compose-go reads, and lie within it in order.
func FuzzScan(f *testing.F) {
	for _, seed := range []string{
		"\ufeffA=1\r\nexport B='x\ny' # c\nC\nD: \"${A}\\n\"E=2\n", "export \nA", "A\tB=1\n=x\nA=\\", "A= # x\n\u00a0B\u0085=\u20281\u00a0 #", "A='\\'\\\\'\n", "'", "export\u00a0A=1\nA[0]=$$",
	} {
		f.Add(seed)
	}
	lookup := func(name string) (string, bool) { return "<" + name + ">", len(name)%2 == 0 }
	f.Fuzz(func(t *testing.T, content string) {
		file := open([]byte(content), "")
		if !file.bounded() {
			return
		}
		checkPlaces(t, content, Scan([]byte(content)))
		if want, err := parse([]byte(content), lookup); err == nil {
			if diff := cmp.Diff(want, folded(Scan([]byte(content)), lookup)); diff != "" {
				t.Fatalf("-compose-go, +scan:\n%s", diff)
			}
		}
		raw := ScanRaw([]byte(content))
		checkPlaces(t, content, raw)
		pairs, err := kvfile.ParseFromReader(strings.NewReader(content), lookup)
		if err != nil {
			return
		}
		want := map[string]string{}
		for _, pair := range pairs {
			key, value, _ := strings.Cut(pair, "=")
			want[key] = value
		}
		if diff := cmp.Diff(want, folded(raw, func(name string) (string, bool) { return lookup(name) })); diff != "" {
			t.Fatalf("-docker compose, +scan:\n%s", diff)
		}
	})
}

func checkPlaces(t *testing.T, content string, statements []Statement) {
	t.Helper()
	at := 0
	for _, s := range statements {
		if s.Start < 0 || s.Start > s.ValueStart || s.ValueStart < at || s.ValueStart > s.ValueEnd || s.ValueEnd > s.End || s.End > len(content) {
			t.Fatalf("out of order from %d: %+v", at, s)
		}
		if !strings.Contains(content[s.ValueStart:s.ValueEnd], s.Text) || s.Line != 1+strings.Count(content[:s.Start], "\n") && s.Start > at {
			t.Fatalf("misplaced: %+v", s)
		}
		at = s.ValueEnd
	}
}
