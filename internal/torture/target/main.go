// Command target is what runs in the containers of the torture tests: a server that tells what it is made of, and the clients that
// ask it. It is static and depends on nothing, since its image is made from scratch.
package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"
)

// crashing is the variable with which serve does not come up.
const crashing = "TARGET_CRASH"

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "target:", err)
		os.Exit(2)
	}
}

func run(args []string) error {
	if len(args) < 2 {
		return errors.New("usage: target serve ADDRESS | get URL | write FILE TEXT | probe HOST:PORT")
	}
	switch args[0] {
	case "serve":
		return serve(args[1])
	case "get":
		return get(args[1], os.Stdout, 2*time.Second)
	case "write":
		return os.WriteFile(args[1], []byte(strings.Join(args[2:], " ")), 0o640)
	case "probe":
		return probe(args[1], os.Stdin, os.Stdout)
	default:
		return fmt.Errorf("%q is no verb", args[0])
	}
}

// serve answers until it is asked to stop, and then ends at once.
func serve(address string) error {
	if os.Getenv(crashing) == "true" {
		return errors.New(crashing + " is set")
	}
	http.HandleFunc("/healthz", func(http.ResponseWriter, *http.Request) {})
	http.HandleFunc("/env", func(w http.ResponseWriter, _ *http.Request) { answer(w, os.Environ(), nil) })
	http.HandleFunc("/file", func(w http.ResponseWriter, r *http.Request) {
		told, err := read(r.URL.Query().Get("path"))
		answer(w, told, err)
	})
	server := &http.Server{Addr: address, ReadHeaderTimeout: time.Second}
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGTERM, os.Interrupt)
	ended := make(chan error, 1)
	go func() { ended <- server.ListenAndServe() }()
	select {
	case <-stop:
		return nil
	case err := <-ended:
		return err
	}
}

// file is what /file tells.
type file struct{ Mode, Content string }

func read(path string) (file, error) {
	info, err := os.Stat(path)
	if err != nil {
		return file{}, err
	}
	content, err := os.ReadFile(path)
	return file{info.Mode().String(), string(content)}, err
}

func answer(w http.ResponseWriter, value any, err error) {
	if err == nil {
		err = json.NewEncoder(w).Encode(value)
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusNotFound)
	}
}

// get fetches over a connection of its own.
func get(address string, to io.Writer, within time.Duration) error {
	parsed, err := url.Parse(address)
	if err != nil {
		return err
	}
	// Nobody is to wait for what an earlier one asked: a resolver that is shared makes it so, for as long as the first may take.
	dialer := net.Dialer{Timeout: within, Resolver: &net.Resolver{PreferGo: true}}
	fresh := http.Client{Timeout: within, Transport: &http.Transport{DisableKeepAlives: true, DialContext: dialer.DialContext}}
	response, err := fresh.Do(&http.Request{Method: http.MethodGet, URL: parsed})
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if _, err := io.Copy(to, response.Body); err != nil {
		return err
	}
	if response.StatusCode != http.StatusOK {
		return errors.New(response.Status)
	}
	return nil
}
