package state

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// keptPolicy is a policy file as it was when it could last be read.
type keptPolicy struct {
	Path    string `json:"path"`
	Content []byte `json:"content"`
}

// KeepPolicy remembers, durably, the content of a policy file that was good. It replaces what was remembered of it.
func (s Store) KeepPolicy(path string, content []byte) error {
	name, err := s.policyFile(path)
	if err == nil {
		err = write(name, keptPolicy{path, content})
	}
	if err != nil {
		return fmt.Errorf("keep the policies of %s: %w", path, err)
	}
	return nil
}

// KeptPolicy gives the content that was remembered last, nil when there is none.
func (s Store) KeptPolicy(path string) ([]byte, error) {
	name, err := s.policyFile(path)
	if err != nil {
		return nil, err
	}
	var kept keptPolicy
	err = read(name, &kept)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return kept.Content, err
}

// ForgetPolicy forgets a file that was removed. One of which nothing is remembered is left as it is.
func (s Store) ForgetPolicy(path string) error {
	name, err := s.policyFile(path)
	if err != nil {
		return err
	}
	if err := os.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("forget the policies of %s: %w", path, err)
	}
	return nil
}

// policyFile is named by a digest: a path may hold anything.
func (s Store) policyFile(path string) (string, error) {
	absolute, err := filepath.Abs(path)
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256([]byte(absolute))
	return filepath.Join(s.Dir, "policies", hex.EncodeToString(sum[:])+".json"), nil
}
