package enginetest

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/mount"

	"github.com/composure-dev/composure/internal/engine"
)

// files are regular files by their absolute path in a writable layer, a volume or a folder of the host. Folders are implied.
type files map[string]file

type file struct {
	content  []byte
	mode     int64
	uid, gid int
	modified time.Time
}

// place is where a path inside a container lies.
type place struct {
	files files
	path  string // within files
	// readOnly is why nothing can be written there, or "".
	readOnly string
}

// locate finds the mount that the path lies on, or the container's writable layer. A tmpfs exists for the container's processes
// only, as far as copying goes.
func (e *Engine) locate(b *box, name string) place {
	name = path.Clean("/" + name)
	found := place{files: b.layer, path: name}
	if b.HostConfig.ReadonlyRootfs {
		found.readOnly = "container rootfs is marked read-only"
	}
	longest := ""
	for _, point := range b.Mounts {
		if point.Type == mount.TypeTmpfs || len(point.Destination) <= len(longest) || !below(name, point.Destination) {
			continue
		}
		longest = point.Destination
		found = place{files: e.shared(point), path: path.Clean("/" + strings.TrimPrefix(name, point.Destination))}
		if !point.RW {
			found.readOnly = "mounted volume is marked read-only"
		}
	}
	return found
}

// shared are the files of a volume or of a folder of the host.
func (e *Engine) shared(point container.MountPoint) files {
	if e.volumes[point.Source] == nil {
		e.volumes[point.Source] = make(files)
	}
	return e.volumes[point.Source]
}

func below(name, folder string) bool {
	return name == folder || strings.HasPrefix(name, strings.TrimSuffix(folder, "/")+"/")
}

// isFolder holds for the root, and for what has a file in it.
func (p place) isFolder() bool {
	if p.path == "/" {
		return true
	}
	for name := range p.files {
		if name != p.path && below(name, p.path) {
			return true
		}
	}
	return false
}

// CopyFrom implements engine.Reader.
func (e *Engine) CopyFrom(ctx context.Context, id, name string) (io.ReadCloser, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	b, err := e.find("copy files from container", id)
	if err != nil {
		return nil, err
	}
	from := e.locate(b, name)
	if _, found := from.files[from.path]; !found && !from.isFolder() {
		return nil, fmt.Errorf("copy files from container %q: %w: could not find the file %s", id, engine.ErrNotFound, name)
	}
	archive, err := pack(from)
	if err != nil {
		return nil, err
	}
	return io.NopCloser(bytes.NewReader(archive)), nil
}

func pack(from place) ([]byte, error) {
	var archive bytes.Buffer
	writer := tar.NewWriter(&archive)
	if from.isFolder() {
		if err := writer.WriteHeader(&tar.Header{Typeflag: tar.TypeDir, Name: path.Base(from.path) + "/", Mode: 0o755}); err != nil {
			return nil, err
		}
	}
	for _, name := range slices.Sorted(maps.Keys(from.files)) {
		if !below(name, from.path) {
			continue
		}
		packed := from.files[name]
		header := &tar.Header{
			Name: strings.TrimPrefix(name, path.Dir(from.path)), Size: int64(len(packed.content)),
			Mode: packed.mode, Uid: packed.uid, Gid: packed.gid, ModTime: packed.modified,
		}
		header.Name = strings.TrimPrefix(header.Name, "/")
		err := writer.WriteHeader(header)
		if err == nil {
			_, err = writer.Write(packed.content)
		}
		if err != nil {
			return nil, err
		}
	}
	return archive.Bytes(), writer.Close()
}

// CopyTo implements engine.Writer.
func (e *Engine) CopyTo(ctx context.Context, id, folder string, archive io.Reader) error {
	unpacked, err := unpack(archive)
	if err != nil {
		return fmt.Errorf("copy files to container %q: %w", id, err)
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return err
	}
	b, err := e.find("copy files to container", id)
	if err != nil {
		return err
	}
	if to := e.locate(b, folder); !to.isFolder() {
		return fmt.Errorf("copy files to container %q: %w: could not find the file %s", id, engine.ErrNotFound, folder)
	} else if to.readOnly != "" {
		return fmt.Errorf("copy files to container %q: %s", id, to.readOnly)
	}
	for name, content := range unpacked {
		to := e.locate(b, path.Join(folder, name))
		to.files[to.path] = content
	}
	return nil
}

func unpack(archive io.Reader) (files, error) {
	unpacked := make(files)
	reader := tar.NewReader(archive)
	for {
		header, err := reader.Next()
		if errors.Is(err, io.EOF) {
			return unpacked, nil
		}
		if err != nil {
			return nil, err
		}
		if header.Typeflag != tar.TypeReg {
			continue
		}
		content, err := io.ReadAll(reader)
		if err != nil {
			return nil, err
		}
		unpacked[header.Name] = file{
			content: content, mode: header.Mode, uid: header.Uid, gid: header.Gid, modified: header.ModTime,
		}
	}
}
