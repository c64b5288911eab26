package torture

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
)

// The variables with which this test binary is a Redis instead: the address that it listens on, and the file in which it keeps its data.
const (
	redisAddress = "COMPOSURE_TORTURE_REDIS_ADDRESS"
	redisFile    = "COMPOSURE_TORTURE_REDIS_FILE"
)

// keptKey is one key as it is on disk.
type keptKey struct {
	Key, Value string
	Expires    time.Time
}

// serveRedis is the process of the Redis, until it is told to end.
func serveRedis(address, file string) error {
	server := miniredis.NewMiniRedis()
	if err := loadKeys(server, file); err != nil {
		return err
	}
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGTERM)
	if err := server.StartAddr(address); err != nil {
		return err
	}
	fmt.Fprintln(os.Stdout, "listening")
	// Its time passes only when it is told to, be it that the process stood still.
	ticker, last := time.NewTicker(10*time.Millisecond), time.Now()
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			now := time.Now()
			server.FastForward(now.Sub(last))
			last = now
		case <-stop:
			server.Close()
			return saveKeys(server, file)
		}
	}
}

func saveKeys(server *miniredis.Miniredis, file string) error {
	var all []keptKey
	for _, key := range server.Keys() {
		value, err := server.Get(key)
		if err != nil {
			return err
		}
		all = append(all, keptKey{key, value, time.Now().Add(server.TTL(key))})
	}
	content, err := json.Marshal(all)
	if err != nil {
		return err
	}
	return os.WriteFile(file, content, 0o600)
}

func loadKeys(server *miniredis.Miniredis, file string) error {
	content, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	var all []keptKey
	if err == nil {
		err = json.Unmarshal(content, &all)
	}
	for _, each := range all {
		left := time.Until(each.Expires)
		if left <= 0 {
			continue
		}
		if err := server.Set(each.Key, each.Value); err != nil {
			return err
		}
		server.SetTTL(each.Key, left)
	}
	return err
}

// redisServer is a Redis in a process of its own, which comes and goes at one address.
type redisServer struct {
	t       *testing.T
	address string
	file    string
	cmd     *exec.Cmd
}

func newRedisServer(t *testing.T) *redisServer {
	t.Helper()
	s := &redisServer{t: t, address: net.JoinHostPort("127.0.0.1", freePort(t, -1)), file: filepath.Join(t.TempDir(), "keys")}
	s.start()
	t.Cleanup(func() {
		_ = s.cmd.Process.Kill()
		_ = s.cmd.Wait() // it is over in any case
	})
	return s
}

func (s *redisServer) start() {
	s.t.Helper()
	self, err := os.Executable()
	if err != nil {
		s.t.Fatal(err)
	}
	s.cmd = exec.Command(self)
	s.cmd.Env = append(os.Environ(), redisAddress+"="+s.address, redisFile+"="+s.file)
	s.cmd.Stderr = os.Stderr
	stdout, err := s.cmd.StdoutPipe()
	if err == nil {
		err = s.cmd.Start()
	}
	if err != nil {
		s.t.Fatal(err)
	}
	if line, err := bufio.NewReader(stdout).ReadString('\n'); err != nil || !strings.HasPrefix(line, "listening") {
		s.t.Fatalf("the Redis does not come up: %q, %v", line, err)
	}
}

// absence is a way in which a Redis is away.
type absence string

// The absences.
const (
	keeping absence = "stopped, its data kept"
	losing  absence = "killed, its data lost"
	hanging absence = "hanging" // it takes connections and answers nothing
)

func (s *redisServer) away(how absence) {
	s.t.Helper()
	var err error
	switch how {
	case keeping:
		err = s.cmd.Process.Signal(syscall.SIGTERM)
	case losing:
		err = errors.Join(s.cmd.Process.Kill(), os.RemoveAll(s.file))
	case hanging:
		err = s.cmd.Process.Signal(syscall.SIGSTOP)
	}
	if err != nil {
		s.t.Fatal(err)
	}
	if how != hanging {
		_ = s.cmd.Wait() // how it ended shows when it is started again
	}
}

func (s *redisServer) back(how absence) {
	s.t.Helper()
	if how != hanging {
		s.start()
		return
	}
	if err := s.cmd.Process.Signal(syscall.SIGCONT); err != nil {
		s.t.Fatal(err)
	}
}
