package compose

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/compose-spec/compose-go/v2/cli"
	"github.com/compose-spec/compose-go/v2/consts"
	"github.com/compose-spec/compose-go/v2/dotenv"
	"github.com/compose-spec/compose-go/v2/loader"
	"github.com/compose-spec/compose-go/v2/types"
)

// TestCorpus loads every compose file under $COMPOSURE_CORPUS, or those written for this package: each alone, each with the
// override files beside it, each folder as docker compose would. What every variable is said to be is held against what compose-go
// makes of the same files, and where it is said to stand against the bytes of the file.
func TestCorpus(t *testing.T) {
	root := os.Getenv("COMPOSURE_CORPUS")
	if root == "" {
		root = filepath.Join("testdata", "origins")
		t.Logf("COMPOSURE_CORPUS names no folder of compose files: %s is taken", root)
	}
	root, err := filepath.Abs(root)
	if err != nil {
		t.Fatal(err)
	}
	c := corpus{Kinds: map[string]int{}, NotLoaded: map[string]int{}}
	err = filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			c.folder(t, path)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Log(c.String())
	if c.Loaded == 0 {
		t.Error("no file of the corpus loads")
	}
}

// corpus counts what was seen.
type corpus struct {
	Projects, Loaded, Services, Variables, Places, Held int
	Differences, Unplaced, Typed, Reached               int
	Kinds, NotLoaded                                    map[string]int
	Slowest                                             time.Duration
}

func (c *corpus) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d projects, %d loaded, slowest %v; %d services, %d held; %d variables, %d settings, %d typed, %d files reached\n",
		c.Projects, c.Loaded, c.Slowest, c.Services, c.Held, c.Variables, c.Places, c.Typed, c.Reached)
	for _, kind := range slices.Sorted(maps.Keys(c.Kinds)) {
		fmt.Fprintf(&b, "  %6d %s\n", c.Kinds[kind], kind)
	}
	for _, reason := range slices.Sorted(maps.Keys(c.NotLoaded)) {
		fmt.Fprintf(&b, "  %6d not loaded: %s\n", c.NotLoaded[reason], reason)
	}
	fmt.Fprintf(&b, "differences = %d, without a place = %d", c.Differences, c.Unplaced)
	return b.String()
}

var (
	composeFile  = regexp.MustCompile(`\.ya?ml$`)
	overrideFile = regexp.MustCompile(`^(docker-)?compose\.[^/]+\.ya?ml$`)
)

// folder loads the files of one folder in every way that makes sense.
func (c *corpus) folder(t *testing.T, dir string) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		if !e.IsDir() && composeFile.MatchString(e.Name()) {
			names = append(names, e.Name())
			c.load(t, Options{Files: []string{e.Name()}, Directory: dir})
		}
	}
	found := slices.IndexFunc(cli.DefaultFileNames, func(name string) bool { return slices.Contains(names, name) })
	if found < 0 {
		return
	}
	if slices.ContainsFunc(cli.DefaultOverrideFileNames, func(name string) bool { return slices.Contains(names, name) }) {
		c.load(t, Options{Directory: dir})
	}
	base := cli.DefaultFileNames[found]
	all := []string{base}
	for _, name := range names {
		if name != base && overrideFile.MatchString(name) {
			all = append(all, name)
			c.load(t, Options{Directory: dir, Files: []string{base, name}})
		}
	}
	if len(all) > 2 {
		c.load(t, Options{Directory: dir, Files: all})
	}
}

var content = regexp.MustCompile(`"[^"]*"|…|/[^\s:]+|\d+|\b[\w.-]*[.][\w.-]+`)

func (c *corpus) load(t *testing.T, opts Options) {
	c.Projects++
	opts.Environ = []string{"HOME=/home/user", "PATH=/bin"}
	opts.Profiles = []string{"*"}
	began := time.Now()
	p, err := Load(t.Context(), opts)
	c.Slowest = max(c.Slowest, time.Since(began))
	for range 60 {
		if err == nil {
			break
		}
		// A file may be one of several, or want variables: with what it lacks it loads.
		var changed bool
		if opts, changed = completed(t.Context(), opts); !changed {
			break
		}
		p, err = Load(t.Context(), opts)
	}
	oracle, oracleErr := asked(t.Context(), opts)
	if err != nil {
		reason := err.Error()
		if parse, ok := errors.AsType[*ParseError](err); ok {
			reason = parse.Message
		}
		reason, _, _ = strings.Cut(content.ReplaceAllString(reason, "…"), "\n")
		reason, _, _ = strings.Cut(reason, ": ")
		c.NotLoaded[reason]++
		if oracleErr == nil {
			c.Differences++
			t.Errorf("%s %v: compose-go loads it, but Load says %v", opts.Directory, opts.Files, err)
		}
		return
	}
	if oracleErr != nil {
		c.Differences++
		t.Errorf("%s %v: loads, but compose-go says %v", opts.Directory, opts.Files, oracleErr)
		return
	}
	c.Loaded++
	c.Typed, c.Reached = c.Typed+len(p.Typed), c.Reached+len(p.Reached)
	if want, got := slices.Sorted(maps.Keys(oracle)), slices.Sorted(maps.Keys(p.Services)); !slices.Equal(want, got) {
		t.Errorf("%s %v: services %v, want %v", opts.Directory, opts.Files, got, want)
	}
	files := map[string][]string{}
	for _, f := range slices.Concat(p.Files, p.Reached, p.EnvFiles, p.ServiceEnvFiles) {
		files[f.Path] = strings.Split(strings.TrimPrefix(string(f.Content), "\ufeff"), "\n")
	}
	for name, s := range p.Services {
		c.service(t, p, s, oracle[name])
		for key, settings := range s.Settings {
			c.settings(t, files, s, key, settings)
		}
	}
}

