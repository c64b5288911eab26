package conformance

import (
	"cmp"
	"slices"
	"strconv"
	"time"

	"github.com/moby/moby/api/types/container"

	"github.com/composure-dev/composure/internal/engine/enginetest"
)

// Variables that tell the conformance image what to do. It prints its environment, then runs until it is told to stop, unless
// ScriptExit is set; `health` judges by ScriptHealth and `probe` repeats its stdin.
const (
	ScriptExit   = "SCRIPT_EXIT"   // exit code; it exits by itself after 50 ms
	ScriptHealth = "SCRIPT_HEALTH" // "bad" makes the healthcheck fail
	ScriptStop   = "SCRIPT_STOP"   // how long it takes to end when it is told to stop, such as "2s"
)

const scriptExitAfter = 50 * time.Millisecond

// scriptSource is the program of the conformance image on a real engine.
const scriptSource = `package main

import (
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strconv"
	"syscall"
	"time"
)

func main() {
	verb := ""
	if len(os.Args) > 1 {
		verb = os.Args[1]
	}
	switch verb {
	case "probe":
		io.Copy(os.Stdout, os.Stdin)
		return
	case "health":
		if os.Getenv("SCRIPT_HEALTH") == "bad" {
			os.Exit(1)
		}
		return
	}
	terminated := make(chan os.Signal, 1)
	signal.Notify(terminated, syscall.SIGTERM)
	for _, entry := range slices.Sorted(slices.Values(os.Environ())) {
		fmt.Println(entry)
	}
	code, err := strconv.Atoi(os.Getenv("SCRIPT_EXIT"))
	if err != nil {
		<-terminated
		delay, _ := time.ParseDuration(os.Getenv("SCRIPT_STOP"))
		time.Sleep(delay)
		return
	}
	time.Sleep(50 * time.Millisecond)
	os.Exit(code)
}
`

// Script is the program of the conformance image on the engine in memory.
func Script(env map[string]string) enginetest.Behavior {
	var behavior enginetest.Behavior
	for key, value := range env {
		behavior.Logs = append(behavior.Logs, enginetest.Log{Text: key + "=" + value})
	}
	slices.SortFunc(behavior.Logs, func(a, b enginetest.Log) int { return cmp.Compare(a.Text, b.Text) })
	if code, err := strconv.Atoi(env[ScriptExit]); err == nil {
		behavior.Exit = &enginetest.Exit{After: scriptExitAfter, Code: code}
	}
	if delay, err := time.ParseDuration(env[ScriptStop]); err == nil {
		behavior.StopAfter = delay
	}
	if health, found := env[ScriptHealth]; found {
		verdict := container.Healthy
		if health == "bad" {
			verdict = container.Unhealthy
		}
		behavior.Health = []enginetest.Health{{After: 100 * time.Millisecond, Status: verdict}}
	}
	return behavior
}
