package files

import (
	"errors"
	"fmt"
	"strings"

	"golang.org/x/sys/unix"
)

var errUnkept = errors.New("an attribute of the file cannot be kept")

// keepAttributes gives the file at to the extended attributes of the one at from, and no others: access lists, security labels,
// what users attached. An attribute that this user may not give is errUnkept.
func keepAttributes(from, to string) error {
	want, err := attributes(from)
	if err != nil {
		return fmt.Errorf("%w: %w", errUnkept, err)
	}
	have, err := attributes(to)
	if err != nil {
		return fmt.Errorf("%w: %w", errUnkept, err)
	}
	for name := range have {
		if _, wanted := want[name]; wanted {
			continue
		}
		// A folder can hand its own access list down to every new file.
		if err := unix.Removexattr(to, name); err != nil {
			return fmt.Errorf("%w: remove %s: %w", errUnkept, name, err)
		}
	}
	for name, value := range want {
		if had, found := have[name]; found && had == value {
			continue
		}
		if err := unix.Setxattr(to, name, []byte(value), 0); err != nil {
			return fmt.Errorf("%w: set %s: %w", errUnkept, name, err)
		}
	}
	return nil
}

// attributes are the extended attributes of a file, but for those that the system computes from its content.
func attributes(path string) (map[string]string, error) {
	names, err := sized(func(buffer []byte) (int, error) { return unix.Listxattr(path, buffer) })
	if errors.Is(err, errors.ErrUnsupported) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("list attributes: %w", err)
	}
	found := map[string]string{}
	for name := range strings.SplitSeq(names, "\x00") {
		if name == "" || name == "security.ima" || name == "security.evm" {
			continue
		}
		value, err := sized(func(buffer []byte) (int, error) { return unix.Getxattr(path, name, buffer) })
		if err != nil {
			return nil, fmt.Errorf("read attribute %s: %w", name, err)
		}
		found[name] = value
	}
	return found, nil
}

// sized makes a call that tells the size it needs when it is given no room.
func sized(call func([]byte) (int, error)) (string, error) {
	size, err := call(nil)
	if err != nil || size == 0 {
		return "", err
	}
	buffer := make([]byte, size)
	n, err := call(buffer)
	if err != nil {
		return "", err
	}
	return string(buffer[:n]), nil
}
