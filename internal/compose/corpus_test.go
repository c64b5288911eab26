package compose

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/compose-spec/compose-go/v2/cli"
	"github.com/compose-spec/compose-go/v2/template"
	"go.yaml.in/yaml/v4"
)

// TestCorpus loads every compose file under $COMPOSURE_CORPUS and holds each place found against the bytes of the file.
func TestCorpus(t *testing.T) {
	root := os.Getenv("COMPOSURE_CORPUS")
	if root == "" {
		t.Skip("COMPOSURE_CORPUS names no folder of compose files")
	}
	root, err := filepath.Abs(root)
	if err != nil {
		t.Fatal(err)
	}
	var c corpus
	err = filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			c.folder(t, path)
			return nil
		}
		if extension := filepath.Ext(path); extension == ".yml" || extension == ".yaml" {
			c.load(t, Options{Files: []string{path}, Directory: filepath.Dir(path)})
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%+v", c)
	if c.Loaded == 0 {
		t.Error("no file of the corpus loads")
	}
}

// corpus counts what was seen.
type corpus struct {
	Projects, Loaded, ErrorsWithoutPlace int
	Services, EditHeld, SwapHeld         int
	Variables, Placed, EnvFile, NoPlace  int
	Unexplained, TextChecked             int
	Slowest                              time.Duration
}

// folder loads the project of a folder that has an override file.
func (c *corpus) folder(t *testing.T, dir string) {
	for _, name := range cli.DefaultOverrideFileNames {
		if exists(filepath.Join(dir, name)) {
			c.load(t, Options{Directory: dir})
			return
		}
	}
}

func (c *corpus) load(t *testing.T, opts Options) {
	c.Projects++
	opts.Environ = []string{"HOME=/home/user"}
	began := time.Now()
	p, err := Load(t.Context(), opts)
	c.Slowest = max(c.Slowest, time.Since(began))
	if err != nil {
		var parse *ParseError
		if !errors.As(err, &parse) || parse.Line == 0 {
			c.ErrorsWithoutPlace++
		}
		t.Logf("not loaded: %v", err)
		return
	}
	c.Loaded++
	for _, s := range p.Services {
		c.service(t, p, s)
	}
}

func (c *corpus) service(t *testing.T, p *Project, s *Service) {
	c.Services++
	if s.SwapHeld != "" {
		c.SwapHeld++
	}
	if s.EditHeld != "" {
		c.EditHeld++
	}
	if s.EditHeld == unexplainedEnvironment {
		c.Unexplained++
		t.Errorf("%s: service %s is not explained", p.Files[0].Path, s.Name)
	}
	lines := map[string][]string{}
	for _, f := range p.Files {
		lines[f.Path] = strings.Split(string(f.Content), "\n")
	}
	for key, v := range s.Environment {
		c.Variables++
		switch {
		case v.Line == 0:
			c.NoPlace++
			if s.EditHeld == "" && v.Layer == LayerEnvironment {
				t.Errorf("%s: %s.%s has no place although the service is not held", p.Files[0].Path, s.Name, key)
			}
			continue
		case v.Layer == LayerEnvFile:
			c.EnvFile++
			continue
		}
		c.Placed++
		c.place(t, p, lines[v.File], key, v)
	}
	if _, err := p.Hash(s.Name, 0); err != nil {
		t.Errorf("%s: %v", p.Files[0].Path, err)
	}
}

// place checks that the key stands where it is said to stand and that the text there gives the value.
func (c *corpus) place(t *testing.T, p *Project, lines []string, key string, v Variable) {
	line := string([]rune(lines[v.Line-1])[v.Column-1:])
	if block := strings.HasPrefix(line, "|") || strings.HasPrefix(line, ">"); block {
		line = lines[v.Line]
	}
	if !strings.Contains(line, key) && !strings.Contains(line, "$") {
		t.Errorf("%s:%d:%d: %q does not hold %s", v.File, v.Line, v.Column, line, key)
	}
	if v.Bare {
		return
	}
	got, err := template.SubstituteWithOptions(v.Text, func(name string) (string, bool) {
		value, ok := p.Environment[name]
		return value.Value, ok
	}, template.WithoutLogging)
	if err == nil && got == *v.Value {
		c.TextChecked++
		return
	}
	var typed any // an unquoted scalar that YAML types
	if err := yaml.Unmarshal([]byte(v.Text), &typed); err != nil || fmt.Sprint(typed) != *v.Value {
		t.Errorf("%s:%d: %q does not give the value of %s", v.File, v.Line, v.Text, key)
		return
	}
	c.TextChecked++
}
