package compare_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/goslo/goslo/internal/workload"
	"github.com/goslo/goslo/notify"
	"github.com/goslo/goslo/transport"
	"github.com/goslo/goslo/wire"
)

const (
	notificationBytes = 2 << 10 // of the payload
	notifiers         = 64      // goroutines that send
	pythonNotifiers   = 16      // threads, which take turns
	batchSize         = 100
)

// The notification of the comparison.
type instance struct {
	Instance string `json:"instance"`
}

var (
	created = notify.NewEvent[instance]("compute.instance.create.end")
	born    = instance{strings.Repeat("x", notificationBytes-len(`{"instance":""}`))}
)

// A teller sends notifications to a queue of its own, and hears them: one by one, or so many at a time.
type teller struct {
	name string
	// tell sends by so many callers for so long.
	tell func(tb testing.TB, callers int, d time.Duration) outcome
	// fill sends for so long, and some more, so that the number of what it has sent is an even one of batches, and returns it.
	fill func(tb testing.TB, d time.Duration) int
	// hear listens until it has heard so many.
	hear  func(tb testing.TB, n, batch int) outcome
	purge func(tb testing.TB)
	cpu   func(tb testing.TB) time.Duration
}

// startNotify has Goslo, bare amqp091-go with messages of the same bytes and the same promises (confirmed, acknowledged), and
// Python's oslo.messaging, in queues as upstream declares them by default.
func startNotify(t *testing.T, m *machine) []contest {
	t.Helper()
	node := rabbitNode(t, m)
	m.python(t, "Python", "oslo.messaging", "kombu")
	tellers := []teller{newGosloTeller(t, node.URL()), newBareTeller(t, node.URL()), newPythonTeller(t, node.URL())}
	publish := contest{work: "publish", callers: []int{notifiers}, node: node}
	listen := contest{work: "listen", callers: []int{1}, node: node}
	batches := contest{work: fmt.Sprintf("listen in batches of %d", batchSize), callers: []int{1}, node: node}
	for _, one := range tellers {
		publish.contenders = append(publish.contenders, contender{name: one.name, cpu: one.cpu, run: one.tell, after: one.purge})
		listen.contenders = append(listen.contenders, one.listener(1))
		batches.contenders = append(batches.contenders, one.listener(batchSize))
	}
	return []contest{publish, listen, batches}
}

// listener hears what was sent before.
func (one teller) listener(batch int) contender {
	queued := 0
	return contender{
		name: one.name, cpu: one.cpu,
		before: func(tb testing.TB, d time.Duration) {
			tb.Helper()
			queued = one.fill(tb, d)
		},
		run: func(tb testing.TB, _ int, _ time.Duration) outcome {
			tb.Helper()
			return one.hear(tb, queued, batch)
		},
	}
}

// filling is the fill of those who send from this process.
func filling(c contender, send func() error) func(tb testing.TB, d time.Duration) int {
	return func(tb testing.TB, d time.Duration) int {
		tb.Helper()
		n := c.run(tb, notifiers, d).count
		for ; n%(2*batchSize) != 0; n++ {
			if err := send(); err != nil {
				tb.Fatal(err)
			}
		}
		return n
	}
}

// arrivals count until so many are there, and time it from the first on.
type arrivals struct {
	mu           sync.Mutex
	all, left    int
	first        int // how many came at first
	begun, ended time.Time
}

// took counts n, and says whether these were the last.
func (a *arrivals) took(n int) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.begun.IsZero() {
		a.begun, a.first = time.Now(), n
	}
	a.left -= n
	if a.left == 0 {
		a.ended = time.Now()
	}
	return a.left == 0
}

func (a *arrivals) outcome() outcome {
	return outcome{count: a.all, perSecond: float64(a.all-a.first) / max(a.ended.Sub(a.begun).Seconds(), 1e-6)}
}

