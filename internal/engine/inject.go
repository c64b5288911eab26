package engine

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strings"
	"time"

	"github.com/composure-dev/composure/internal/hint"
	"github.com/composure-dev/composure/internal/redact"
)

// injectedLimit is the largest file, in bytes, that is copied on.
const injectedLimit = 16 << 20

// errNoFile is a path that means something else than a file.
var errNoFile = errors.New("it is no regular file")

// injected is a file that docker compose has copied into a container: an inline config, or a secret from the environment.
type injected struct {
	content  []byte
	mode     int64 // permissions and the set-id bits
	uid, gid int
	modified time.Time
}

// inject copies the injected files from the old container to the new one and proves that they are equal. They live in the writable
// layer, which a new container has not. One that the old container lacks ends the swap: docker compose has put it there, so the
// container is not what its files say, and what the program does without it at its next start is anybody's guess. For one that was
// empty there may be a folder: docker compose mounts the project's there.
func (s *swap) inject(ctx context.Context) error {
	var differences []Difference
	injected := slices.Clone(s.replacement.Injected)
	for _, path := range slices.Concat(s.replacement.Injected, s.replacement.MayInject) {
		mayLack := !slices.Contains(s.replacement.Injected, path)
		wanted, err := s.readInjected(ctx, s.source, path)
		if mayLack && (errors.Is(err, ErrNotFound) || errors.Is(err, errNoFile)) {
			continue
		}
		if err != nil {
			err = fmt.Errorf("file %q that docker compose has put into container %q: %w", path, s.swapped.Name(), err)
			return hint.Wrap(err, "have it made anew: docker compose up -d --force-recreate --no-deps "+s.swapped.Old.Label(LabelService))
		}
		copied, err := s.copyInjected(ctx, path, wanted)
		if err != nil {
			return fmt.Errorf("copy file %q: %w", path, err)
		}
		differences = append(differences, wanted.differences(path, copied)...)
		if mayLack {
			injected = append(injected, path)
		}
	}
	s.swapped.Injected = injected
	if len(differences) > 0 {
		return &ProofError{Differences: differences}
	}
	return nil
}

// copyInjected returns what the new container has in the end. On a shared volume it has the file already, and the old container
// may be reading it: then nothing is written.
func (s *swap) copyInjected(ctx context.Context, path string, wanted injected) (injected, error) {
	found, err := s.readInjected(ctx, s.swapped.NewID, path)
	if err == nil && len(wanted.differences(path, found)) == 0 {
		return found, nil
	}
	if err != nil && !errors.Is(err, ErrNotFound) {
		return injected{}, err
	}
	archive, err := wanted.archive(path)
	if err != nil {
		return injected{}, err
	}
	err = write(ctx, 0, func(ctx context.Context) error {
		return s.Writer.CopyTo(ctx, s.swapped.NewID, "/", bytes.NewReader(archive))
	})
	if err != nil {
		return injected{}, err
	}
	return s.readInjected(ctx, s.swapped.NewID, path)
}

func (s *swap) readInjected(ctx context.Context, id, path string) (injected, error) {
	stream, err := s.Reader.CopyFrom(ctx, id, path)
	if err != nil {
		return injected{}, err
	}
	defer stream.Close()
	archive := tar.NewReader(stream)
	header, err := archive.Next()
	if err != nil {
		return injected{}, err
	}
	if header.Typeflag != tar.TypeReg {
		return injected{}, errNoFile
	}
	if header.Size > injectedLimit {
		return injected{}, fmt.Errorf("it has more than %d bytes", injectedLimit)
	}
	content, err := io.ReadAll(archive)
	if err != nil {
		return injected{}, err
	}
	const kept = int64(fs.ModePerm) | 0o7000
	return injected{content: content, mode: header.Mode & kept, uid: header.Uid, gid: header.Gid, modified: header.ModTime}, nil
}

// archive is the file as a tar to be unpacked at the root: the engine makes the folders that are missing.
func (i injected) archive(path string) ([]byte, error) {
	var archive bytes.Buffer
	writer := tar.NewWriter(&archive)
	header := &tar.Header{
		Typeflag: tar.TypeReg,
		Name:     strings.TrimPrefix(path, "/"),
		Size:     int64(len(i.content)),
		Mode:     i.mode,
		Uid:      i.uid,
		Gid:      i.gid,
		ModTime:  i.modified,
	}
	if err := writer.WriteHeader(header); err != nil {
		return nil, err
	}
	if _, err := writer.Write(i.content); err != nil {
		return nil, err
	}
	if err := writer.Close(); err != nil {
		return nil, err
	}
	return archive.Bytes(), nil
}

// differences hide the contents: they may be secrets.
func (i injected) differences(path string, other injected) []Difference {
	var differences []Difference
	add := func(what, old, new string) {
		if old != new {
			differences = append(differences, Difference{Path: what + " of file " + path, Old: old, New: new})
		}
	}
	if !bytes.Equal(i.content, other.content) {
		differences = append(differences, Difference{Path: "content of file " + path, Old: redact.Mask, New: redact.Mask})
	}
	add("mode", fmt.Sprintf("%04o", i.mode), fmt.Sprintf("%04o", other.mode))
	add("owner", fmt.Sprint(i.uid), fmt.Sprint(other.uid))
	add("group", fmt.Sprint(i.gid), fmt.Sprint(other.gid))
	return differences
}
