package probe_test

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/goslo/goslo/internal/brokertest"
	"github.com/goslo/goslo/internal/probe"
)

func TestMain(m *testing.M) { brokertest.Main(m) }

// pythons are servers of one process, on oslo.messaging.
type pythons struct {
	cmd *exec.Cmd
	log *lockedBuffer
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func startPythons(t *testing.T, url, topic string, servers ...string) *pythons {
	t.Helper()
	p := &pythons{log: &lockedBuffer{}}
	p.cmd = exec.Command("/usr/bin/python3", append([]string{"-W", "ignore", "testdata/servers.py", url, topic}, servers...)...)
	p.cmd.Stderr = p.log
	in, err := p.cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = p.cmd.Process.Kill()
		_ = in.Close()
		_ = p.cmd.Wait()
	})
	if line, err := bufio.NewReader(out).ReadString('\n'); err != nil && err != io.EOF || line != "ready\n" {
		t.Fatalf("the servers did not start: %q, %v\n%s\ninstall them: apt-get install python3-oslo.messaging", line, err, p.log)
	}
	return p
}

// ask returns the answers by server, less what depends on the clock.
func ask(t *testing.T, conn *amqp.Connection, o probe.Options, servers ...probe.Server) map[string]probe.Answer {
	t.Helper()
	p, err := probe.New(conn)
	if err != nil {
		t.Fatal(err)
	}
	heard := 0
	answers, err := p.Ask(t.Context(), servers, o, func(a probe.Answer, left int) {
		heard++
		if a.State == "" || left != len(servers)-heard {
			t.Errorf("heard %+v, %d left", a, left)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	if heard != len(servers) {
		t.Errorf("%d answers heard, want %d", heard, len(servers))
	}
	if err := p.Close(); err != nil {
		t.Error(err)
	}
	m := map[string]probe.Answer{}
	for i, a := range answers {
		if diff := cmp.Diff(servers[i], a.Server); diff != "" {
			t.Errorf("answer %d is of another: %s", i, diff)
		}
		if answered := a.State == probe.OK || a.State == probe.Slow; answered != (a.RTT > 0) || a.RTT > 10*time.Second {
			t.Errorf("%s: %s after %s", a.Name, a.State, a.RTT)
		}
		m[a.Name] = a
	}
	return m
}

func dial(t *testing.T, url string) *amqp.Connection {
	t.Helper()
	conn, err := amqp.Dial(strings.Replace(url, "rabbit://", "amqp://", 1))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

// TestPythonServersAnswerInSilence asks servers of several versions for what the table says, and for what is wrong.
func TestPythonServersAnswerInSilence(t *testing.T) {
	t.Parallel()
	node := brokertest.Rabbit(t)
	vhost := node.NewVhost(t)
	url := node.URLVhost(vhost)
	quiet := startPythons(t, url, "lab", "plain::", "three::3.7", "spaced:baseapi:1.1")
	noisy := startPythons(t, url, "lab", "wrong::2.0")
	deaf := startPythons(t, url, "lab", "deaf::")
	gone := startPythons(t, url, "lab", "gone::")
	unbound := startPythons(t, url, "lab", "unbound::")
	node.DeleteBinding(t, vhost, "openstack", "lab.unbound", "lab.unbound")
	_ = gone.cmd.Process.Kill()
	brokertest.Await(t, "the killed server's consumer is gone", func() bool {
		q, ok := node.FindQueue(t, vhost, "lab.gone")
		return ok && q.Consumers == 0
	})
	if err := deaf.cmd.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	conn := dial(t, url)
	quietLog, unboundLog := quiet.log.String(), unbound.log.String()
	before := node.ListQueues(t, vhost)

	server := func(name string, e probe.Endpoint) probe.Server {
		return probe.Server{Exchange: "openstack", Topic: "lab", Name: name, Endpoint: e}
	}
	one := probe.Endpoint{Version: "1.0"}
	elsewhere := probe.Server{Exchange: "nova", Topic: "lab", Name: "plain", Endpoint: one}
	got := ask(t, conn, probe.Options{Timeout: 3 * time.Second, Slow: 3 * time.Second},
		server("plain", one), server("three", probe.Endpoint{Version: "3.0"}), server("spaced", probe.Known("compute", "")),
		server("wrong", one), server("deaf", one), server("gone", one), server("never", one), server("unbound", one))
	want := map[string]probe.Answer{
		"plain":   {State: probe.OK, Consumers: 1},
		"three":   {State: probe.OK, Consumers: 1},
		"spaced":  {State: probe.OK, Consumers: 1},
		"wrong":   {State: probe.OK, Consumers: 1, Objection: "UnsupportedVersion"},
		"deaf":    {State: probe.Deaf, Consumers: 1},
		"gone":    {State: probe.NoConsumer},
		"never":   {State: probe.NoQueue},
		"unbound": {State: probe.Unbound, Consumers: 1},
	}
	but := cmpopts.IgnoreFields(probe.Answer{}, "Server", "RTT")
	if diff := cmp.Diff(want, got, but); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	if got := ask(t, conn, probe.Options{}, elsewhere)["plain"]; got.State != probe.Unbound {
		t.Errorf("on an exchange that does not exist: %s", got.State)
	}
	if got := ask(t, conn, probe.Options{}, server("three", probe.Endpoint{}))["three"]; got.State != probe.NotAsked || got.State.Bad() || !probe.Deaf.Bad() {
		t.Errorf("of an unknown version: %s", got.State)
	}
	stuck := server("plain", one)
	stuck.Stuck = true
	if got := ask(t, conn, probe.Options{}, stuck)["plain"]; got.State != probe.Deaf {
		t.Errorf("of a server that takes nothing: %s", got.State)
	}
	if got := ask(t, conn, probe.Options{Slow: time.Nanosecond}, server("plain", one))["plain"]; got.State != probe.Slow {
		t.Errorf("later than it should: %s", got.State)
	}

	if got := quiet.log.String(); got != quietLog {
		t.Errorf("the servers said: %s", strings.TrimPrefix(got, quietLog))
	}
	if got := unbound.log.String(); got != unboundLog {
		t.Errorf("the unbound server said: %s", strings.TrimPrefix(got, unboundLog))
	}
	// That a wrong version is told in the log proves that silence is seen above, and what the table is for.
	brokertest.Await(t, "the server of another version says so", func() bool { return strings.Contains(noisy.log.String(), "UnsupportedVersion") })
	for i := range before {
		if before[i].Name == "lab.deaf" { // whose connection has taken the question in
			before[i].Messages, before[i].Unacked = 1, 1
		}
	}
	brokertest.Await(t, "the broker is as it was before", func() bool { return cmp.Equal(before, node.ListQueues(t, vhost)) })
}

// TestAServerThatStandsStillIsAskedOnce has it go on later.
func TestAServerThatStandsStillIsAskedOnce(t *testing.T) {
	t.Parallel()
	node := brokertest.Rabbit(t)
	vhost := node.NewVhost(t)
	still := startPythons(t, node.URLVhost(vhost), "lab", "a::")
	p, err := probe.New(dial(t, node.URLVhost(vhost)))
	if err != nil {
		t.Fatal(err)
	}
	ask := func(timeout time.Duration) probe.State {
		t.Helper()
		answers, err := p.Ask(t.Context(), []probe.Server{{Exchange: "openstack", Topic: "lab", Name: "a", Endpoint: probe.Endpoint{Version: "1.0"}}},
			probe.Options{Timeout: timeout}, nil)
		if err != nil {
			t.Fatal(err)
		}
		return answers[0].State
	}
	if err := still.cmd.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if got := ask(100 * time.Millisecond); got != probe.Deaf {
			t.Fatal(got)
		}
	}
	if q, _ := node.FindQueue(t, vhost, "lab.a"); q.Messages != 1 {
		t.Errorf("%d questions are in its queue, want 1", q.Messages)
	}
	if err := still.cmd.Process.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	if got := ask(10 * time.Second); got != probe.OK && got != probe.Slow {
		t.Errorf("after it went on: %s", got)
	}
	if got := ask(10 * time.Second); got != probe.OK {
		t.Errorf("asked anew: %s", got)
	}
	if err := p.Close(); err != nil {
		t.Error(err)
	}
}

// TestAskEndsWithItsContext has a broker that says nothing.
func TestAskEndsWithItsContext(t *testing.T) {
	t.Parallel()
	node := brokertest.NewRabbit(t, brokertest.RabbitOptions{})
	conn := dial(t, node.URL())
	p, err := probe.New(conn)
	if err != nil {
		t.Fatal(err)
	}
	node.Pause(t)
	defer node.Resume(t)
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	start := time.Now()
	_, err = p.Ask(ctx, []probe.Server{{Exchange: "openstack", Topic: "lab", Name: "a"}}, probe.Options{}, nil)
	if err == nil || !strings.Contains(err.Error(), "deadline") || time.Since(start) > 10*time.Second {
		t.Errorf("%v after %s", err, time.Since(start))
	}
}

func TestKnown(t *testing.T) {
	t.Parallel()
	nova := probe.Endpoint{Namespace: "baseapi", Version: "1.0"}
	for _, test := range []struct {
		topic, program string
		want           probe.Endpoint
	}{
		{"compute", "", nova},
		{"cells", "nova-cells", nova},
		{"cinder-volume", "", probe.Endpoint{Version: "3.0"}},
		{"cinder-volume.c1@ceph", "", probe.Endpoint{Version: "3.0"}},
		{"q-agent-notifier-port-update", "", probe.Endpoint{Version: "1.0"}},
		{"q-", "", probe.Endpoint{}},
		{"mine", "neutron-l3-agent", probe.Endpoint{Version: "1.0"}},
		{"mine", "mine.py", probe.Endpoint{}},
		{"mine", "", probe.Endpoint{}},
	} {
		if got := probe.Known(test.topic, test.program); got != test.want {
			t.Errorf("%s of %q: %+v, want %+v", test.topic, test.program, got, test.want)
		}
	}
}