var (
	variable = regexp.MustCompile(`\$\{?([A-Za-z_][A-Za-z0-9_]*)`)
	lacks    = []struct {
		message *regexp.Regexp
		stub    string
	}{
		{regexp.MustCompile(`service "([^"]+)" has neither an image`), "services: {%q: {image: stub}}"},
		{regexp.MustCompile(`depends on undefined service "([^"]+)"`), "services: {%q: {image: stub}}"},
		{regexp.MustCompile(`undefined network ([^:]+)`), "networks: {%q: {}}"},
		{regexp.MustCompile(`undefined volume ([^:]+)`), "volumes: {%q: {}}"},
		{regexp.MustCompile(`undefined secret ([^:]+)`), "secrets: {%q: {environment: X}}"},
		{regexp.MustCompile(`undefined config ([^:]+)`), "configs: {%q: {environment: X}}"},
	}
)

// completed adds what compose-go finds missing: a variable, or a definition in a last file that only the overlay has.
func completed(ctx context.Context, opts Options) (Options, bool) {
	_, err := asked(ctx, opts)
	if err == nil || len(opts.Files) == 0 {
		return opts, false
	}
	if m := regexp.MustCompile(`required variable (\w+) is missing`).FindStringSubmatch(err.Error()); m != nil {
		opts.Environ = append(slices.Clone(opts.Environ), m[1]+"=1")
		return opts, true
	}
	for _, l := range lacks {
		m := l.message.FindStringSubmatch(err.Error())
		if m == nil {
			continue
		}
		stub := filepath.Join(opts.Directory, "composure-stub.yaml")
		text := string(opts.Overlay[stub])
		if text == "" {
			opts.Files = append(slices.Clone(opts.Files), filepath.Base(stub))
		}
		opts.Overlay = map[string][]byte{stub: []byte(text + "---\n" + fmt.Sprintf(l.stub, m[1]) + "\n")}
		return opts, true
	}
	if strings.Contains(strings.Join(opts.Environ, " "), "COMPOSURE_ALL=1") {
		return opts, false
	}
	opts.Environ = append(slices.Clone(opts.Environ), "COMPOSURE_ALL=1")
	opts.Environ = append(opts.Environ, wanted(opts)...)
	return opts, true
}

// wanted gives every variable that the files name a value.
func wanted(opts Options) []string {
	given := map[string]bool{"PWD": true, consts.ComposeProjectName: true}
	for _, kv := range opts.Environ {
		name, _, _ := strings.Cut(kv, "=")
		given[name] = true
	}
	var out []string
	for _, f := range opts.Files {
		data, err := os.ReadFile(filepath.Join(opts.Directory, f))
		if err != nil {
			continue
		}
		for _, m := range variable.FindAllStringSubmatch(string(data), -1) {
			if !given[m[1]] {
				given[m[1]] = true
				out = append(out, fmt.Sprintf("%s=%d", m[1], 1+len(out)))
			}
		}
	}
	return out
}

