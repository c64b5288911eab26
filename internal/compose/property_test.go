package compose

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// TestRandomProjects holds the walk against compose-go on projects that nobody would write: every way to bring a variable in or to
// take it away, thrown together. Each value is written once, so the value also tells whether the place is the right one.
func TestRandomProjects(t *testing.T) {
	rounds := 150
	if n, err := strconv.Atoi(os.Getenv("COMPOSURE_ROUNDS")); err == nil {
		rounds = n
	}
	loaded, variables, held := 0, 0, 0
	for seed := range rounds {
		g := &generator{Rand: rand.New(rand.NewPCG(uint64(seed), 1))}
		archive := g.project()
		opts := Options{Directory: write(t, archive), Files: []string{"a.yaml", "b.yaml"}, Environ: []string{"V=shell", "P=project"}}
		want, err := asked(t.Context(), opts)
		if err != nil {
			continue
		}
		loaded++
		p, err := Load(t.Context(), opts)
		if err != nil {
			t.Fatalf("seed %d: %v\n%s", seed, err, archive)
		}
		lines := map[string][]string{}
		for _, f := range slices.Concat(p.Files, p.Reached, p.ServiceEnvFiles) {
			lines[f.Path] = strings.Split(string(f.Content), "\n")
		}
		for name, s := range p.Services {
			if strings.Contains(name, ".") && s.EditHeld == unexplainedEnvironment {
				held++ // included and there already, its blocks are merged by other rules: compose-go takes the dot for a path
				continue
			}
			if s.EditHeld != "" || !maps.EqualFunc(s.Environment, want[name], func(v Variable, want *string) bool { return sameValue(v.Value, want) }) {
				t.Errorf("seed %d: service %s: %q, %v, walked %v", seed, name, s.EditHeld, values(s.Environment), s.Settings)
			}
			for key, v := range s.Environment {
				variables++
				if v.Line == 0 {
					t.Errorf("seed %d: %s of service %s has no place", seed, key, name)
					continue
				}
				line := lines[v.File][v.Line-1]
				if !strings.Contains(line, key) || v.Value != nil && !v.Bare && !strings.Contains(line, *v.Value) && !strings.Contains(line, "$") {
					t.Errorf("seed %d: %s of service %s is %q, but %s:%d is %s", seed, key, name, text(v.Value), v.File, v.Line, line)
				}
				if s.PlaceOf(key) == "" {
					t.Errorf("seed %d: %s of service %s would be put right nowhere", seed, key, name)
				}
			}
		}
		if t.Failed() {
			t.Fatalf("seed %d:\n%s", seed, archive)
		}
	}
	t.Logf("%d of %d projects load; %d variables; %d services with a dot held", loaded, rounds, variables, held)
	if loaded < rounds/5 {
		t.Errorf("only %d of %d projects load", loaded, rounds)
	}
}

// generator writes a project. next makes every value another one.
type generator struct {
	*rand.Rand
	next int
	dot  string // in the name of a service and of a variable: compose-go refuses much that has one
}

func (g *generator) one(in int) bool { return g.IntN(in) == 0 }

func (g *generator) pick(of ...string) string { return of[g.IntN(len(of))] }

func (g *generator) key() string { return g.pick("K1", "K2", "K3", "K"+g.dot+"4") }

func (g *generator) service() string { return g.pick("s1", "s2", "s"+g.dot+"3") }

func (g *generator) project() string {
	var b strings.Builder
	if g.one(5) {
		g.dot = "."
	}
	for _, name := range []string{"a.yaml", "b.yaml", "sub/inc.yaml", "sub/more.yaml", "base.yaml", "sub/base.yaml"} {
		fmt.Fprintf(&b, "-- %s --\n", name)
		documents := 1
		if g.one(6) {
			documents = 2
		}
		for i := range documents {
			if i > 0 {
				b.WriteString("---\n")
			}
			b.WriteString(g.document(name))
		}
	}
	for _, name := range []string{"one.env", "sub/one.env", "sub/.env", "two.env"} {
		fmt.Fprintf(&b, "-- %s --\n%s=%d\nW=dot\nFROM=${K1:-none}\n", name, strings.ReplaceAll(g.key(), ".", "_"), g.value())
	}
	return b.String()
}

func (g *generator) value() int {
	g.next++
	return 1000 + g.next
}

func (g *generator) document(file string) string {
	var b strings.Builder
	// Extensions are merged, too, and a list does not go over a mapping: each has a name of its own.
	fmt.Fprintf(&b, "x-e%d: &e1\n%s", g.value(), g.mapping("  ", ""))
	fmt.Fprintf(&b, "x-e%d: &e2\n%s", g.value(), g.mapping("  ", "e1"))
	fmt.Fprintf(&b, "x-l%d: &l\n%s", g.value(), g.list("  "))
	fmt.Fprintf(&b, "x-s%d: &s\n  image: i\n%s", g.value(), g.environment("  "))
	if g.one(3) {
		b.WriteString(g.includes(file))
	}
	tag := ""
	if file == "b.yaml" && g.one(12) {
		tag = " " + g.pick("!override", "!reset")
	}
	fmt.Fprintf(&b, "services:%s\n", tag)
	for _, name := range []string{"s1", "s2", "s" + g.dot + "3"} {
		if file == "a.yaml" || g.one(2) || strings.HasSuffix(file, "base.yaml") {
			b.WriteString(g.serviceBody(file, name))
		}
	}
	fmt.Fprintf(&b, "  last%d: {image: i}\n", g.value())
	return b.String()
}

