//go:build zmq

package zmq_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/goslo/goslo/internal/brokertest"
	"github.com/goslo/goslo/transport"
	"github.com/goslo/goslo/transport/zmq"
)

var topic = transport.Address{Kind: transport.Topic, Topic: "work"}

func at(server string) transport.Address {
	a := topic
	a.Server = server
	return a
}

// serve is a server's program: it writes down the method of each request, and acknowledges it. Nobody but a signal ends it.
func serve(url, name, log string) int {
	fail := func(err error) int {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	u, err := transport.ParseURL(url)
	if err != nil {
		return fail(err)
	}
	ctx := context.Background()
	bus, err := zmq.Open(ctx, zmq.Config{URL: u})
	if err != nil {
		return fail(err)
	}
	l, err := bus.Listen(ctx, at(name), transport.ListenOptions{})
	if err != nil {
		return fail(err)
	}
	f, err := os.OpenFile(log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return fail(err)
	}
	go func() { // it ends with the tests, however they end
		_, _ = io.Copy(io.Discard, os.Stdin)
		os.Exit(1)
	}()
	fmt.Println("ready")
	for {
		d, err := l.Next(ctx)
		if err != nil {
			return fail(err)
		}
		// Written before it is acknowledged: what was acknowledged has run.
		if _, err := fmt.Fprintln(f, d.Message.Method); err != nil {
			return fail(err)
		}
		if err := d.Ack(ctx); err != nil {
			return fail(err)
		}
	}
}

// A worker is such a server in a process of its own.
type worker struct {
	t    testing.TB
	cmd  *exec.Cmd
	log  string
	once sync.Once
}

func startWorker(t testing.TB, url, name string) *worker {
	t.Helper()
	w := &worker{t: t, cmd: exec.Command(os.Args[0]), log: filepath.Join(t.TempDir(), "log")}
	w.cmd.Env = append(os.Environ(), "ZMQ_TEST_SERVE="+url, "ZMQ_TEST_NAME="+name, "ZMQ_TEST_LOG="+w.log)
	w.cmd.Stderr = os.Stderr
	out, err := w.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.cmd.StdinPipe(); err != nil { // open for as long as this process lives
		t.Fatal(err)
	}
	if err := w.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.kill)
	if line, err := bufio.NewReader(out).ReadString('\n'); err != nil {
		t.Fatalf("the worker said %q: %v", line, err)
	}
	return w
}

func (w *worker) signal(s syscall.Signal) {
	w.t.Helper()
	if err := w.cmd.Process.Signal(s); err != nil {
		w.t.Fatal(err)
	}
}

// stop is kill -STOP, and returns when no thread of the process runs any more.
func (w *worker) stop() {
	w.t.Helper()
	w.signal(syscall.SIGSTOP)
	var status syscall.WaitStatus
	if _, err := syscall.Wait4(w.cmd.Process.Pid, &status, syscall.WUNTRACED, nil); err != nil || !status.Stopped() {
		w.t.Fatalf("stop the worker: %v, status %#x", err, status)
	}
}

// kill is kill -9, and returns when the process is gone.
func (w *worker) kill() {
	w.once.Do(func() {
		_ = w.cmd.Process.Kill()
		_ = w.cmd.Wait()
	})
}

// ran returns the methods of the requests that the worker has run.
func (w *worker) ran() []string {
	w.t.Helper()
	text, err := os.ReadFile(w.log)
	if err != nil {
		w.t.Fatal(err)
	}
	return strings.Fields(string(text))
}

func cast(method string) *transport.Message { return &transport.Message{Method: method} }

// atOnce is far below any deadline here, and far above what a busy machine needs.
const atOnce = 10 * time.Second