// asked is the environment of every service by compose-go alone, loaded as docker compose does.
func asked(ctx context.Context, opts Options) (services map[string]types.MappingWithEquals, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("panic: %v", r)
		}
	}()
	env := types.Mapping{"PWD": opts.Directory}
	env = env.Merge(types.NewMapping(opts.Environ))
	if _, err := os.Stat(filepath.Join(opts.Directory, ".env")); err == nil {
		values, err := dotenv.GetEnvFromFile(env, []string{filepath.Join(opts.Directory, ".env")})
		if err != nil {
			return nil, err
		}
		env = env.Merge(values)
	}
	files := slices.Clone(opts.Files)
	if len(files) == 0 {
		for _, names := range [][]string{cli.DefaultFileNames, cli.DefaultOverrideFileNames} {
			for _, name := range names {
				if _, err := os.Stat(filepath.Join(opts.Directory, name)); err == nil {
					files = append(files, name)
					break
				}
			}
		}
	}
	details := types.ConfigDetails{WorkingDir: opts.Directory, Environment: env}
	for _, f := range files {
		path := filepath.Join(opts.Directory, f)
		details.ConfigFiles = append(details.ConfigFiles, types.ConfigFile{Filename: path, Content: opts.Overlay[path]})
	}
	project, err := loader.LoadWithContext(ctx, details, func(o *loader.Options) {
		o.SetProjectName(loader.NormalizeProjectName(filepath.Base(opts.Directory)), false)
		if name := env[consts.ComposeProjectName]; name != "" {
			o.SetProjectName(name, true)
		}
		o.Profiles, o.SkipResolveEnvironment, o.SkipResolveLabels = opts.Profiles, true, true
	})
	if err != nil {
		return nil, err
	}
	if project, err = project.WithServicesEnvironmentResolved(true); err != nil {
		return nil, err
	}
	if project, err = project.WithServicesLabelsResolved(true); err != nil {
		return nil, err
	}
	services = map[string]types.MappingWithEquals{}
	for name, s := range project.Services {
		services[name] = s.Environment
	}
	return services, nil
}

func (c *corpus) service(t *testing.T, p *Project, s *Service, want types.MappingWithEquals) {
	c.Services++
	if s.EditHeld != "" {
		c.Held++
	}
	where := p.Files[0].Path
	if s.EditHeld == unexplainedEnvironment {
		c.Differences++
		t.Errorf("%s: service %s is not explained", where, s.Name)
	}
	if !maps.EqualFunc(s.Environment, want, func(v Variable, want *string) bool { return sameValue(v.Value, want) }) {
		c.Differences++
		t.Errorf("%s: service %s has another environment than compose-go gives it", where, s.Name)
	}
	for key, v := range s.Environment {
		c.Variables++
		settings := s.Settings[key]
		i := slices.IndexFunc(settings, func(st Setting) bool { return st.Position == v.Position && !st.Dropped })
		if v.Line == 0 || v.File == "" || i < 0 {
			c.Unplaced++
			t.Errorf("%s: %s of service %s has no place: %+v", where, key, s.Name, v.Position)
			continue
		}
		c.Kinds[kind(p, settings[i])]++
		if v.Definition != settings[i].Definition || !slices.ContainsFunc(s.Definitions, func(d Definition) bool { return d.File == v.Definition }) {
			t.Errorf("%s: %s of service %s is defined in %q, which is no definition of it", where, key, s.Name, v.Definition)
		}
	}
	if s.Place == "" || len(s.Definitions) == 0 {
		t.Errorf("%s: service %s has no definition", where, s.Name)
	}
	if _, err := p.Hash(s.Name, 0); err != nil {
		t.Errorf("%s: %v", where, err)
	}
}

// kind is how a variable comes to a service.
func kind(p *Project, s Setting) string {
	kind := "direct"
	reached := slices.ContainsFunc(p.Reached, func(f File) bool { return f.Path == s.Definition })
	switch {
	case s.Extends && s.File == s.Definition:
		kind = "extends, same file"
	case s.Extends:
		kind = "extends, other file"
	case reached:
		kind = "include"
	case s.Definition != p.Files[0].Path:
		kind = "override"
	}
	if s.Layer == LayerEnvFile {
		return "env_file (" + strings.ReplaceAll(kind, ", other file", "") + ")"
	}
	if s.Fragment {
		kind += ", fragment"
	}
	return kind
}

// settings checks that every place is one: the key stands where it is said to stand, and the text there gives the value.
func (c *corpus) settings(t *testing.T, files map[string][]string, s *Service, key string, settings []Setting) {
	for _, setting := range settings {
		c.Places++
		if setting.Layer == LayerEnvFile && (setting.Line == 0 || setting.Dropped) {
			continue // one that is dropped need not have been read
		}
		lines, ok := files[setting.File]
		if !ok || setting.Line > len(lines) {
			t.Errorf("%s: %s of service %s: the file was not read or has no line %d", setting.File, key, s.Name, setting.Line)
			continue
		}
		line := string([]rune(lines[setting.Line-1])[setting.Column-1:])
		if block := strings.HasPrefix(line, "|") || strings.HasPrefix(line, ">"); block {
			line = lines[setting.Line]
		}
		if !strings.Contains(line, key) && !strings.Contains(line, "$") {
			t.Errorf("%s:%d:%d: %q does not hold %s", setting.File, setting.Line, setting.Column, line, key)
		}
		if setting.Fragment {
			at := []rune(files[setting.At.File][setting.At.Line-1])
			if at[setting.At.Column-1] != '*' {
				t.Errorf("%s:%d:%d: there is no alias", setting.At.File, setting.At.Line, setting.At.Column)
			}
		}
	}
}
