package engine

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"debug/elf"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"strings"

	"github.com/moby/moby/api/pkg/stdcopy"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"
)

const (
	probeRepository = "composure-probe"
	probePrefix     = "composure-probe-" // of the containers' names
	probePath       = "/composure"
	// probeOutputLimit bounds what a probe may print, in bytes, on each of its streams.
	probeOutputLimit = 1 << 20
)

// EnsureImage implements Prober. The reference holds the binary's digest, so that another build makes another image. It also
// removes what older builds and killed runs have left of their probes.
func (c *Client) EnsureImage(ctx context.Context) (string, error) {
	path, ref, err := c.probeReference()
	if err != nil {
		return "", err
	}
	c.sweep.Do(func() { c.sweepContainers(ctx) })
	_, err = c.Image(ctx, ref)
	if err == nil {
		return ref, nil
	}
	if !errors.Is(err, ErrNotFound) {
		return "", err
	}
	if err := c.checkArchitecture(ctx); err != nil {
		return "", err
	}
	if err := c.importBinary(ctx, path, ref); err != nil {
		return "", fmt.Errorf("import probe image %q: %w", ref, err)
	}
	c.sweepImages(ctx, ref)
	return ref, nil
}

// probeReference reads the binary once and keeps its reference.
func (c *Client) probeReference() (path, ref string, err error) {
	path = c.probeBinary
	if path == "" {
		if path, err = os.Executable(); err != nil {
			return "", "", fmt.Errorf("find the running executable: %w", err)
		}
	}
	c.probeMu.Lock()
	defer c.probeMu.Unlock()
	if c.probeRef != "" {
		return path, c.probeRef, nil
	}
	if err := checkStatic(path); err != nil {
		return "", "", err
	}
	digest, err := digestFile(path)
	if err != nil {
		return "", "", err
	}
	c.probeRef = probeRepository + ":" + digest[:12]
	return path, c.probeRef, nil
}

// checkStatic refuses what cannot run in an empty image.
func checkStatic(path string) error {
	if runtime.GOOS != "linux" {
		return fmt.Errorf("probes need the Linux binary, this one is for %s", runtime.GOOS)
	}
	binary, err := elf.Open(path)
	if err != nil {
		return fmt.Errorf("read executable %q: %w", path, err)
	}
	defer binary.Close()
	for _, segment := range binary.Progs {
		if segment.Type == elf.PT_INTERP {
			return fmt.Errorf("probes need the static binary and %q is not; build with CGO_ENABLED=0", path)
		}
	}
	return nil
}

func (c *Client) checkArchitecture(ctx context.Context) error {
	info, err := c.Info(ctx)
	if err != nil {
		return err
	}
	if info.OSType != "linux" || info.Architecture != runtime.GOARCH {
		return fmt.Errorf("probes need a binary for the engine's %s/%s, this one is for linux/%s", info.OSType, info.Architecture, runtime.GOARCH)
	}
	return nil
}

func digestFile(path string) (string, error) {
	file, err := os.Open(path)
	if err != nil {
		return "", fmt.Errorf("open executable: %w", err)
	}
	defer file.Close()
	hash := sha256.New()
	if _, err := io.Copy(hash, file); err != nil {
		return "", fmt.Errorf("read executable %q: %w", path, err)
	}
	return hex.EncodeToString(hash.Sum(nil)), nil
}

func (c *Client) importBinary(ctx context.Context, path, ref string) error {
	reader, writer := io.Pipe()
	defer reader.Close()
	go func() { writer.CloseWithError(writeImage(writer, path)) }()
	source := client.ImageImportSource{Source: reader, SourceName: "-"}
	options := client.ImageImportOptions{Changes: []string{"LABEL " + LabelRole + "=" + RoleProbe}}
	progress, err := c.api.ImageImport(ctx, source, ref, options)
	if err != nil {
		return c.classify(err)
	}
	defer progress.Close()
	return importResult(progress)
}

// writeImage writes the root file system of the probe image: one file.
func writeImage(writer io.Writer, path string) error {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer file.Close()
	stat, err := file.Stat()
	if err != nil {
		return err
	}
	archive := tar.NewWriter(writer)
	header := &tar.Header{Name: strings.TrimPrefix(probePath, "/"), Mode: 0o755, Size: stat.Size()}
	if err := archive.WriteHeader(header); err != nil {
		return err
	}
	if _, err := io.Copy(archive, file); err != nil {
		return err
	}
	return archive.Close()
}

