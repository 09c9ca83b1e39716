package chaos_test

import (
	"bytes"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/goslo/goslo/internal/brokertest"
)

// vhost is where everything happens: the brokers are the test's own.
const vhost = "/"

// A world is a setting with its brokers and peers.
type world struct {
	node    *brokertest.RabbitNode // that is asked and deleted from
	cluster *brokertest.Cluster    // nil but in a cluster
	proxy   *brokertest.Proxy      // nil but behind a network
	url     string
	log     *journal
	clock   *clock

	baseline goleak.Option // goroutines that were there before the Go peers
	gophers  *gophers
	pythons  *pythons
}

func newWorld(t *testing.T, s setting) *world {
	t.Helper()
	w := &world{log: &journal{}, clock: startClock()}
	t.Cleanup(w.clock.stop)
	switch s {
	case broker, network:
		w.node = brokertest.NewRabbit(t, brokertest.RabbitOptions{})
		w.url = w.node.URL() + "?amqp_durable_queues=true"
		if s == network {
			w.proxy = brokertest.NewProxy(t, w.node.Addr())
			w.url = "rabbit://guest:guest@" + w.proxy.Addr() + "/?amqp_durable_queues=true"
			if !*fullFlag {
				w.url += "&heartbeat_timeout_threshold=5" // or the broker believes in dead consumers for minutes
			}
		}
	case cluster:
		w.cluster = brokertest.NewCluster(t, 3, brokertest.RabbitOptions{})
		w.node = w.cluster.Nodes[0]
		w.url = w.cluster.URLVhost("") + "?rabbit_quorum_queue=true"
	}
	w.pythons = newPythons(t, w.url)
	w.baseline = goleak.IgnoreCurrent()
	w.startGophers(t)
	return w
}

func (w *world) startGophers(t *testing.T) {
	t.Helper()
	url := w.url
	if !*fullFlag {
		url += "&probe_interval=2" // so that what only a probe finds need not be waited for
	}
	w.gophers = newGophers(t, url, *timeoutFlag, slog.New(slog.NewTextHandler(w.log, nil)))
}

func (w *world) load(run string, at rates) {
	w.gophers.forget()
	w.pythons.load(run, at, *timeoutFlag)
	w.gophers.load(run, at)
}

func (w *world) unload() {
	w.gophers.unload()
	w.pythons.unload()
}

func (w *world) records(run string) *ledger {
	l := ledger{stalls: w.clock.all()}
	w.gophers.records(run, &l)
	w.pythons.records(run, &l)
	return &l
}

// replace starts those peers anew that do not work any more, so that the next fault finds all at work.
func (w *world) replace(t *testing.T, working []pair) {
	t.Helper()
	if len(working) == len(pairs) {
		return
	}
	progress("Python's peers are started anew")
	w.pythons.stop()
	w.pythons = newPythons(t, w.url)
	if !slices.Contains(working, pairs[0]) {
		progress("Go's peers are started anew")
		if _, err := w.gophers.close(); err != nil {
			t.Error(err)
		}
		w.startGophers(t)
	}
}

// end closes the peers and returns what they left behind.
func (w *world) end(t *testing.T) (problems []string) {
	t.Helper()
	w.pythons.stop()
	took, err := w.gophers.close()
	if err != nil {
		problems = append(problems, fmt.Sprintf("closing the Go peers: %v", err))
		err = nil
	}
	progress("closed the Go peers in %v", took.Round(time.Millisecond))
	if *fullFlag { // the settings of the short version run side by side; there brokertest.Main looks at the end
		err = goleak.Find(w.baseline,
			goleak.IgnoreAnyFunction("github.com/goslo/goslo/internal/brokertest.startProcess.func1"),
			goleak.IgnoreAnyFunction("github.com/goslo/goslo/internal/brokertest.(*Proxy).admit"),
			goleak.IgnoreAnyFunction("github.com/goslo/goslo/internal/brokertest.(*Proxy).pass"),
			goleak.IgnoreAnyFunction("github.com/goslo/goslo/interop.(*Python).read"))
	}
	if err != nil {
		problems = append(problems, fmt.Sprintf("goroutines left behind: %v", err))
	}
	if w.proxy != nil {
		w.proxy.Reset() // connections that both sides have left, or of which one does not know it
	}
	// The broker learns of a closed socket, and a program's death, in its own time.
	var left []string
	limit := time.Now().Add(10 * time.Second)
	for {
		left = nil
		for _, c := range w.node.ListConnections(t) {
			left = append(left, fmt.Sprint(c.ClientProperties["connection_name"]))
		}
		if len(left) == 0 || time.Now().After(limit) {
			break
		}
		wait(50 * time.Millisecond)
	}
	if len(left) > 0 {
		problems = append(problems, "connections left behind: "+strings.Join(left, ", "))
	}
	return problems
}

// A journal keeps what the Go peers log.
type journal struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (j *journal) Write(p []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.text.Write(p)
}

// take returns what was logged since it was called last.
func (j *journal) take() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	defer j.text.Reset()
	return j.text.String()
}

var began = time.Now()

// progress tells those who wait what goes on.
func progress(format string, args ...any) {
	fmt.Fprintf(os.Stderr, "chaos [%4.0fs] %s\n", time.Since(began).Seconds(), fmt.Sprintf(format, args...))
}