func newGosloTeller(tb testing.TB, url string) teller {
	tb.Helper()
	notifier := notify.NewNotifier(notify.NotifierConfig{
		Publisher: "compute.host-1", Drivers: []notify.Driver{notify.NewMessaging(workload.Open(tb, url), notify.MessagingConfig{})},
	})
	bus := workload.Open(tb, url)
	send := func() error { return created.Emit(context.Background(), notifier, notify.Info, born) }
	c := inProcess("goslo", send)
	return teller{
		name: c.name, tell: c.run, fill: filling(c, send), purge: purging(tb, url, "notifications.info"),
		hear: func(tb testing.TB, n, batch int) outcome {
			tb.Helper()
			ctx, stop := context.WithCancel(context.Background())
			defer stop()
			got := &arrivals{all: n, left: n}
			took := func(n int) {
				if got.took(n) {
					stop()
				}
			}
			var config notify.ListenerConfig
			h := created.Handle(func(context.Context, notify.Notification[instance]) error { took(1); return nil })
			if batch > 1 {
				config.Batch.Size = batch
				h = created.HandleBatch(func(_ context.Context, all []notify.Notification[instance]) error { took(len(all)); return nil })
			}
			if err := notify.NewListener(bus, config, h.On(notify.Info)).Run(ctx); err != nil {
				tb.Error(err)
			}
			return got.outcome()
		},
	}
}

// newBareTeller sends messages that are encoded already, waits for each confirm, and acknowledges each message, or each batch, by itself.
func newBareTeller(tb testing.TB, url string) teller {
	tb.Helper()
	const queue = "barebench.info"
	client, server := dial(tb, url), dial(tb, url)
	tb.Cleanup(func() {
		_ = client.Close()
		_ = server.Close()
	})
	ch := must(client.Channel())(tb)
	if err := ch.Confirm(false); err != nil {
		tb.Fatal(err)
	}
	must(ch.QueueDeclare(queue, false, false, false, false, nil))(tb)
	if err := ch.QueueBind(queue, queue, "amq.topic", false, nil); err != nil {
		tb.Fatal(err)
	}
	body := must(wire.AppendNotification(nil, &transport.Message{Event: &transport.Event{
		ID: wire.NewUUID(), Publisher: "compute.host-1", Type: created.Type(), Priority: "INFO",
		Payload: fmt.Appendf(nil, `{"instance":%q}`, born.Instance), Timestamp: wire.NotificationTime(time.Now()),
	}, UniqueID: wire.NewID()}))(tb)
	send := func() error {
		confirm, err := ch.PublishWithDeferredConfirm("amq.topic", queue, true, false, publishing(body, "", ""))
		if err == nil {
			confirm.Wait()
		}
		return err
	}
	c := inProcess("bare", send)
	return teller{
		name: c.name, tell: c.run, fill: filling(c, send), purge: purging(tb, url, queue),
		hear: func(tb testing.TB, n, batch int) outcome {
			tb.Helper()
			in := must(server.Channel())(tb)
			if err := in.Qos(max(notifiers, 2*batch), 0, false); err != nil {
				tb.Fatal(err)
			}
			got := &arrivals{all: n, left: n}
			all := must(in.Consume(queue, "", false, false, false, false, nil))(tb)
			for i := 1; got.left > 0; i++ {
				d := <-all
				if err := sameBytes(d.Body, body); err != nil {
					tb.Fatal(err)
				}
				if i%batch == 0 {
					if err := d.Ack(batch > 1); err != nil {
						tb.Fatal(err)
					}
					got.took(batch)
				}
			}
			if err := in.Close(); err != nil {
				tb.Error(err)
			}
			return got.outcome()
		},
	}
}

// newPythonTeller is a process of real oslo.messaging, whose threads take turns.
func newPythonTeller(tb testing.TB, url string) teller {
	tb.Helper()
	p := startPython(tb, "python/notify.py", url, fmt.Sprint(notificationBytes))
	tell := func(tb testing.TB, d time.Duration, multiple int) pythonOutcome {
		tb.Helper()
		return p.ask(tb, "publish %g %d %d", d.Seconds(), pythonNotifiers, multiple)
	}
	return teller{
		name: "python", cpu: p.cpuTime, purge: purging(tb, url, "pybench.info"),
		tell: func(tb testing.TB, _ int, d time.Duration) outcome {
			tb.Helper()
			return tell(tb, d, 1).outcome()
		},
		fill: func(tb testing.TB, d time.Duration) int {
			tb.Helper()
			return tell(tb, d, 2*batchSize).Queued
		},
		hear: func(tb testing.TB, n, batch int) outcome {
			tb.Helper()
			return p.ask(tb, "listen %d %d", n, batch).outcome()
		},
	}
}

// purging empties a queue.
func purging(tb testing.TB, url, queue string) func(testing.TB) {
	tb.Helper()
	conn := dial(tb, url)
	tb.Cleanup(func() { _ = conn.Close() })
	ch := must(conn.Channel())(tb)
	return func(tb testing.TB) {
		tb.Helper()
		must(ch.QueuePurge(queue, false))(tb)
	}
}
