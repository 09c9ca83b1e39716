package notify_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/goslo/goslo"
	"github.com/goslo/goslo/internal/brokertest"
	"github.com/goslo/goslo/notify"
	"github.com/goslo/goslo/transport"
)

// A poisoned bus is one on which a notification waits that no handler can bear, among others.
type poisoned struct {
	*testing.T
	bus transport.Transport

	mu     sync.Mutex
	log    bytes.Buffer
	look   func()      // after each call of the handler, and line of the log
	errors int         // of the poison
	others map[int]int // how often each was handled
}

// Write is the log's.
func (p *poisoned) Write(text []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	defer p.look()
	return p.log.Write(text)
}

// given says that the poison was given up on; in a look.
func (p *poisoned) given() bool { return strings.Contains(p.log.String(), "gave up") }

// gaveUp are the lines of the log that say so.
func (p *poisoned) gaveUp() (lines []string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for line := range strings.Lines(p.log.String()) {
		if strings.Contains(line, "gave up") {
			lines = append(lines, line)
		}
	}
	return lines
}

// poison sends so many notifications, of which the sixth is the poison, and has the pool of the listeners made before.
func poison(t *testing.T, url string, n int) *poisoned {
	t.Helper()
	bus, err := goslo.Open(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	p := &poisoned{T: t, bus: bus, others: map[int]int{}}
	t.Cleanup(func() {
		if err := bus.Close(context.Background()); err != nil {
			t.Errorf("close: %v", err)
		}
		if t.Failed() {
			t.Logf("%d errors of the poison, %d others handled; log:\n%s", p.errors, len(p.others), p.log.String())
		}
	})
	notifier := notify.NewNotifier(notify.NotifierConfig{Publisher: "shop.host-1", Drivers: []notify.Driver{notify.NewMessaging(bus, notify.MessagingConfig{})}})
	for i := range n {
		if err := sold.Emit(t.Context(), notifier, notify.Info, sale{SKU: i}); err != nil {
			t.Fatal(err)
		}
	}
	return p
}

// listen runs a listener until something is so.
func (p *poisoned) listen(c notify.ListenerConfig, what string, until func() bool) {
	p.Helper()
	c.Backoff, c.Logger = time.Millisecond, slog.New(slog.NewTextHandler(p, nil))
	handle := func(_ context.Context, all []notify.Notification[sale]) error {
		p.mu.Lock()
		defer p.mu.Unlock()
		defer p.look()
		for _, n := range all {
			if n.Payload.SKU == 5 {
				p.errors++
				return errors.New("poison")
			}
		}
		for _, n := range all {
			p.others[n.Payload.SKU]++
		}
		return nil
	}
	ctx, stop := context.WithTimeout(p.Context(), 90*time.Second)
	defer stop()
	p.look = func() {
		if until() {
			stop()
		}
	}
	l := notify.NewListener(p.bus, c, sold.HandleBatch(handle).On(notify.Info))
	if err := l.Run(ctx); err != nil {
		p.Error(err)
	}
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		p.Errorf("%s: not within 90 s", what)
	}
}

// waits is how many notifications no listener has.
func (p *poisoned) waits() int {
	p.Helper()
	s, err := p.bus.(transport.Inspector).Inspect(p.Context(), transport.Address{Kind: transport.Notification, Topic: "notifications.info"})
	if err != nil {
		p.Fatal(err)
	}
	return s.Waiting
}

// ended says that the poison was given up on, and logged once, by all its names.
func (p *poisoned) ended() {
	p.Helper()
	lines := p.gaveUp()
	if len(lines) != 1 || !strings.Contains(lines[0], "item.sold") || !strings.Contains(lines[0], "of shop.host-1") || !strings.Contains(lines[0], "level=ERROR") {
		p.Errorf("gave up in %d lines, want one that names it: %q", len(lines), lines)
	}
	brokertest.Await(p, "the end of what waits", func() bool { return p.waits() == 0 })
}

func rabbitURL(query string) func(t *testing.T) string {
	return func(t *testing.T) string {
		t.Helper()
		node := brokertest.Rabbit(t)
		return node.URLVhost(node.NewVhost(t)) + query
	}
}

func natsURL(t *testing.T) string {
	t.Helper()
	return brokertest.NewNATS(t, brokertest.NATSOptions{}).URL()
}

// The bound is of the notification, whoever has handled it, where the bus counts; on classic queues each listener counts from one.
func TestPoisonIsCountedByTheBus(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		url  func(t *testing.T) string
		want int // errors of the second listener
	}{
		"classic queue": {rabbitURL(""), 6},
		"quorum queue":  {rabbitURL("?rabbit_quorum_queue=true"), 3},
		"nats":          {natsURL, 3},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := poison(t, c.url(t), 10)
			p.listen(notify.ListenerConfig{MaxAttempts: 6, Workers: 1}, "three errors", func() bool { return p.errors == 3 })
			first := p.errors
			p.listen(notify.ListenerConfig{MaxAttempts: 6}, "the end", p.given)
			if got := p.errors - first; got != c.want {
				t.Errorf("the second listener handled it %d times, after %d by the first, want %d", got, first, c.want)
			}
			if len(p.others) != 9 {
				t.Errorf("%d others were handled, want 9", len(p.others))
			}
			p.ended()
		})
	}
}

// A queue that drops what has come back too often is told of by name, and what does not fail is not lost with it.
func TestPoisonAtTheQueuesOwnLimit(t *testing.T) {
	t.Parallel()
	for _, limit := range []int{1, 3} {
		t.Run(fmt.Sprint(limit), func(t *testing.T) {
			t.Parallel()
			p := poison(t, rabbitURL(fmt.Sprintf("?rabbit_quorum_queue=true&rabbit_quorum_delivery_limit=%d", limit))(t), 10)
			p.listen(notify.ListenerConfig{MaxAttempts: -1, Batch: notify.Batch{Size: 10, Timeout: 100 * time.Millisecond}}, "the end",
				func() bool { return p.given() && len(p.others) == 9 })
			if got := p.errors - 1; got != limit+1 { // one was that of the batch
				t.Errorf("it was handled %d times alone, want %d", got, limit+1)
			}
			p.ended()
		})
	}
}

// One poison in a batch costs the others one more call, and no pause.
func TestPoisonInABatchOfAHundred(t *testing.T) {
	t.Parallel()
	for name, url := range map[string]func(t *testing.T) string{"rabbit": rabbitURL(""), "quorum": rabbitURL("?rabbit_quorum_queue=true"), "nats": natsURL} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := poison(t, url(t), 100)
			p.listen(notify.ListenerConfig{MaxAttempts: 4, Batch: notify.Batch{Size: 100}}, "the end", p.given)
			want := map[int]int{}
			for i := range 100 {
				if i != 5 {
					want[i] = 1
				}
			}
			if diff := cmp.Diff(want, p.others); diff != "" || p.errors > 5 {
				t.Errorf("%d errors, want 5 at the most; others were handled (-want +got):\n%s", p.errors, diff)
			}
			p.ended()
		})
	}
}
