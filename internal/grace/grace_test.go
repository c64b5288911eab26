package grace_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/composure-dev/composure/internal/grace"
)

func TestContextEndsAWhileLater(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, end := context.WithCancel(t.Context())
		longer, cancel := grace.Context(ctx, 5*time.Second)
		defer cancel()
		<-time.After(time.Hour)
		end()
		ended := time.Now()
		<-time.After(4 * time.Second)
		if longer.Err() != nil {
			t.Error("it ends too soon")
		}
		<-longer.Done()
		if took := time.Since(ended); took != 5*time.Second {
			t.Errorf("it ends after %s", took)
		}
	})
}

// A context that is not needed any more leaves nothing behind: the test would not end.
func TestContextIsCanceled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, end := context.WithCancel(t.Context())
		longer, cancel := grace.Context(ctx, time.Hour)
		end()
		synctest.Wait()
		cancel()
		if longer.Err() == nil {
			t.Error("it was canceled, and goes on")
		}
	})
}
