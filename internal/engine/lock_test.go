package engine_test

import (
	"testing"

	"github.com/composure-dev/composure/internal/engine"
	"github.com/composure-dev/composure/internal/engine/enginetest"
)

func TestStaleLock(t *testing.T) {
	tests := map[string]struct {
		reason string
		host   string
		alive  bool
		stale  bool
	}{
		"Dead":      {reason: "the next run removes it", host: "here", stale: true},
		"Alive":     {reason: "its process is at work", host: "here", alive: true},
		"Elsewhere": {reason: "what runs on another host is not known", host: "there"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			e := enginetest.New(enginetest.Options{})
			locker := &engine.Locker{Reader: e, Writer: e, Prober: e, Host: tc.host, Alive: func(int) bool { return tc.alive }}
			if _, err := locker.Lock(t.Context(), "shop", "tx"); err != nil {
				t.Fatal(err)
			}
			locker.Host = "here"
			found, stale := locker.Stale("shop", listed(t, e))
			if stale != tc.stale || (found.Label(engine.LabelTransaction) == "tx") != tc.stale {
				t.Errorf("%s: stale = %t, want %t", tc.reason, stale, tc.stale)
			}
			if held := locker.Holder("shop", listed(t, e)) != nil; held == stale {
				t.Errorf("held = %t and stale = %t", held, stale)
			}
			if _, stale := locker.Stale("other", listed(t, e)); stale {
				t.Error("another project's lock is taken for this one's")
			}
		})
	}
}
