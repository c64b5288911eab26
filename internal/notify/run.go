package notify

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/cenkalti/backoff/v5"
	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"github.com/composure-dev/composure/internal/grace"
)

const (
	// tryWithin bounds one try, from the connection to the answer.
	tryWithin = 10 * time.Second
	// A message is given up after so many tries, or when it has become so old.
	maxTries = 12
	maxAge   = time.Hour
	// The pauses between tries: the first one, and the longest, of a receiver's Retry-After too.
	firstPause   = time.Second
	longestPause = 10 * time.Minute
	// drainWithin is how long delivery goes on when the program ends.
	drainWithin = 5 * time.Second
	// maxAnswer bounds what is read of an answer, in bytes: reading it lets the connection be used again.
	maxAnswer = 64 << 10
)

// Run delivers messages, one after the other, until ctx ends. What waits then is tried once more, for 5 seconds at most in all, and
// until the receiver cannot be had.
func (w *Webhook) Run(ctx context.Context) {
	sending, cancel := grace.Context(ctx, drainWithin)
	defer cancel()
	for {
		m, found := w.next(ctx)
		if !found {
			return
		}
		err := w.deliver(ctx, sending, m)
		switch {
		case err == nil:
			w.told(Delivered)
		case ctx.Err() != nil && !refused(err):
			w.abandon(m, err)
			return
		default:
			w.log.Error(err, "webhook message given up", "id", m.id)
			w.told(Failed)
		}
	}
}

// next waits for a message. When ctx has ended it takes what is there.
func (w *Webhook) next(ctx context.Context) (m message, found bool) {
	for {
		if m, found = w.pop(); found || ctx.Err() != nil {
			return m, found
		}
		select {
		case <-w.added:
		case <-ctx.Done():
		}
	}
}

// refused tells a message that is not taken, whenever it is sent, from a receiver that takes none now.
func refused(err error) bool {
	_, permanent := errors.AsType[*backoff.PermanentError](err)
	return permanent
}

// deliver sends a message until it is taken or refused, or given up. It waits between tries only until ctx ends; sending bounds the
// tries themselves. The error is that of the last try.
func (w *Webhook) deliver(ctx, sending context.Context, m message) error {
	pause := backoff.NewExponentialBackOff()
	pause.InitialInterval, pause.MaxInterval, pause.Multiplier = firstPause, longestPause, 2
	var last error
	try := func() (struct{}, error) {
		last = w.try(sending, m)
		return struct{}{}, last
	}
	begun := ctx.Err() == nil
	_, err := backoff.Retry(ctx, try, backoff.WithBackOff(pause), backoff.WithMaxTries(maxTries),
		backoff.WithMaxElapsedTime(max(maxAge-time.Since(m.queued), 1)),
		backoff.WithNotify(func(err error, again time.Duration) {
			w.log.V(1).Info("webhook message is tried again", "id", m.id, "cause", err.Error(), "after", again)
		}))
	if cut := begun && err != nil && ctx.Err() != nil; cut && !refused(last) && sending.Err() == nil {
		return w.try(sending, m) // instead of the pause that was cut short
	}
	return last
}

// abandon says what is left when the program ends.
func (w *Webhook) abandon(m message, err error) {
	left := 0
	for found := true; found; _, found = w.pop() {
		w.told(Dropped)
		left++
	}
	w.log.Error(err, "webhook messages dropped at the end", "id", m.id, "messages", left)
}

// try sends a message once. An error that is no [backoff.PermanentError] may pass.
func (w *Webhook) try(ctx context.Context, m message) error {
	ctx, cancel := context.WithTimeout(ctx, tryWithin)
	defer cancel()
	request, err := w.request(ctx, m, time.Now())
	if err != nil {
		return backoff.Permanent(withoutURL(err))
	}
	response, err := w.client.Do(request)
	if err != nil {
		return withoutURL(err)
	}
	defer response.Body.Close()
	_, _ = io.Copy(io.Discard, io.LimitReader(response.Body, maxAnswer)) // its status is the answer
	return verdict(response, time.Now())
}

// request is one try: the time that is signed is that of the try.
func (w *Webhook) request(ctx context.Context, m message, now time.Time) (*http.Request, error) {
	signature, err := w.signer.Sign(m.id, now, m.body)
	if err != nil {
		return nil, err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, w.url, bytes.NewReader(m.body))
	if err != nil {
		return nil, err
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("User-Agent", "composure")
	request.Header.Set(standardwebhooks.HeaderWebhookID, m.id)
	request.Header.Set(standardwebhooks.HeaderWebhookTimestamp, strconv.FormatInt(now.Unix(), 10))
	request.Header.Set(standardwebhooks.HeaderWebhookSignature, signature)
	return request, nil
}

// withoutURL is the cause of an error of the HTTP client, which puts the whole URL in front of it.
func withoutURL(err error) error {
	if wrapped, ok := errors.AsType[*url.Error](err); ok {
		return wrapped.Err
	}
	return err
}

// verdict is what an answer means.
func verdict(response *http.Response, now time.Time) error {
	code := response.StatusCode
	if code >= 200 && code < 300 {
		return nil
	}
	err := fmt.Errorf("the receiver answered %d %s", code, http.StatusText(code))
	switch {
	case code == http.StatusRequestTimeout, code == http.StatusTooEarly, code == http.StatusTooManyRequests, code >= 500:
		if pause, given := retryAfter(response.Header.Get("Retry-After"), now); given {
			return fmt.Errorf("%w, %w", err, &backoff.RetryAfterError{Duration: pause})
		}
		return err
	default:
		return backoff.Permanent(err)
	}
}

// retryAfter reads the header of that name: a number of seconds or a time.
func retryAfter(header string, now time.Time) (pause time.Duration, given bool) {
	if seconds, err := strconv.ParseUint(header, 10, 31); err == nil {
		pause = time.Duration(seconds) * time.Second
	} else if at, err := http.ParseTime(header); err == nil {
		pause = at.Sub(now)
	} else {
		return 0, false
	}
	return min(max(pause, firstPause), longestPause), true
}
