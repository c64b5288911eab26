package files

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

var errDangling = errors.New("it is a symbolic link that leads nowhere")

// Gone reports whether an error says that there is no such file, or no folder in which it could be.
func Gone(err error) bool { return errors.Is(err, fs.ErrNotExist) || errors.Is(err, errDangling) }

func resolve(path string) (string, error) {
	absolute, err := filepath.Abs(path)
	if err != nil {
		return "", err
	}
	return filepath.EvalSymlinks(absolute)
}

// locate is where the content of path is, or would be: for a file that does not exist, its name in the folder as that really
// lies. A link to nothing is refused: what would be created is somewhere else than it seems.
func locate(path string) (target string, exists bool, err error) {
	target, err = resolve(path)
	if err == nil || !errors.Is(err, fs.ErrNotExist) {
		return target, err == nil, err
	}
	absolute, err := filepath.Abs(path)
	if err != nil {
		return "", false, err
	}
	if _, err := os.Lstat(absolute); err == nil {
		return "", false, errDangling
	}
	folder, err := filepath.EvalSymlinks(filepath.Dir(absolute))
	if err != nil {
		return "", false, err
	}
	return filepath.Join(folder, filepath.Base(absolute)), false, nil
}

// Target is where the content of path really lies, or would lie once it is created. It returns an *[OutsideError] when that is
// not below one of roots.
func Target(path string, roots []string) (string, error) {
	target, _, err := locate(path)
	if err != nil {
		return "", fmt.Errorf("resolve file %q: %w", path, err)
	}
	inside, err := within(target, roots)
	if err != nil {
		return "", err
	}
	if !inside {
		return "", &OutsideError{Path: path, Target: target}
	}
	return target, nil
}

// Folder is the folder of [Target].
func Folder(path string, roots []string) (string, error) {
	target, err := Target(path, roots)
	if err != nil {
		return "", err
	}
	return filepath.Dir(target), nil
}

// within reports whether target, resolved, is below one of roots; without roots everything is.
func within(target string, roots []string) (bool, error) {
	for _, root := range roots {
		resolved, err := resolve(root)
		if err != nil {
			return false, fmt.Errorf("resolve folder %q: %w", root, err)
		}
		relative, err := filepath.Rel(resolved, target)
		if err == nil && filepath.IsLocal(relative) {
			return true, nil
		}
	}
	return len(roots) == 0, nil
}
