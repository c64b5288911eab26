// Package probe asks the questions that can only be asked from inside a container's network: it runs in a short-lived
// container, reads one [Job] from its standard input and writes one [Result] to its standard output.
//
// A probe makes one attempt with a short deadline of its own; whoever sends the job repeats it. It only looks: nothing is
// published, set or subscribed. A result never holds a password, nor any text the server or the URL could smuggle one in with.
package probe

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"
)

// Timeout is how long one probe may take.
const Timeout = 3 * time.Second

// maxJob bounds a job in bytes; a URL is a line.
const maxJob = 64 << 10

// Job is one question. Exactly one field is set.
type Job struct {
	Redis *RedisJob `json:"redis,omitempty"`
	HTTP  *HTTPJob  `json:"http,omitempty"`
}

// RedisJob asks a Redis for a PONG and, when Channel is not empty, for that channel's number of subscribers.
type RedisJob struct {
	URL     string `json:"url"` // redis:// or rediss://, may hold a password
	Channel string `json:"channel,omitempty"`
}

// HTTPJob asks a web server for the status of a GET. Redirects are not followed.
type HTTPJob struct {
	URL                string `json:"url"` // http:// or https://, may hold a password
	InsecureSkipVerify bool   `json:"insecureSkipVerify,omitempty"`
}

// Result is what a probe saw. Whether it is enough is for the caller to judge.
type Result struct {
	Ping        bool    `json:"ping"`
	Subscribers int64   `json:"subscribers"`
	Server      string  `json:"server,omitempty"` // version; empty when the server does not tell
	Status      int     `json:"status,omitempty"` // of the HTTP answer; 0 when there was none
	LatencyMs   float64 `json:"latencyMs"`        // of the PING, connecting not included; of the GET, connecting included
	Class       Class   `json:"class,omitempty"`  // empty: no error
	Error       string  `json:"error,omitempty"`  // one line, begins with Class
}

// Class sorts the ways in which a probe fails.
type Class string

// The classes.
const (
	ClassURL      Class = "url"      // the URL cannot be used
	ClassResolve  Class = "resolve"  // the host's name is not known here
	ClassConnect  Class = "connect"  // refused, unreachable, or closed
	ClassTLS      Class = "tls"      // no TLS there, or a certificate that is not trusted
	ClassAuth     Class = "auth"     // wrong or missing password, or a user that may not do this
	ClassTimeout  Class = "timeout"  // no answer in time
	ClassProtocol Class = "protocol" // something answers, but not what was asked
)

// Run reads a job from stdin, does it and writes the result to stdout as one line of JSON. A probe that finds something wrong
// has done its work: that is in the result. The error is about the job itself or about the streams.
func Run(ctx context.Context, stdin io.Reader, stdout io.Writer) error {
	job, err := readJob(stdin)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, Timeout)
	defer cancel()
	if err := json.NewEncoder(stdout).Encode(job.ask(ctx)); err != nil {
		return fmt.Errorf("write result: %w", err)
	}
	return nil
}

func (j Job) ask(ctx context.Context) Result {
	if j.HTTP != nil {
		return askHTTP(ctx, *j.HTTP)
	}
	return askRedis(ctx, *j.Redis)
}

func readJob(r io.Reader) (Job, error) {
	data, err := io.ReadAll(io.LimitReader(r, maxJob+1))
	if err != nil {
		return Job{}, fmt.Errorf("read job: %w", err)
	}
	if len(data) > maxJob {
		return Job{}, fmt.Errorf("read job: more than %d bytes", maxJob)
	}
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.DisallowUnknownFields()
	var job Job
	if err := decoder.Decode(&job); err != nil {
		return Job{}, jobError(err)
	}
	if decoder.More() {
		return Job{}, errors.New("read job: more than one JSON value")
	}
	switch asked := []bool{job.Redis != nil, job.HTTP != nil}; {
	case !slices.Contains(asked, true):
		return Job{}, errors.New("read job: nothing is asked")
	case !slices.Contains(asked, false):
		return Job{}, errors.New("read job: more than one question")
	}
	return job, nil
}

// jobError keeps the place of a syntax error and drops the rest: a decoder quotes what it reads, and a job holds passwords.
func jobError(err error) error {
	if syntax, ok := errors.AsType[*json.SyntaxError](err); ok {
		return fmt.Errorf("read job: invalid JSON at byte %d", syntax.Offset)
	}
	if field, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		return fmt.Errorf("read job: field %q must be a %s", field.Field, field.Type)
	}
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return errors.New("read job: incomplete JSON")
	}
	return errors.New("read job: unknown field")
}
