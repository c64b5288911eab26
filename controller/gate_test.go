package controller

import (
	"testing"
	"testing/synctest"
	"time"
)

// A recovery that fails starts and stops containers: it is tried less and less often.
func TestAttemptsAreFurtherAndFurtherApart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := attempts{failed: map[string]attempt{}}
		if got := a.pause("shop"); got != 0 {
			t.Errorf("the first one waits %s", got)
		}
		tries, begun := 0, time.Now()
		for time.Since(begun) < 24*time.Hour {
			tries++
			a.note("shop", false)
			<-time.After(a.pause("shop"))
		}
		if tries > 35 {
			t.Errorf("%d tries in a day", tries)
		}
		if got := a.pause("other"); got > 0 {
			t.Errorf("another project waits %s", got)
		}
		a.note("shop", true)
		if got := a.pause("shop"); got != 0 {
			t.Errorf("after a success: %s", got)
		}
	})
}
