package compose

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// A daemon leaves a project alone whose files are gone, and says of one whose files are wrong where they are.
func TestUnreadableFilesAreNotWrongOnes(t *testing.T) {
	must := func(t *testing.T, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	replace := func(name string, with func(path string) error) func(*testing.T, string) {
		return func(t *testing.T, dir string) {
			path := filepath.Join(dir, name)
			must(t, os.RemoveAll(path))
			if with != nil {
				must(t, with(path))
			}
		}
	}
	folder := func(path string) error { return os.Mkdir(path, 0o755) }
	content := func(text string) func(string) error {
		return func(path string) error { return os.WriteFile(path, []byte(text), 0o600) }
	}
	tests := map[string]struct {
		reason string
		spoil  func(t *testing.T, dir string)
		want   bool
	}{
		"ComposeFile":   {"it was deleted", replace("compose.yaml", nil), true},
		"Folder":        {"it was deleted", replace("", nil), true},
		"NoFolder":      {"a file is in its place", replace("", content("x")), true},
		"Directory":     {"a folder has the name of the compose file", replace("compose.yaml", folder), true},
		"Circle":        {"a symbolic link leads to itself", replace("compose.yaml", func(path string) error { return os.Symlink(path, path) }), true},
		"EnvFile":       {"an env_file that is required was deleted", replace("app.env", nil), true},
		"EnvFolder":     {"a folder has the name of an env_file", replace("app.env", folder), true},
		"Extends":       {"a file that a service extends was deleted", replace("base.yaml", nil), true},
		"Include":       {"an included file was deleted", replace("more.yaml", nil), true},
		"NotYAML":       {"it can be read, and is wrong", replace("compose.yaml", content("services: [")), false},
		"NotCompose":    {"it can be read, and is wrong", replace("compose.yaml", content("services: {app: {image: [1]}}")), false},
		"NoService":     {"what is extended is not there, but its file is", replace("base.yaml", content("services: {}")), false},
		"NotAnEnvFile":  {"it can be read, and is wrong", replace("app.env", content("A='\n")), false},
		"TooLarge":      {"it could be read", replace("app.env", content(strings.Repeat("A=1\n", maxFileSize/4+1))), false},
		"NothingAtHand": {"all is well", func(*testing.T, string) {}, false},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "shop")
			must(t, folder(dir))
			for file, text := range map[string]string{
				"compose.yaml": "include: [more.yaml]\nservices:\n  app:\n    extends: {file: base.yaml, service: base}\n    env_file: [app.env]\n",
				"base.yaml":    "services: {base: {image: 'app:1'}}\n",
				"more.yaml":    "services: {more: {image: 'app:1'}}\n",
				"app.env":      "A=1\n",
			} {
				must(t, os.WriteFile(filepath.Join(dir, file), []byte(text), 0o600))
			}
			tc.spoil(t, dir)
			for way, opts := range map[string]Options{
				"named": {Directory: dir, Files: []string{filepath.Join(dir, "compose.yaml")}}, "found": {Directory: dir},
			} {
				_, err := Load(t.Context(), opts)
				if got := err != nil && IsUnreadable(err); got != tc.want {
					t.Errorf("%s, %s: unreadable is %v for %v", tc.reason, way, got, err)
				}
				if err == nil && name != "NothingAtHand" {
					t.Errorf("%s, %s: it loads", tc.reason, way)
				}
			}
		})
	}
}

// What the system says while it is in trouble must not pass for a project whose files are gone.
func TestUnreadableForNow(t *testing.T) {
	tests := map[string]struct {
		reason string
		cause  error
		want   bool
	}{
		"Gone":         {"it was deleted", syscall.ENOENT, true},
		"Closed":       {"the mode of the file", syscall.EACCES, true},
		"Forbidden":    {"a security module", syscall.EPERM, true},
		"NoFolder":     {"a file is where a folder was", syscall.ENOTDIR, true},
		"Circle":       {"a symbolic link leads to itself", syscall.ELOOP, true},
		"Folder":       {"it was opened, and is none to be read", syscall.EISDIR, true},
		"Descriptors":  {"the process has too many open", syscall.EMFILE, false},
		"AllOfThem":    {"the host has too many open", syscall.ENFILE, false},
		"Disk":         {"it fails", syscall.EIO, false},
		"NetworkDrive": {"its server was started anew", syscall.ESTALE, false},
		"Timeout":      {"its server does not answer", syscall.ETIMEDOUT, false},
		"Memory":       {"the kernel has none left", syscall.ENOMEM, false},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			err := fmt.Errorf("load: %w", readError(&os.PathError{Op: "open", Path: "/srv/shop/compose.yaml", Err: tc.cause}))
			if got := IsUnreadable(err); got != tc.want {
				t.Errorf("%s: unreadable is %v for %v", tc.reason, got, err)
			}
			l := &load{files: []File{{Path: "/srv/shop/compose.yaml"}}}
			err = l.loadError(fmt.Errorf("failed to load: %w", &os.PathError{Op: "open", Path: "/srv/shop/base.yaml", Err: tc.cause}))
			if got := IsUnreadable(err); got != tc.want {
				t.Errorf("%s: what compose-go has tried to read itself: unreadable is %v for %v", tc.reason, got, err)
			}
		})
	}
}
