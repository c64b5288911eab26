package wire

import (
	"archive/tar"
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"path"
	"strconv"
	"strings"
	"time"

	"github.com/moby/moby/api/pkg/stdcopy"
	"github.com/moby/moby/api/types/container"
)

// logs are those that there are; they are not followed.
func (s *server) logs(w http.ResponseWriter, r *http.Request) error {
	c, err := s.find(r)
	if err != nil {
		return err
	}
	since, err := instant(r.FormValue("since"))
	if err != nil {
		return err
	}
	tail := -1
	if text := r.FormValue("tail"); text != "" && text != "all" {
		if tail, err = strconv.Atoi(text); err != nil {
			return &refusal{http.StatusBadRequest, "invalid tail: " + text}
		}
	}
	logs, err := s.engine.Logs(r.Context(), c.ID, since, tail)
	if err != nil {
		return err
	}
	defer logs.Close()
	content, err := io.ReadAll(logs)
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/octet-stream")
	for line := range strings.Lines(string(content)) {
		if !c.Config.Tty {
			line = string(frame(stdcopy.Stdout, []byte(line)))
		}
		fmt.Fprint(w, line)
	}
	return nil
}

// instant reads SECONDS[.NANOSECONDS]; nothing is the zero time.
func instant(text string) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	whole, fraction, _ := strings.Cut(text, ".")
	seconds, err := strconv.ParseInt(whole, 10, 64)
	if err != nil {
		return time.Time{}, &refusal{http.StatusBadRequest, "invalid timestamp: " + text}
	}
	nanoseconds, err := strconv.ParseInt((fraction + "000000000")[:9], 10, 64)
	if err != nil {
		return time.Time{}, &refusal{http.StatusBadRequest, "invalid timestamp: " + text}
	}
	return time.Unix(seconds, nanoseconds), nil
}

// frame puts the header before a part of a stream that tells stdout from stderr.
func frame(stream stdcopy.StdType, content []byte) []byte {
	header := make([]byte, 8, 8+len(content))
	header[0] = byte(stream)
	binary.BigEndian.PutUint32(header[4:], uint32(len(content))) //nolint:gosec // nobody logs lines of 4 GB
	return append(header, content...)
}

// copyFrom also answers HEAD, which is about the stat alone.
func (s *server) copyFrom(w http.ResponseWriter, r *http.Request) error {
	c, err := s.find(r)
	if err != nil {
		return err
	}
	name := r.FormValue("path")
	archive, err := s.engine.CopyFrom(r.Context(), c.ID, name)
	if err != nil {
		return err
	}
	defer archive.Close()
	content, err := io.ReadAll(archive)
	if err != nil {
		return err
	}
	stat, err := statOf(content, name)
	if err != nil {
		return err
	}
	w.Header().Set("X-Docker-Container-Path-Stat", stat)
	w.Header().Set("Content-Type", "application/x-tar")
	_, _ = w.Write(content) // whoever asked may be gone
	return nil
}

// statOf is the stat of the first entry, as the header has it.
func statOf(archive []byte, name string) (string, error) {
	stat := container.PathStat{Name: path.Base(name)}
	if first, err := tar.NewReader(bytes.NewReader(archive)).Next(); err == nil {
		stat.Size, stat.Mode, stat.Mtime = first.Size, first.FileInfo().Mode(), first.ModTime
	}
	encoded, err := json.Marshal(stat)
	return base64.StdEncoding.EncodeToString(encoded), err
}

func (s *server) copyTo(_ http.ResponseWriter, r *http.Request) error {
	c, err := s.find(r)
	if err != nil {
		return err
	}
	return s.engine.CopyTo(r.Context(), c.ID, r.FormValue("path"), r.Body)
}
