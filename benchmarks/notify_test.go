package benchmarks_test

import (
	"bufio"
	"context"
	"flag"
	"fmt"
	"io"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/goslo/goslo/internal/brokertest"
	"github.com/goslo/goslo/notify"
	"github.com/goslo/goslo/transport"
	"github.com/goslo/goslo/wire"
)

var (
	notifications       = flag.Int("notifications", 10_000, "how many notifications a contender sends and hears in one round")
	pythonNotifications = flag.Int("python-notifications", 1_000, "the same for Python, which takes its time")
)

const (
	notificationBytes = 2 << 10 // of the payload
	notifiers         = 64      // goroutines that send
	pythonNotifiers   = 16      // threads, which take turns
	batchSize         = 100
)

// The notification of the benchmarks.
type instance struct {
	Instance string `json:"instance"`
}

var (
	created = notify.NewEvent[instance]("compute.instance.create.end")
	born    = instance{strings.Repeat("x", notificationBytes-len(`{"instance":""}`))}
)

// A teller sends notifications, and hears them: one by one, or so many at a time. Both return when they are through.
type teller struct {
	name   string
	count  int
	tell   func(b *testing.B, n int) (perSecond float64)
	listen func(b *testing.B, n, batch int) (perSecond float64)
}

// BenchmarkNotifySideBySide alternates Goslo, bare amqp091-go with messages of the same bytes and the same promises (confirmed, acknowledged),
// and Python's oslo.messaging on one RabbitMQ, in queues as upstream declares them by default. In each round a contender sends its notifications
// and then hears them one by one, and again in batches of 100. An iteration is a round of all of them; the figures are medians over the rounds, and the
// last lines of the output are the rows of the tables in docs/benchmarks.md.
func BenchmarkNotifySideBySide(b *testing.B) {
	node := brokertest.Rabbit(b)
	all := []teller{newGosloTeller(b), newBareTeller(b, node.URL()), newPythonTeller(b, node.URL())}
	const phases = 3 // telling, one by one, in batches
	rates, cpus, brokers := make([][phases][]float64, len(all)), make([][phases][]float64, len(all)), make([][phases][]float64, len(all))
	for b.Loop() {
		for i, one := range all {
			measure := func(phase int, run func() float64) {
				cpu, broker := cpuTime(b), node.CPUTime(b)
				rates[i][phase] = append(rates[i][phase], run())
				cpus[i][phase] = append(cpus[i][phase], float64((cpuTime(b)-cpu).Nanoseconds())/1e3/float64(one.count))
				brokers[i][phase] = append(brokers[i][phase], float64((node.CPUTime(b)-broker).Nanoseconds())/1e3/float64(one.count))
			}
			for phase, batch := range []int{1: 1, 2: batchSize} {
				if batch > 0 {
					measure(0, func() float64 { return one.tell(b, one.count) })
					measure(phase, func() float64 { return one.listen(b, one.count, batch) })
				}
			}
		}
	}
	var table strings.Builder
	for phase, name := range []string{"publish", "listen, one by one", "listen, batches of 100"} {
		row := make([]float64, len(all))
		for i, one := range all {
			row[i] = median(rates[i][phase])
			b.ReportMetric(row[i], fmt.Sprintf("%s-%s/s", one.name, strings.ReplaceAll(strings.ReplaceAll(name, ",", ""), " ", "-")))
		}
		fmt.Fprintf(&table, "| %s | %.0f | %.0f | %.2f | %.0f | %.1f | %.0f | %.0f | %.0f | %.0f | %.0f |\n", name, row[0], row[1], row[0]/row[1], row[2], row[0]/row[2],
			median(cpus[0][phase]), median(cpus[1][phase]), median(brokers[0][phase]), median(brokers[1][phase]), median(brokers[2][phase]))
	}
	b.ReportMetric(0, "ns/op") // a round's length says nothing
	b.Logf("for docs/benchmarks.md:\n| | Goslo, notifications/s | bare | Goslo/bare | Python | Goslo/Python | CPU, us: Goslo | bare | broker: Goslo | bare | Python |\n"+
		"|---|---|---|---|---|---|---|---|---|---|---|\n%s", table.String())
}

