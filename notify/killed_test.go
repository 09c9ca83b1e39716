package notify_test

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/goslo/goslo"
	"github.com/goslo/goslo/internal/brokertest"
	"github.com/goslo/goslo/notify"
)

// childVariable makes a copy of the test binary a listener at the URL that it holds.
const childVariable = "GOSLO_NOTIFY_TEST_CHILD"

func TestMain(m *testing.M) {
	if url := os.Getenv(childVariable); url != "" {
		if err := beListener(url); err != nil {
			fmt.Fprintln(os.Stderr, "child:", err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	brokertest.Main(m)
}

// meter is the configuration of both listeners. The pool makes the broker hand the killed one's over to the other.
var meter = notify.ListenerConfig{Pool: "meter", Batch: notify.Batch{Size: 10, Timeout: 100 * time.Millisecond}}

// beListener handles one batch, and has the second in hand until it is killed.
func beListener(url string) error {
	ctx := context.Background()
	bus, err := goslo.Open(ctx, url)
	if err != nil {
		return err
	}
	full := false
	c := meter
	c.Batch.Timeout = time.Hour
	l := notify.NewListener(bus, c, sold.HandleBatch(func(context.Context, []notify.Notification[sale]) error {
		if !full {
			full = true
			return nil
		}
		fmt.Println("in hand")
		select {}
	}).On(notify.Info))
	if err := l.Listen(ctx); err != nil {
		return err
	}
	fmt.Println("listening")
	return l.Run(ctx)
}

// A listener that is killed with a batch in hand loses nothing of it, nor of what it had not looked at yet.
//
// conforms: NLIS-10
func TestKilledInMidBatch(t *testing.T) {
	t.Parallel()
	for name, url := range map[string]func(t *testing.T) string{
		"rabbit": func(t *testing.T) string {
			t.Helper()
			node := brokertest.Rabbit(t)
			return node.URLVhost(node.NewVhost(t)) + "?amqp_durable_queues=true"
		},
		"nats": func(t *testing.T) string {
			t.Helper()
			return brokertest.NewNATS(t, brokertest.NATSOptions{}).URL()
		},
		"kafka": func(t *testing.T) string {
			t.Helper()
			return brokertest.NewKafka(t, brokertest.KafkaOptions{}).URL()
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			killInMidBatch(t, url(t))
		})
	}
}

func killInMidBatch(t *testing.T, url string) {
	t.Helper()
	const all = 45
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	child := exec.CommandContext(ctx, self)
	child.Env = append(os.Environ(), childVariable+"="+url)
	var complaints strings.Builder
	child.Stderr = &complaints
	pipe, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	said := bufio.NewScanner(pipe)
	await := func(line string) {
		t.Helper()
		if !said.Scan() || said.Text() != line {
			t.Fatalf("the child said %q, want %q\n%s", said.Text(), line, complaints.String())
		}
	}
	await("listening")

	bus, err := goslo.Open(ctx, url)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := bus.Close(ctx); err != nil {
			t.Errorf("close: %v", err)
		}
	}()
	n := notify.NewNotifier(notify.NotifierConfig{Drivers: []notify.Driver{notify.NewMessaging(bus, notify.MessagingConfig{})}})
	for i := range all {
		if err := sold.Emit(ctx, n, notify.Info, sale{SKU: i}); err != nil {
			t.Fatal(err)
		}
	}
	await("in hand")
	if err := child.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = child.Wait() // it was killed

	var mu sync.Mutex
	heard := map[int]bool{}
	l := notify.NewListener(bus, meter, sold.HandleBatch(func(_ context.Context, batch []notify.Notification[sale]) error {
		mu.Lock()
		defer mu.Unlock()
		for _, n := range batch {
			if n.Payload.SKU >= 10 { // what was acknowledged just before may come again
				heard[n.Payload.SKU] = true
			}
		}
		return nil
	}).On(notify.Info))
	running, stop := context.WithCancel(ctx)
	done := make(chan error, 1)
	go func() { done <- l.Run(running) }()
	brokertest.Await(t, "what the child had in hand, and the rest", func() bool {
		mu.Lock()
		defer mu.Unlock()
		return len(heard) == all-10
	})
	stop()
	if err := <-done; err != nil {
		t.Error(err)
	}
	want := map[int]bool{}
	for i := 10; i < all; i++ {
		want[i] = true
	}
	if diff := cmp.Diff(want, heard); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}
