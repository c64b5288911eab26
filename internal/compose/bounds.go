package compose

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"go.yaml.in/yaml/v4"
)

const (
	// maxFileSize bounds every file that is read; the largest real compose file seen is a fiftieth of it.
	maxFileSize = 4 << 20
	// maxReferences bounds how many files include and extends may pull in.
	maxReferences = 1000
)

// readFile reads a regular file of bounded size. The null device counts as an empty file: --env-file /dev/null is an idiom.
func readFile(path string) ([]byte, error) {
	if path == os.DevNull {
		return nil, nil
	}
	if err := checkFile(path); err != nil {
		return nil, err
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	content, err := io.ReadAll(io.LimitReader(f, maxFileSize+1))
	if err != nil {
		return nil, err
	}
	if len(content) > maxFileSize {
		return nil, tooLarge(path)
	}
	return content, nil
}

// checkFile refuses what must not be opened: a FIFO would block for ever, a device may never end.
func checkFile(path string) error {
	if path == os.DevNull {
		return nil
	}
	info, err := os.Stat(path)
	switch {
	case err != nil:
		return err
	case info.IsDir():
		return fmt.Errorf("%q is a directory", path)
	case !info.Mode().IsRegular():
		return fmt.Errorf("%q is not a regular file", path)
	case info.Size() > maxFileSize:
		return tooLarge(path)
	}
	return nil
}

func tooLarge(path string) error {
	return fmt.Errorf("%q is larger than %d MiB", path, maxFileSize>>20)
}

// checkIfPresent is checkFile for a file that may be missing: whether that is an error is for compose to say.
func checkIfPresent(path string) error {
	if err := checkFile(path); err != nil && !os.IsNotExist(err) {
		return err
	}
	return nil
}

func newFile(path string, content []byte) File {
	sum := sha256.Sum256(content)
	return File{Path: path, Content: content, Digest: "sha256:" + hex.EncodeToString(sum[:])}
}

// references walks the files that compose-go would open by itself, through include and extends, and refuses those that
// must not be opened.
type references struct {
	env  environment
	seen map[reference]bool
	// reached are the files that another one includes or extends, symbolic links resolved.
	reached map[string]bool
}

// reference is a file and where its relative paths start.
type reference struct{ path, dir string }

// check looks at one parsed file whose relative paths start at dir.
func (r *references) check(docs []document, dir string) error {
	for _, doc := range docs {
		if err := r.checkIncludes(doc, dir); err != nil {
			return err
		}
		for _, service := range pairs(child(doc.root, "services")) {
			file := scalarAt(lookup(deref(service.value), "extends").node, "file")
			if file == "" {
				continue
			}
			path := r.resolve(file, dir)
			if err := r.follow(doc.file, reference{path, filepath.Dir(path)}); err != nil {
				return err
			}
		}
	}
	return nil
}

func (r *references) checkIncludes(doc document, dir string) error {
	for _, item := range items(child(doc.root, "include")) {
		if err := r.checkInclude(doc.file, item, dir); err != nil {
			return err
		}
	}
	return nil
}

func (r *references) checkInclude(from string, item *yaml.Node, dir string) error {
	paths := stringsOf(item)
	base := ""
	var envFiles []string
	if item.Kind == yaml.MappingNode {
		paths = stringsOf(child(item, "path"))
		base = scalarAt(item, "project_directory")
		for _, envFile := range stringsOf(child(item, "env_file")) {
			envFiles = append(envFiles, r.resolve(envFile, dir))
		}
	}
	if len(paths) > 0 {
		base = r.includeBase(base, paths[0], dir)
		if dotEnv := filepath.Join(base, ".env"); !isDirectory(dotEnv) {
			envFiles = append(envFiles, dotEnv)
		}
	}
	for _, envFile := range envFiles {
		if err := checkIfPresent(envFile); err != nil {
			return err
		}
	}
	for _, path := range paths {
		if err := r.follow(from, reference{r.resolve(path, dir), base}); err != nil {
			return err
		}
	}
	return nil
}

func (r *references) includeBase(declared, first, dir string) string {
	if declared != "" {
		return r.resolve(declared, dir)
	}
	return filepath.Dir(r.resolve(first, dir))
}

func (r *references) follow(from string, to reference) error {
	if target := realPath(to.path); target != realPath(from) {
		r.reached[target] = true
	}
	if r.seen[to] {
		return nil
	}
	r.seen[to] = true
	if len(r.seen) > maxReferences {
		return fmt.Errorf("load project: more than %d files are included or extended", maxReferences)
	}
	content, err := readFile(to.path)
	if os.IsNotExist(err) {
		return nil // compose-go says which file asked for it
	}
	if err != nil {
		return err
	}
	docs, err := parseFile(to.path, content)
	if err != nil {
		return err
	}
	return r.check(docs, to.dir)
}

// realPath resolves symbolic links as far as the file exists.
func realPath(path string) string {
	if real, err := filepath.EvalSymlinks(path); err == nil {
		return real
	}
	return filepath.Clean(path)
}

func (r *references) resolve(path, dir string) string {
	if s, err := r.env.substitute(path); err == nil {
		path = s
	}
	path = r.env.expandHome(path)
	if filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(dir, path)
}

func isDirectory(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.IsDir()
}

// scalarAt is the value of a scalar child, or empty.
func scalarAt(mapping *yaml.Node, key string) string {
	if n := child(mapping, key); n != nil && n.Kind == yaml.ScalarNode {
		return n.Value
	}
	return ""
}

// stringsOf reads a scalar or a list of scalars.
func stringsOf(n *yaml.Node) []string {
	n = deref(n)
	if n == nil {
		return nil
	}
	if n.Kind == yaml.ScalarNode {
		return []string{n.Value}
	}
	var out []string
	for _, item := range items(n) {
		if item.Kind == yaml.ScalarNode {
			out = append(out, item.Value)
		}
	}
	return out
}
