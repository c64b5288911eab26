package engine

import "strings"

// UnreachableError is an engine that does not answer. It is [ErrUnreachable].
type UnreachableError struct {
	Host  string // the address that was tried
	Cause string // "" when the API client tells none
}

func (e *UnreachableError) Error() string {
	return strings.TrimSuffix("no engine answers at "+e.Host+": "+e.Cause, ": ")
}

// Is makes it an ErrUnreachable.
func (e *UnreachableError) Is(target error) bool { return target == ErrUnreachable }

// newUnreachable takes the cause out of the API client's words, which say the address once more, and for a socket its path again.
func newUnreachable(host, words string) *UnreachableError {
	_, path, _ := strings.Cut(host, "://")
	cause := strings.NewReplacer(
		"failed to connect to the docker API at "+host+"; check if the path is correct and if the daemon is running: ", "",
		"failed to connect to the docker API at "+host+": ", "",
		"Cannot connect to the Docker daemon at "+host+". Is the docker daemon running?", "",
		" while trying to connect to the docker API at "+host, "",
		"dial unix "+path+": ", "",
	).Replace(words)
	return &UnreachableError{Host: host, Cause: cause}
}
