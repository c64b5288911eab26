// Package engine is the Docker Engine as Composure needs it: three narrow views of its API, the clone of a container, the
// proof that a clone equals its original, and the swap.
//
// The views are the safety of the design: what holds a [Reader] cannot change anything, what holds a [Prober] can start
// short-lived probe containers and nothing else, and only the executor of a plan holds a [Writer].
package engine

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"time"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/network"
)

// MinAPIVersion is the oldest Engine API that is served: Docker 20.10's.
const MinAPIVersion = "1.41"

// Labels that Composure puts on containers of its own making. They never change: the phase of a transaction is read from
// names, states and the record.
const (
	LabelTransaction = "composure.transaction" // id of the transaction that made it
	LabelReplaces    = "composure.replaces"    // full id of the container it replaces
	LabelRestart     = "composure.restart"     // its restart policy as docker's --restart takes it, which an undo takes from it
	LabelHost        = "composure.host"        // on a lock: who holds it
	LabelPID         = "composure.pid"         // on a lock: the holder's process id on that host
	LabelProcess     = "composure.process"     // on a lock: tells that process from others with its id; absent where the host does not tell
	LabelStarted     = "composure.started"     // on a lock: since when, RFC 3339
	LabelRole        = "composure.role"        // lock | probe, also on the probe image; not on a replacement
)

// Values of LabelRole.
const (
	RoleLock  = "lock"
	RoleProbe = "probe"
)

// Labels of compose that decide what a container is.
const (
	LabelProject         = "com.docker.compose.project"
	LabelService         = "com.docker.compose.service"
	LabelConfigHash      = "com.docker.compose.config-hash"
	LabelContainerNumber = "com.docker.compose.container-number"
	LabelOneoff          = "com.docker.compose.oneoff"
	LabelWorkingDir      = "com.docker.compose.project.working_dir"
	LabelConfigFiles     = "com.docker.compose.project.config_files"
	LabelEnvironmentFile = "com.docker.compose.project.environment_file"
	LabelDependsOn       = "com.docker.compose.depends_on"
	LabelVersion         = "com.docker.compose.version"
	LabelImage           = "com.docker.compose.image"
	LabelHook            = "com.docker.compose.hook"
	LabelRelay           = "com.docker.compose.relay"
	LabelReplace         = "com.docker.compose.replace" // what a recreated container has replaced; it stays for good
)

// Errors a caller branches on. Implementations wrap them.
var (
	ErrNotFound    = errors.New("not found")
	ErrConflict    = errors.New("conflict")           // a name is taken
	ErrUnreachable = errors.New("engine unreachable") // no socket, refused, no answer
	ErrTooOld      = errors.New("engine too old")
)

// Info is who answers.
type Info struct {
	APIVersion    string // negotiated, "1.41"
	ServerVersion string // "20.10.24+dfsg1"
	OSType        string // "linux"
	Architecture  string // as GOARCH: "amd64"
	Podman        bool
	Host          string // the address, for messages
}

// Container is one container as inspect returns it. Env, labels and names are read through the methods in container.go.
type Container struct {
	container.InspectResponse
	// Raw is the answer byte for byte: an older engine tells things that InspectResponse has no field for.
	Raw json.RawMessage `json:"-"`
}

// Image is what a clone and a comparison need of an image.
type Image struct {
	ID     string
	Env    []string
	Labels map[string]string
	// Names are the tags that resolve to this image now.
	Names []string
}

// Reader looks. No method of it changes anything in the engine.
type Reader interface {
	// Info negotiates the API version. It returns ErrUnreachable or ErrTooOld.
	Info(ctx context.Context) (Info, error)
	// List returns the containers, in every state, that carry all the labels (key, or key=value), sorted by name: without a
	// label, all that the engine has.
	// A container that vanishes between list and inspect is left out; any other error fails the whole list.
	List(ctx context.Context, labels ...string) ([]Container, error)
	// Inspect takes a full id only (a name or prefix may match another container) or an exact name with a leading slash.
	Inspect(ctx context.Context, id string) (Container, error)
	// Image takes an id or a name.
	Image(ctx context.Context, ref string) (Image, error)
	// Logs returns stdout and stderr, interleaved and demultiplexed, since the instant. tail < 0 means all lines. The caller closes it.
	Logs(ctx context.Context, id string, since time.Time, tail int) (io.ReadCloser, error)
	// CopyFrom returns a tar of what is at the absolute path inside the container (full id), running or not: for a file one entry,
	// with the file's base name. Without such a path it is ErrNotFound. The caller closes it.
	CopyFrom(ctx context.Context, id, path string) (io.ReadCloser, error)
}

// Spec is a container to be created: what ContainerCreate takes, and the networks that are connected one by one after it.
type Spec struct {
	Name    string
	Config  *container.Config
	Host    *container.HostConfig
	Network *network.NetworkingConfig
	// Connect are further networks, by name: below API 1.44 only one can be given at create.
	Connect map[string]*network.EndpointSettings
	// MACAddress is the one of the container, "" for a generated one. It is for APIs below 1.44; since then it is an endpoint's.
	MACAddress string
}

// Writer changes containers, each named by its full id. Stop of a stopped and Start of a running container succeed; Remove of one that is gone returns ErrNotFound.
type Writer interface {
	// Create creates the container and connects Spec.Connect in name order. When connecting fails the half-made container is removed.
	Create(ctx context.Context, spec Spec) (id string, err error)
	Start(ctx context.Context, id string) error
	// Stop uses the container's own stop signal and grace.
	Stop(ctx context.Context, id string) error
	Rename(ctx context.Context, id, name string) error
	// Remove never removes volumes. It does not kill: a running container is refused with ErrConflict unless force.
	Remove(ctx context.Context, id string, force bool) error
	SetRestartPolicy(ctx context.Context, id string, policy container.RestartPolicy) error
	// CopyTo unpacks the tar below the absolute path, a folder, inside the container, running or not. Folders that are missing on the
	// way to a file are made, and a file that is there is overwritten.
	CopyTo(ctx context.Context, id, path string, tar io.Reader) error
}

// Prober runs Composure's own binary in a short-lived container and nothing else.
type Prober interface {
	// EnsureImage imports Composure's own static binary as an image when the engine lacks it, and returns its reference.
	EnsureImage(ctx context.Context) (ref string, err error)
	// Probe runs the binary's probe verb inside the network namespace of the target container (full id, running) with job on
	// its stdin, and returns its stdout. The probe has no capability, a read-only root and uid 65534, and is removed always.
	// A probe that exits non-zero is an error that holds its stderr.
	Probe(ctx context.Context, target string, job []byte) (stdout []byte, err error)
}

// Watcher tells what has changed without looking at every container.
type Watcher interface {
	// Summaries lists the containers, in every state, that carry all the labels, with one call, sorted by name.
	Summaries(ctx context.Context, labels ...string) ([]Summary, error)
	// Subscribe returns once the engine has accepted the subscription: what is listed after that leaves no gap.
	Subscribe(ctx context.Context) (*Subscription, error)
	// ID tells the engine from every other, by the same word whoever asks it.
	ID(ctx context.Context) (string, error)
}