// importResult reads the progress to its end: the import is done only then, and an error may stand in a stream that began well.
func importResult(progress io.Reader) error {
	decoder := json.NewDecoder(progress)
	for {
		var message struct {
			Error string `json:"error"`
		}
		err := decoder.Decode(&message)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if message.Error != "" {
			return errors.New(message.Error)
		}
	}
}

// Probe implements Prober.
func (c *Client) Probe(ctx context.Context, target string, job []byte) ([]byte, error) {
	if !fullID(target) {
		return nil, fmt.Errorf("probe container %q: %w: not a full id", target, ErrNotFound)
	}
	ref, err := c.EnsureImage(ctx)
	if err != nil {
		return nil, err
	}
	spec := probeSpec(ref, target)
	id, err := c.Create(ctx, spec)
	if err != nil {
		return nil, err
	}
	output, err := c.runProbe(ctx, id, job)
	if err != nil {
		err = fmt.Errorf("probe from container %q: %w", ShortID(target), err)
	}
	return output, errors.Join(err, c.discard(ctx, id))
}

func probeSpec(ref, target string) Spec {
	return Spec{
		Name: probePrefix + strings.ToLower(rand.Text()[:12]),
		Config: &container.Config{
			Image:        ref,
			Entrypoint:   []string{probePath, "probe"},
			User:         "65534:65534",
			AttachStdin:  true,
			AttachStdout: true,
			AttachStderr: true,
			OpenStdin:    true,
			StdinOnce:    true,
			Labels:       map[string]string{LabelRole: RoleProbe},
		},
		Host: &container.HostConfig{
			NetworkMode:    container.NetworkMode("container:" + target),
			CapDrop:        []string{"ALL"},
			ReadonlyRootfs: true,
			SecurityOpt:    []string{"no-new-privileges"},
			// The answer may name what the job must not leave behind in a log.
			LogConfig: container.LogConfig{Type: "none"},
		},
	}
}

// runProbe attaches before it starts, so that no output is lost, and hands the job over on stdin.
func (c *Client) runProbe(ctx context.Context, id string, job []byte) ([]byte, error) {
	options := client.ContainerAttachOptions{Stream: true, Stdin: true, Stdout: true, Stderr: true}
	attached, err := c.api.ContainerAttach(ctx, id, options)
	if err != nil {
		return nil, c.classify(err)
	}
	defer attached.Close()
	defer context.AfterFunc(ctx, attached.Close)()
	if err := c.Start(ctx, id); err != nil {
		return nil, err
	}
	go func() {
		// A probe that ends before it has read its job is judged by its exit code.
		_, _ = attached.Conn.Write(job)
		_ = attached.CloseWrite()
	}()
	stdout, stderr := &limitedBuffer{limit: probeOutputLimit}, &limitedBuffer{limit: probeOutputLimit}
	if _, err := stdcopy.StdCopy(stdout, stderr, attached.Reader); err != nil {
		return nil, errors.Join(ctx.Err(), err)
	}
	code, err := c.exitCode(ctx, id)
	if err != nil {
		return nil, err
	}
	if code != 0 {
		return nil, fmt.Errorf("exit code %d: %s", code, strings.TrimSpace(stderr.String()))
	}
	return stdout.Bytes(), nil
}

func (c *Client) exitCode(ctx context.Context, id string) (int64, error) {
	wait := c.api.ContainerWait(ctx, id, client.ContainerWaitOptions{Condition: container.WaitConditionNotRunning})
	select {
	case result := <-wait.Result:
		if result.Error != nil {
			return 0, errors.New(result.Error.Message)
		}
		return result.StatusCode, nil
	case err := <-wait.Error:
		return 0, c.classify(err)
	}
}

// limitedBuffer fails the copy instead of holding whatever a program prints.
type limitedBuffer struct {
	bytes.Buffer
	limit int
}

func (b *limitedBuffer) Write(p []byte) (int, error) {
	if b.Len()+len(p) > b.limit {
		return 0, fmt.Errorf("output exceeds %d bytes", b.limit)
	}
	return b.Buffer.Write(p)
}
