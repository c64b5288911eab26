// Package notify tells a webhook what has changed, each message signed as the Standard Webhooks specification has it
// (https://www.standardwebhooks.com), in order, and again until it is taken.
package notify

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/go-logr/logr"
	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"github.com/composure-dev/composure/internal/hint"
)

// What becomes of a message.
const (
	Delivered = "delivered" // the receiver answered 2xx
	Failed    = "failed"    // it was refused, or given up after many tries
	Dropped   = "dropped"   // it was never taken up, or not brought to an end before the program ended
)

const (
	// maxQueued bounds the messages that wait. When there are more the oldest go: the latest say how things are.
	maxQueued = 256
	// shortestSecret is what the specification asks for, in bytes.
	shortestSecret = 24
	secretPrefix   = "whsec_"
)

// Options say where messages go.
type Options struct {
	// URL is http or https. Its path, query and user may be secrets, so that only its scheme and host are ever shown.
	URL string
	// Secret signs the messages: "whsec_" and base64, or the bytes themselves, 24 of them at least. Line breaks at its end do not count.
	Secret []byte
	// Client sends them. Nil: one that follows no redirects. Each try has a deadline of its own.
	Client *http.Client
	Log    logr.Logger
	// Told is called with what became of each message: Delivered, Failed or Dropped. Nil: nobody counts.
	Told func(result string)
}

// Webhook sends messages to one receiver. It may be used by several goroutines at once.
type Webhook struct {
	url    string
	signer *standardwebhooks.Webhook
	client *http.Client
	log    logr.Logger
	told   func(result string)

	mu    sync.Mutex
	queue []message
	added chan struct{} // has an element when something was queued since somebody looked
}

// message is what is sent, the same bytes at every try.
type message struct {
	id     string
	body   []byte
	queued time.Time
}

// New returns a webhook that sends nothing until [Webhook.Run]. Errors carry hints, and nothing of the URL or the secret.
func New(o Options) (*Webhook, error) {
	target, err := url.Parse(o.URL)
	if err != nil || target.Scheme != "http" && target.Scheme != "https" || target.Hostname() == "" {
		return nil, hint.Wrap(errors.New("the webhook's URL is not one of http or https"), "write it as https://HOST/PATH")
	}
	signer, err := newSigner(o.Secret)
	if err != nil {
		return nil, err
	}
	w := &Webhook{
		url: o.URL, signer: signer, client: o.Client, told: o.Told, added: make(chan struct{}, 1),
		log: o.Log.WithValues("webhook", target.Scheme+"://"+target.Host),
	}
	if w.client == nil {
		w.client = &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	}
	if w.told == nil {
		w.told = func(string) {}
	}
	return w, nil
}

func newSigner(secret []byte) (*standardwebhooks.Webhook, error) {
	const fresh = `make one with: printf 'whsec_%s\n' "$(openssl rand -base64 32)"`
	key := bytes.TrimRight(secret, "\r\n")
	if encoded, found := strings.CutPrefix(string(key), secretPrefix); found {
		decoded, err := base64.StdEncoding.DecodeString(encoded)
		if err != nil {
			return nil, hint.Wrap(errors.New("the webhook's secret begins with whsec_, and what follows is not base64"), fresh)
		}
		key = decoded
	}
	if len(key) < shortestSecret {
		return nil, hint.Wrap(fmt.Errorf("the webhook's secret has %d bytes, and must have %d", len(key), shortestSecret), fresh)
	}
	return standardwebhooks.NewWebhookRaw(key)
}

// Notify queues a message and returns at once. id tells it from all others, and lets the receiver know one that it has had.
// payload is written as JSON now. When too many messages wait the oldest one is dropped.
func (w *Webhook) Notify(id string, payload any) {
	body, err := json.Marshal(payload)
	if err != nil {
		w.log.Error(err, "webhook message cannot be written as JSON", "id", id)
		w.told(Failed)
		return
	}
	if lost := w.push(message{id: id, body: body, queued: time.Now()}); lost != "" {
		w.log.Error(nil, "webhook message dropped, too many wait", "id", lost)
		w.told(Dropped)
	}
}

// push queues a message, and returns the id of the one that had to go for it.
func (w *Webhook) push(m message) (lost string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.queue) == maxQueued {
		lost = w.queue[0].id
		w.queue = w.queue[1:]
	}
	w.queue = append(w.queue, m)
	select {
	case w.added <- struct{}{}:
	default:
	}
	return lost
}

// pop takes the oldest message.
func (w *Webhook) pop() (m message, found bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.queue) == 0 {
		return message{}, false
	}
	m = w.queue[0]
	w.queue = w.queue[1:]
	return m, true
}
