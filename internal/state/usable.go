package state

import (
	"errors"
	"fmt"
	"os"
)

// Usable reports why nothing could be recorded: a daemon had better know that before it is needed.
func (s Store) Usable() error {
	if err := os.MkdirAll(s.Dir, 0o700); err != nil {
		return fmt.Errorf("create state folder: %w", err)
	}
	probe, err := os.CreateTemp(s.Dir, ".usable-*")
	if err != nil {
		return fmt.Errorf("write to state folder: %w", err)
	}
	if err := errors.Join(probe.Close(), os.Remove(probe.Name())); err != nil {
		return fmt.Errorf("write to state folder: %w", err)
	}
	return nil
}
