package watch

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
)

const (
	// anyYAML stands for all entries of a folder that a folder of policies is read for. No entry can have that name.
	anyYAML = "*/"
	// absent is the stamp of what does not exist.
	absent = "absent"
	// manyLinks is where the kernel gives up, too.
	manyLinks = 40
)

var errManyLinks = errors.New("too many symbolic links")

// pass looks at paths at one time: a folder that many of them lead over is resolved once.
type pass struct {
	folders map[string]route
}

// route is how a path is resolved.
type route struct {
	real  string // without a symbolic link; of an absent one as far as it goes
	spots []spot // that it depends on
	err   error
}

func newPass() *pass { return &pass{folders: make(map[string]route)} }

// all are the stamps of a subject's paths, and the spots that they depend on, sorted.
func (p *pass) all(of *subject) (map[string]string, []spot) {
	stamps := make(map[string]string, len(of.stamps))
	var spots []spot
	for path := range of.stamps {
		stamp, on := p.stamp(path)
		stamps[path] = stamp
		spots = append(spots, on...)
	}
	slices.SortFunc(spots, compareSpots)
	return stamps, slices.Compact(spots)
}

func compareSpots(a, b spot) int {
	return cmp.Or(cmp.Compare(a.folder, b.folder), cmp.Compare(a.base, b.base))
}

// stamp is what a path leads to: a file, or a folder with the files in it that count.
func (p *pass) stamp(path string) (string, []spot) {
	route := p.resolve(path, manyLinks)
	if route.err != nil {
		return failed(route.err), route.spots
	}
	info, err := os.Stat(route.real)
	if err != nil {
		return failed(err), route.spots
	}
	if !info.IsDir() {
		return fileStamp(route.real, info), route.spots
	}
	spots := append(slices.Clip(route.spots), spot{route.real, anyYAML})
	entries, err := os.ReadDir(route.real)
	if err != nil {
		return failed(err), spots
	}
	var stamp strings.Builder
	stamp.WriteString(route.real + " " + info.Mode().String())
	for _, entry := range entries {
		if !isYAML(entry.Name()) || entry.IsDir() {
			continue
		}
		of, on := p.entry(filepath.Join(route.real, entry.Name()))
		stamp.WriteString("\n" + entry.Name() + " " + of)
		spots = append(spots, on...)
	}
	return stamp.String(), spots
}

// entry is the stamp of a file in a folder, which may be a symbolic link to one elsewhere.
func (p *pass) entry(path string) (string, []spot) {
	route := p.resolve(path, manyLinks)
	info, err := os.Stat(route.real)
	if err := errors.Join(route.err, err); err != nil {
		return failed(err), route.spots
	}
	return fileStamp(route.real, info), route.spots
}

func fileStamp(real string, info fs.FileInfo) string {
	stamp := real + " " + info.Mode().String() + " " + strconv.FormatInt(info.Size(), 10) + " " + strconv.FormatInt(info.ModTime().UnixNano(), 10)
	return stamp + " " + inode(info)
}

// inode is which file it is, whatever it is called.
func inode(info fs.FileInfo) string {
	if stat, ok := info.Sys().(*syscall.Stat_t); ok {
		return fmt.Sprintf("%d:%d", stat.Dev, stat.Ino)
	}
	return "-"
}

// identity is which folder is there, "" without one.
func identity(folder string) string {
	info, err := os.Stat(folder)
	if err != nil {
		return ""
	}
	return inode(info)
}

// failed is a stamp, too: that a file cannot be read now is a change.
func failed(err error) string {
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR) {
		return absent
	}
	if number, known := errors.AsType[syscall.Errno](err); known {
		return "error: " + number.Error()
	}
	return "error: " + err.Error()
}

// resolve follows a path to what it leads to, over at most so many symbolic links.
func (p *pass) resolve(path string, links int) route {
	parent, base := filepath.Dir(path), filepath.Base(path)
	if parent == path {
		return route{real: path}
	}
	way := p.folder(parent, links)
	if way.err != nil {
		return way
	}
	way.real = filepath.Join(way.real, base)
	way.spots = append(slices.Clip(way.spots), spot{filepath.Dir(way.real), base})
	return p.follow(way, links)
}

// folder is resolve for what is on the way: that a real folder is replaced is told by the watch on it.
func (p *pass) folder(path string, links int) route {
	if known, found := p.folders[path]; found {
		return known
	}
	way := p.resolve(path, links)
	if _, at := filepath.Split(path); at != "" && way.err == nil && len(way.spots) > 0 {
		if last := way.spots[len(way.spots)-1]; filepath.Join(last.folder, last.base) == way.real {
			way.spots = way.spots[:len(way.spots)-1]
		}
	}
	p.folders[path] = way
	return way
}

// follow goes on where the last step has led to a symbolic link.
func (p *pass) follow(way route, links int) route {
	info, err := os.Lstat(way.real)
	if err != nil {
		way.err = err
		return way
	}
	if info.Mode()&fs.ModeSymlink == 0 {
		return way
	}
	if links == 0 {
		way.err = errManyLinks
		return way
	}
	target, err := os.Readlink(way.real)
	if err != nil {
		way.err = err
		return way
	}
	if !filepath.IsAbs(target) {
		target = filepath.Join(filepath.Dir(way.real), target)
	}
	end := p.resolve(filepath.Clean(target), links-1)
	end.spots = slices.Concat(way.spots, end.spots)
	return end
}

// isYAML reports whether a file of that name counts in a folder. An editor's lock and a file that Composure has not finished do not.
func isYAML(base string) bool {
	extension := strings.ToLower(filepath.Ext(base))
	unfinished := strings.HasPrefix(base, ".#") || strings.HasPrefix(base, ".composure.")
	return (extension == ".yaml" || extension == ".yml") && !unfinished
}
