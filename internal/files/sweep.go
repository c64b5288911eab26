package files

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
)

// Sweep removes what a killed process may have left of its writes of a file: the temporary files beside it. Only those go whose
// content is one of contents or the beginning of one; anything else of that name is somebody's own. Where the folder is gone there
// are none.
func Sweep(path string, contents ...[]byte) error {
	target, _, err := locate(path)
	if Gone(err) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("sweep beside file %q: %w", path, err)
	}
	folder, base := filepath.Split(target)
	entries, err := os.ReadDir(folder)
	if err != nil {
		return fmt.Errorf("sweep folder %q: %w", folder, err)
	}
	temporary := regexp.MustCompile(`^\.` + regexp.QuoteMeta(base) + `\d+$`)
	var problems []error
	for _, entry := range entries {
		name := filepath.Join(folder, entry.Name())
		if !entry.Type().IsRegular() || !temporary.MatchString(entry.Name()) || !begins(name, contents) {
			continue
		}
		if err := os.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
			problems = append(problems, fmt.Errorf("remove a temporary file: %w", err))
		}
	}
	return errors.Join(problems...)
}

// begins reports whether the file holds the beginning of one of contents. One that cannot be read does not.
func begins(name string, contents [][]byte) bool {
	file, err := Read(name)
	if err != nil {
		return false
	}
	for _, content := range contents {
		if bytes.HasPrefix(content, file.Content) {
			return true
		}
	}
	return false
}