func newGosloTeller(b *testing.B) teller {
	b.Helper()
	open := openRabbit(b)
	notifier := notify.NewNotifier(notify.NotifierConfig{
		Publisher: "compute.host-1", Drivers: []notify.Driver{notify.NewMessaging(open(b), notify.MessagingConfig{})},
	})
	bus := open(b)
	return teller{
		name: "goslo", count: *notifications,
		tell: func(b *testing.B, n int) float64 {
			b.Helper()
			started := time.Now()
			together(b, notifiers, int64(n), func() error { return created.Emit(b.Context(), notifier, notify.Info, born) })
			return float64(n) / time.Since(started).Seconds()
		},
		listen: func(b *testing.B, n, batch int) float64 {
			b.Helper()
			ctx, stop := context.WithCancel(b.Context())
			defer stop()
			var left atomic.Int64
			left.Store(int64(n))
			took := func(n int) {
				if left.Add(-int64(n)) == 0 {
					stop()
				}
			}
			var c notify.ListenerConfig
			h := created.Handle(func(context.Context, notify.Notification[instance]) error { took(1); return nil })
			if batch > 1 {
				c.Batch.Size = batch
				h = created.HandleBatch(func(_ context.Context, all []notify.Notification[instance]) error { took(len(all)); return nil })
			}
			started := time.Now()
			if err := notify.NewListener(bus, c, h.On(notify.Info)).Run(ctx); err != nil {
				b.Error(err)
			}
			return float64(n) / time.Since(started).Seconds()
		},
	}
}

// newBareTeller sends messages that are encoded already, waits for each confirm, and acknowledges each message, or each batch, by itself.
func newBareTeller(b *testing.B, url string) teller {
	b.Helper()
	const queue = "barebench.info"
	client, server := dial(b, url), dial(b, url)
	b.Cleanup(func() {
		_ = client.Close()
		_ = server.Close()
	})
	ch := must(client.Channel())(b)
	if err := ch.Confirm(false); err != nil {
		b.Fatal(err)
	}
	must(ch.QueueDeclare(queue, false, false, false, false, nil))(b)
	if err := ch.QueueBind(queue, queue, "amq.topic", false, nil); err != nil {
		b.Fatal(err)
	}
	body := must(wire.AppendNotification(nil, &transport.Message{Event: &transport.Event{
		ID: wire.NewUUID(), Publisher: "compute.host-1", Type: created.Type(), Priority: "INFO",
		Payload: fmt.Appendf(nil, `{"instance":%q}`, born.Instance), Timestamp: wire.NotificationTime(time.Now()),
	}, UniqueID: wire.NewID()}))(b)
	return teller{
		name: "bare", count: *notifications,
		tell: func(b *testing.B, n int) float64 {
			b.Helper()
			started := time.Now()
			together(b, notifiers, int64(n), func() error {
				confirm, err := ch.PublishWithDeferredConfirm("amq.topic", queue, true, false, publishing(body, "", ""))
				if err != nil {
					return err
				}
				confirm.Wait()
				return nil
			})
			return float64(n) / time.Since(started).Seconds()
		},
		listen: func(b *testing.B, n, batch int) float64 {
			b.Helper()
			started := time.Now()
			in := must(server.Channel())(b)
			if err := in.Qos(max(notifiers, 2*batch), 0, false); err != nil {
				b.Fatal(err)
			}
			all := must(in.Consume(queue, "", false, false, false, false, nil))(b)
			for i := 1; i <= n; i++ {
				d := <-all
				if i%batch == 0 || i == n {
					if err := d.Ack(batch > 1); err != nil {
						b.Fatal(err)
					}
				}
			}
			if err := in.Close(); err != nil {
				b.Error(err)
			}
			return float64(n) / time.Since(started).Seconds()
		},
	}
}

// newPythonTeller is a process of real oslo.messaging, whose threads take turns.
func newPythonTeller(b *testing.B, url string) teller {
	b.Helper()
	cmd := exec.Command(python, "python/notify.py", url, fmt.Sprint(notificationBytes))
	in := must(cmd.StdinPipe())(b)
	out := bufio.NewScanner(must(cmd.StdoutPipe())(b))
	var complaints strings.Builder
	cmd.Stderr = &complaints
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	var once sync.Once
	end := func() { once.Do(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() }) }
	b.Cleanup(end)
	ask := func(b *testing.B, line string) (perSecond float64) {
		b.Helper()
		if line != "" {
			if _, err := io.WriteString(in, line); err != nil {
				b.Fatal(err)
			}
		}
		if !out.Scan() {
			end()
			b.Fatalf("python ended:\n%s", complaints.String())
		}
		if line != "" {
			if _, err := fmt.Sscan(out.Text(), &perSecond); err != nil {
				b.Fatalf("python said %q", out.Text())
			}
		}
		return perSecond
	}
	ask(b, "")
	count := *pythonNotifications / pythonNotifiers * pythonNotifiers
	return teller{
		name: "python", count: count,
		tell: func(b *testing.B, n int) float64 {
			b.Helper()
			return ask(b, fmt.Sprintf("publish %d %d\n", n, pythonNotifiers))
		},
		listen: func(b *testing.B, n, batch int) float64 {
			b.Helper()
			return ask(b, fmt.Sprintf("listen %d %d\n", n, batch))
		},
	}
}
