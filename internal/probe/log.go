package probe

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"regexp"
)

// maxLine bounds a line of a log in bytes; the rest of a longer one is not matched.
const maxLine = 64 << 10

// Match reads r line by line until pattern matches one, and returns that line without its end. It blocks as r does; ok is
// false when r ends first. The line may hold anything the application logs.
func Match(r io.Reader, pattern *regexp.Regexp) (line string, ok bool, err error) {
	reader := bufio.NewReaderSize(r, maxLine)
	for {
		data, long, err := reader.ReadLine()
		if err == nil && pattern.Match(data) {
			return string(data), true, nil
		}
		for long && err == nil {
			_, long, err = reader.ReadLine()
		}
		if errors.Is(err, io.EOF) {
			return "", false, nil
		}
		if err != nil {
			return "", false, fmt.Errorf("read log: %w", err)
		}
	}
}
