package broadcast

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"

	"github.com/composure-dev/composure/internal/redisurl"
)

// real runs a broadcaster on a server.
func real(t *testing.T, server *miniredis.Miniredis, log *lines) *Broadcaster {
	t.Helper()
	client, err := redisurl.Connect("redis://" + server.Addr())
	if err != nil {
		t.Fatal(err)
	}
	b := New(Options{Client: client, Channel: "results", Log: log.log(), Told: log.told})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		b.Run(ctx)
	}()
	t.Cleanup(func() {
		cancel()
		<-done
		_ = client.Close()
	})
	return b
}

// until waits for what is.
func until(t *testing.T, what string, is func() bool) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for limit := time.After(20 * time.Second); !is(); {
		select {
		case <-tick.C:
		case <-limit:
			t.Fatalf("it does not come to: %s", what)
		}
	}
}

// subscribe gives what comes from now on. The server waits for who takes a message, so there is always somebody.
func subscribe(t *testing.T, server *miniredis.Miniredis) <-chan string {
	t.Helper()
	subscriber := server.NewSubscriber()
	subscriber.Subscribe("results")
	bodies := make(chan string, 1000)
	go func() {
		for {
			select {
			case m := <-subscriber.Messages():
				bodies <- m.Message
			case <-t.Context().Done():
				return
			}
		}
	}()
	return bodies
}

// receive takes messages from a subscriber.
func receive(t *testing.T, from <-chan string, count int) (bodies []string) {
	t.Helper()
	for limit := time.After(20 * time.Second); len(bodies) < count; {
		select {
		case body := <-from:
			bodies = append(bodies, body)
		case <-limit:
			t.Fatalf("%d of %d came: %q", len(bodies), count, bodies)
		}
	}
	return bodies
}

func TestSaysHowManyHear(t *testing.T) {
	server, log := miniredis.RunT(t), &lines{}
	b := real(t, server, log)
	var subscribers []<-chan string
	for count := range 3 {
		b.Publish(result{count})
		for _, subscriber := range subscribers {
			same(t, "heard", receive(t, subscriber, 1), from(count, count))
		}
		until(t, "it is said", func() bool {
			return log.said(fmt.Sprintf(`"msg"="result published" "channel"="results" "subscribers"=%d`, count)) == 1
		})
		subscribers = append(subscribers, subscribe(t, server))
	}
}

func TestServerStopsAndStarts(t *testing.T) {
	server, log := miniredis.RunT(t), &lines{}
	b := real(t, server, log)
	subscriber := subscribe(t, server)
	for outage := range 3 {
		publish(b, outage*10, outage*10+4)
		same(t, "before", receive(t, subscriber, 5), from(outage*10, outage*10+4))
		until(t, "it knows that", func() bool { return log.count(Delivered) == outage*10+5 })
		server.Close()
		publish(b, outage*10+5, outage*10+9)
		until(t, "it is known that Redis is away", func() bool { return log.said("redis does not answer: results wait") == outage+1 })
		if err := server.Restart(); err != nil {
			t.Fatal(err)
		}
		same(t, "after", receive(t, subscriber, 5), from(outage*10+5, outage*10+9))
		until(t, "all are counted", func() bool { return log.count(Delivered) == (outage+1)*10 })
	}
	if back := log.said("redis answers again"); back != 3 {
		t.Errorf("back %d times: %q", back, log.all)
	}
	log.wantTold(t, "none is lost", map[string]int{Delivered: 30})
}
