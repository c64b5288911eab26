// Package systemd tells the service manager that started this process how it is: sd_notify(3), for a unit of Type=notify. Outside of
// such a unit (no NOTIFY_SOCKET) it does nothing. What the manager cannot be told is not tried again: it then waits for its own time
// limits, and starts the service anew.
package systemd

import (
	"context"
	"strings"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"
)

// Ready says that the service has started; what depends on it may start as well.
func Ready() { tell(daemon.SdNotifyReady) }

// Stopping says that the service is ending, on a signal or by itself.
func Stopping() { tell(daemon.SdNotifyStopping) }

// Status says in one line how the service is. systemctl status shows it, so it must hold no secret.
func Status(text string) { tell("STATUS=" + strings.Join(strings.Fields(text), " ")) }

// Watchdog tells the manager twice in each WatchdogSec= that the service is alive, as long as healthy says so, and until ctx ends. A
// manager that is not told kills the service and starts it anew. It returns at once when the unit has no WatchdogSec=.
func Watchdog(ctx context.Context, healthy func() bool) {
	within, err := daemon.SdWatchdogEnabled(false)
	if err != nil || within <= 0 {
		return
	}
	ticker := time.NewTicker(max(within/2, time.Millisecond))
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			if healthy() {
				tell(daemon.SdNotifyWatchdog)
			}
		}
	}
}

// tell is deaf to failures: nobody is left who could be told of them.
func tell(state string) { _, _ = daemon.SdNotify(false, state) }
