package edit_test

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/compose-spec/compose-go/v2/loader"
	"github.com/compose-spec/compose-go/v2/types"
	"github.com/sirupsen/logrus"

	"github.com/composure-dev/composure/internal/compose"
	"github.com/composure-dev/composure/internal/edit"
)

// largest is the biggest file of the corpus that the product loads; without a corpus one of about 70 kB that is made here.
func largest(t testing.TB) (path string, data []byte) {
	t.Helper()
	if root := os.Getenv("COMPOSURE_CORPUS"); root != "" {
		sizes := map[string]int64{}
		paths, err := filepath.Glob(filepath.Join(root, "*"))
		if err != nil {
			t.Fatal(err)
		}
		for _, folder := range paths {
			for _, path := range filesBelow(t, folder) {
				if info, err := os.Stat(path); err == nil {
					sizes[path] = info.Size()
				}
			}
		}
		bySize := slices.SortedFunc(maps.Keys(sizes), func(a, b string) int {
			return cmp.Or(cmp.Compare(sizes[b], sizes[a]), strings.Compare(a, b))
		})
		for _, path := range bySize {
			if data, err := os.ReadFile(path); err == nil && load(t.Context(), path, nil) == nil && loadOnce(t.Context(), path, data) == nil {
				return path, data
			}
		}
		t.Fatal("no file of the corpus loads")
	}
	path = filepath.Join(t.TempDir(), "compose.yaml")
	data = []byte(generated(70_000))
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	return path, data
}

func filesBelow(t testing.TB, folder string) []string {
	t.Helper()
	var out []string
	for _, pattern := range []string{"*.yml", "*.yaml", "*/*.yml", "*/*.yaml", "*/*/*.yml", "*/*/*.yaml"} {
		found, err := filepath.Glob(filepath.Join(folder, pattern))
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, found...)
	}
	return out
}

// generated is a compose file of at least size bytes.
func generated(size int) string {
	var b strings.Builder
	b.WriteString("x-common: &common\n  LOG_LEVEL: info\nservices:\n")
	for i := 0; b.Len() < size; i++ {
		fmt.Fprintf(&b, "  service%d:\n    image: registry.example.com/app:1.%d\n    restart: unless-stopped\n    ports:\n      - \"%d:80\"\n    environment:\n      <<: *common\n", i, i, 8000+i)
		for j := range 15 {
			fmt.Fprintf(&b, "      VARIABLE_%d: ${VARIABLE_%d:-value %d} # number %d\n", j, j, j, j)
		}
		b.WriteString("    healthcheck:\n      test: [\"CMD\", \"true\"]\n")
	}
	return b.String()
}

// load loads a file as the product does, with the candidate in its place if there is one.
func load(ctx context.Context, path string, candidate []byte) error {
	opts := compose.Options{Files: []string{path}, Directory: filepath.Dir(path), Environ: []string{"HOME=/home/user"}}
	if candidate != nil {
		opts.Overlay = map[string][]byte{path: candidate}
	}
	_, err := compose.Load(ctx, opts)
	return err
}

// loadOnce is one load by compose-go and nothing else.
func loadOnce(ctx context.Context, path string, data []byte) error {
	logrus.SetOutput(io.Discard)
	details := types.ConfigDetails{WorkingDir: filepath.Dir(path), Environment: types.Mapping{"HOME": "/home/user"}, ConfigFiles: []types.ConfigFile{{Filename: path, Content: data}}}
	_, err := loader.LoadWithContext(ctx, details, func(o *loader.Options) {
		o.SkipResolveEnvironment = true
		o.SetProjectName("bench", true)
	})
	return err
}

// newVariable is a change of the last service of a file.
func newVariable(t testing.TB, path string, data []byte) []edit.Change {
	t.Helper()
	s, err := newSubject(path, path, data)
	if err != nil {
		t.Fatal(err)
	}
	names := s.services()
	return []edit.Change{{Service: names[len(names)-1], Key: newKey, Text: "${COMPOSURE_NEW:-true}"}}
}

// TestEditCost compares what an edit and its proof cost with one more load of the file, both measured in turns.
func TestEditCost(t *testing.T) {
	if testing.Short() || raceEnabled() {
		t.Skip("timing says nothing under the race detector, and little about right and wrong")
	}
	path, data := largest(t)
	changes := newVariable(t, path, data)
	const rounds = 15
	best := map[string]time.Duration{}
	timed := func(what string, work func() error) {
		started := time.Now()
		if err := work(); err != nil {
			t.Fatal(what, err)
		}
		if took := time.Since(started); best[what] == 0 || took < best[what] {
			best[what] = took
		}
	}
	for range rounds {
		var result edit.Result
		timed("edit", func() (err error) {
			result, err = edit.Apply(path, data, changes)
			if err == nil && len(result.Applied) != 1 {
				err = fmt.Errorf("refused: %s", reasonsOf(result))
			}
			return err
		})
		timed("edit and proof", func() error {
			if _, err := edit.Apply(path, data, changes); err != nil {
				return err
			}
			return load(t.Context(), path, result.Content)
		})
		timed("one load", func() error { return loadOnce(t.Context(), path, data) })
		timed("one load by the product", func() error { return load(t.Context(), path, nil) })
	}
	ratio := float64(best["edit and proof"]) / float64(best["one load"])
	t.Logf("%s, %d bytes, best of %d: %v; edit and proof is %.2f times one load", filepath.Base(path), len(data), rounds, best, ratio)
	if ratio > 2 {
		t.Errorf("edit and proof takes %.2f times as long as one load, more than twice", ratio)
	}
}

func BenchmarkEdit(b *testing.B) {
	path, data := largest(b)
	changes := newVariable(b, path, data)
	result, err := edit.Apply(path, data, changes)
	if err != nil {
		b.Fatal(err)
	}
	for _, work := range []struct {
		name string
		run  func() error
	}{
		{"edit", func() error { _, err := edit.Apply(path, data, changes); return err }},
		{"proof", func() error { return load(b.Context(), path, result.Content) }},
		{"load", func() error { return loadOnce(b.Context(), path, data) }},
	} {
		b.Run(work.name, func(b *testing.B) {
			b.SetBytes(int64(len(data)))
			for b.Loop() {
				if err := work.run(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