func TestKilledServerIsNobody(t *testing.T) {
	t.Parallel()
	url := busURL(t)
	client := open(t, url)
	w := startWorker(t, url, "one")
	if err := client.Send(testContext(t), topic, cast("first")); err != nil {
		t.Fatal(err)
	}
	w.kill()
	for range 2 {
		start := time.Now()
		err := client.Send(testContext(t), topic, cast("second"))
		if !errors.Is(err, transport.ErrNoListener) && !errors.Is(err, transport.ErrInDoubt) {
			t.Errorf("cast to a server that was killed: %v, want ErrNoListener, or ErrInDoubt if it was not noticed yet", err)
		}
		if took := time.Since(start); took > atOnce {
			t.Errorf("that took %s", took)
		}
	}
	if err := client.Send(testContext(t), topic, cast("third")); !errors.Is(err, transport.ErrNoListener) {
		t.Errorf("a later cast: %v, want ErrNoListener", err)
	}
	// Another client, which has never been connected to it, finds what it left behind.
	if err := open(t, url).Send(testContext(t), topic, cast("fourth")); !errors.Is(err, transport.ErrNoListener) {
		t.Errorf("another client's cast: %v, want ErrNoListener", err)
	}
	if topics, err := client.Topics(testContext(t), ""); err != nil || len(topics) > 0 {
		t.Errorf("topics: %v, %v; want none, the dead server's having been removed", topics, err)
	}
}

func TestDoubtIsNotSentElsewhere(t *testing.T) {
	t.Parallel()
	url := busURL(t)
	client := open(t, url)
	w := startWorker(t, url, "one")
	if err := client.Send(testContext(t), topic, cast("first")); err != nil {
		t.Fatal(err)
	}
	w.stop()
	sent := make(chan error, 1)
	go func() { sent <- client.Send(testContext(t), topic, cast("doubt")) }()
	brokertest.Await(t, "the cast to have left", func() bool { return client.InFlight() == 1 })
	other := open(t, url)
	l, err := other.Listen(testContext(t), at("two"), transport.ListenOptions{})
	if err != nil {
		t.Fatal(err)
	}
	w.kill()
	if err := <-sent; !errors.Is(err, transport.ErrInDoubt) {
		t.Errorf("cast to a server that was killed before it answered: %v, want ErrInDoubt", err)
	}
	if err := client.Send(testContext(t), topic, cast("after")); err != nil {
		t.Errorf("the next cast, with another server there: %v", err)
	}
	if d, err := l.Next(testContext(t)); err != nil || d.Message.Method != "after" {
		t.Errorf("the other server got %+v, %v; want the cast that was sent after", d, err)
	}
}

func TestStoppedServerIsPassedOver(t *testing.T) {
	t.Parallel()
	url := busURL(t) + "&zmq_heartbeat_interval=0.1&zmq_heartbeat_timeout=0.3"
	client := open(t, url)
	one, two := startWorker(t, url, "one"), startWorker(t, url, "two")
	for _, server := range []string{"one", "two"} {
		if err := client.Send(testContext(t), at(server), cast("first")); err != nil {
			t.Fatal(err)
		}
	}
	one.stop()
	late := make(chan error, 1)
	go func() { late <- client.Send(testContext(t), at("one"), cast("late")) }()
	brokertest.Await(t, "the stopped server to be noticed", func() bool { return client.Down() == 1 })
	for i := range 20 {
		if err := client.Send(testContext(t), topic, cast(fmt.Sprint("m", i))); err != nil {
			t.Fatal(err)
		}
	}
	if n := len(two.ran()); n != 21 {
		t.Errorf("the other server ran %d requests, want all 20 and its first", n)
	}
	one.signal(syscall.SIGCONT)
	if err := <-late; err != nil {
		t.Errorf("the cast to the server that was stopped: %v, want it to arrive once the server goes on", err)
	}
	if got := one.ran(); !slices.Equal(got, []string{"first", "late"}) {
		t.Errorf("the server that was stopped ran %q", got)
	}
}

