// Package hint joins an error with what to do about it. The command line prints the error on one line and each hint on a line below.
package hint

import "errors"

// Error is an error with advice for the person who reads it.
type Error struct {
	Err   error
	Hints []string
}

func (e *Error) Error() string { return e.Err.Error() }

// Unwrap gives the error without its hints.
func (e *Error) Unwrap() error { return e.Err }

// Wrap adds hints to err; a nil err stays nil.
func Wrap(err error, hints ...string) error {
	if err == nil {
		return nil
	}
	return &Error{Err: err, Hints: hints}
}

// Of collects the hints along err's chain, outermost first.
func Of(err error) []string {
	var hints []string
	var hinted *Error
	for errors.As(err, &hinted) {
		hints = append(hints, hinted.Hints...)
		err = hinted.Err
	}
	return hints
}