func (g *generator) includes(file string) string {
	switch file {
	case "a.yaml", "b.yaml":
		return g.pick(
			"include: [sub/inc.yaml]\n", "include:\n- path: [sub/inc.yaml, sub/more.yaml]\n", "include: [sub/inc.yaml, sub/more.yaml]\n",
			"include:\n- {path: sub/inc.yaml, env_file: two.env}\n", "include:\n- {path: sub/inc.yaml, project_directory: .}\n",
		)
	case "sub/inc.yaml":
		return "include: [more.yaml]\n"
	}
	return ""
}

func (g *generator) serviceBody(file, name string) string {
	tag := ""
	if file == "b.yaml" && g.one(10) {
		tag = " " + g.pick("!override", "!reset")
	}
	switch {
	case g.one(10):
		return fmt.Sprintf("  %s: *s\n", name)
	case file == "b.yaml" && g.one(10):
		return fmt.Sprintf("  %s:\n", name)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "  %s:%s\n    image: i\n", name, tag)
	if g.one(5) {
		b.WriteString("    <<: *s\n")
	}
	if g.one(3) {
		fmt.Fprintf(&b, "    extends: %s\n", g.extends(file, name))
	}
	if g.one(4) {
		fmt.Fprintf(&b, "    env_file: %s%s\n", g.pick("", "", "", "!override "), g.pick("one.env", "[one.env]", "[{path: one.env}, ./one.env]"))
	}
	b.WriteString(g.environment("    "))
	return b.String()
}

func (g *generator) extends(file, name string) string {
	other := g.service()
	if other == name || g.one(2) {
		if strings.HasPrefix(file, "sub/") || g.one(2) {
			return fmt.Sprintf("{file: base.yaml, service: %s}", other)
		}
		return fmt.Sprintf("{file: %s, service: %s}", g.pick("base.yaml", "sub/base.yaml"), other)
	}
	return other
}

// environment is a block, or none.
func (g *generator) environment(indent string) string {
	switch g.IntN(9) {
	case 0, 1:
		return ""
	case 2:
		return indent + "environment: *" + g.pick("e1", "e2", "l") + "\n"
	case 3:
		return indent + "environment:\n" + g.list(indent+"  ")
	case 4:
		return indent + "environment: !override\n" + g.mapping(indent+"  ", "")
	case 5:
		return indent + "environment: !reset\n" + g.mapping(indent+"  ", "")
	case 6:
		return indent + "environment:\n" + g.mapping(indent+"  ", "e1")
	case 7:
		return indent + "environment:\n" + g.mapping(indent+"  ", "e2")
	default:
		return indent + "environment:\n" + g.mapping(indent+"  ", "")
	}
}

func (g *generator) list(indent string) string {
	var b strings.Builder
	for range 1 + g.IntN(3) {
		fmt.Fprintf(&b, "%s- %s%s\n", indent, g.pick("", "", "", "", "!reset "), g.pick(
			fmt.Sprintf("%s=%d", g.key(), g.value()), fmt.Sprintf("%s=%d", g.key(), g.value()), fmt.Sprintf("%s=%d${V}${W:-w}", g.key(), g.value()), g.key(),
			fmt.Sprintf("\"%s=%d\"", g.key(), g.value()), "P", "W"))
	}
	return b.String()
}

func (g *generator) mapping(indent, merged string) string {
	var b strings.Builder
	if merged != "" {
		fmt.Fprintf(&b, "%s<<: %s\n", indent, g.pick("*"+merged, "[*"+merged+"]", "[{K3: "+strconv.Itoa(g.value())+"}, *"+merged+"]"))
	}
	keys := []string{"K1", "K2", "K3", "K" + g.dot + "4", "P", "W"}
	g.Shuffle(len(keys), func(i, j int) { keys[i], keys[j] = keys[j], keys[i] })
	for _, key := range keys[:1+g.IntN(3)] {
		fmt.Fprintf(&b, "%s%s: %s\n", indent, key, g.pick(
			strconv.Itoa(g.value()), strconv.Itoa(g.value()), fmt.Sprintf("'%d'", g.value()), fmt.Sprintf("%d${V}${W:-w}", g.value()), "",
			"!reset null", fmt.Sprintf("!reset %d", g.value()), fmt.Sprintf("!override %d", g.value()), "null"))
	}
	return b.String()
}