func TestNoCastIsLostOrRunsTwice(t *testing.T) {
	t.Parallel()
	url := busURL(t)
	client := open(t, url)
	var mu sync.Mutex
	taken, doubtful := map[string]bool{}, map[string]bool{}
	workers := []*worker{startWorker(t, url, "w0"), startWorker(t, url, "w1")}
	ctx, cancel := context.WithCancel(testContext(t))
	var senders sync.WaitGroup
	for i := range 8 {
		senders.Go(func() {
			for n := 0; ctx.Err() == nil; n++ {
				m := fmt.Sprintf("s%d-%d", i, n)
				err := client.Send(testContext(t), topic, cast(m))
				mu.Lock()
				switch {
				case err == nil:
					taken[m] = true
				case errors.Is(err, transport.ErrInDoubt):
					doubtful[m] = true
				default:
					t.Errorf("cast: %v", err)
				}
				mu.Unlock()
			}
		})
	}
	progress := func(n int) {
		mu.Lock()
		start := len(taken)
		mu.Unlock()
		brokertest.Await(t, "casts to go on", func() bool {
			mu.Lock()
			defer mu.Unlock()
			return len(taken) >= start+n
		})
	}
	for i := range 4 {
		progress(200)
		workers = append(workers, startWorker(t, url, fmt.Sprint("w", i+2)))
		progress(50)
		workers[i].kill()
	}
	progress(200)
	cancel()
	senders.Wait()
	ran := map[string]int{}
	for _, w := range workers {
		for _, m := range w.ran() {
			ran[m]++
		}
	}
	for m, n := range ran {
		if n > 1 {
			t.Errorf("%s ran %d times", m, n)
		}
		if !taken[m] && !doubtful[m] {
			t.Errorf("%s ran, and its sender was told that it did not", m)
		}
	}
	for m := range taken {
		if ran[m] == 0 {
			t.Errorf("%s was acknowledged and did not run", m)
		}
	}
	t.Logf("%d casts acknowledged, %d in doubt, %d ran", len(taken), len(doubtful), len(ran))
}

func TestBrokenConnectionsLoseNothing(t *testing.T) {
	t.Parallel()
	url := busURL(t)
	client, bus := open(t, url), open(t, url)
	ctx, cancel := context.WithCancel(testContext(t))
	defer cancel()
	l, err := bus.Listen(ctx, at("one"), transport.ListenOptions{})
	if err != nil {
		t.Fatal(err)
	}
	answers, err := client.Listen(ctx, transport.Address{Kind: transport.Reply}, transport.ListenOptions{})
	if err != nil {
		t.Fatal(err)
	}
	const callers, each = 16, 100
	ran, answered := map[string]int{}, make(chan string, callers*each+1)
	var loops sync.WaitGroup
	loops.Go(func() { // the server
		for {
			d, err := l.Next(ctx)
			if err != nil {
				return
			}
			ran[d.Message.ID]++
			_ = d.Ack(ctx)
			if err := bus.Send(ctx, transport.Address{Kind: transport.Reply, Topic: d.Message.ReplyTo}, &transport.Message{ID: d.Message.ID, Ending: true}); err != nil {
				t.Errorf("reply: %v", err)
			}
		}
	})
	loops.Go(func() {
		for {
			d, err := answers.Next(ctx)
			if err != nil {
				return
			}
			answered <- d.Message.ID
		}
	})
	var sending sync.WaitGroup
	for i := range callers {
		sending.Go(func() {
			for n := range each {
				m := &transport.Message{Method: "x", ID: fmt.Sprintf("%d-%d", i, n), ReplyTo: answers.Addr()}
				if err := client.Send(ctx, topic, m); err != nil {
					t.Errorf("call: %v", err)
				}
			}
		})
	}
	broken := 0
	got := map[string]int{}
	for len(got) < callers*each {
		select {
		case id := <-answered:
			got[id]++
			if len(got)%50 == 0 {
				broken += client.BreakConnections()
			}
		case <-ctx.Done():
			t.Fatalf("only %d of %d calls were answered", len(got), callers*each)
		}
	}
	sending.Wait()
	cancel()
	loops.Wait()
	for id, n := range got {
		if n != 1 || ran[id] != 1 {
			t.Errorf("call %s ran %d times and was answered %d times", id, ran[id], n)
		}
	}
	if broken == 0 {
		t.Error("no connection was broken")
	}
	s := client.Statistics()
	if s.Confirmed != callers*each || s.Published != callers*each || s.Returned+s.Refused != 0 || s.Reconnects == 0 || s.Connections != 1 {
		t.Errorf("%+v, want %d published and confirmed, and connections that were lost", s, callers*each)
	}
}
