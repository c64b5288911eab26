// Package grace gives what is under way when a program is told to end some time to come to an end.
package grace

import (
	"context"
	"time"
)

// Context returns a context that ends so long after ctx does. cancel ends it at once, and has to be called.
func Context(ctx context.Context, span time.Duration) (longer context.Context, cancel context.CancelFunc) {
	longer, end := context.WithCancel(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, func() {
		timer := time.NewTimer(span)
		defer timer.Stop()
		select {
		case <-timer.C:
			end()
		case <-longer.Done():
		}
	})
	return longer, func() {
		stop()
		end()
	}
}
