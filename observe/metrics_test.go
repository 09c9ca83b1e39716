package observe_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/goslo/goslo/internal/brokertest"
	"github.com/goslo/goslo/observe"
	"github.com/goslo/goslo/rpc"
	"github.com/goslo/goslo/transport"
	"github.com/goslo/goslo/transport/memory"
)

func TestMain(m *testing.M) { brokertest.Main(m) }

// A measured cloud is a client and servers whose metrics go to one registry, in virtual time.
type measured struct {
	t        *testing.T
	registry *prometheus.Registry
	o        *observe.Observer
	bus      *memory.Bus
}

func inMeasured(t *testing.T, f func(m *measured)) {
	t.Helper()
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := &measured{t: t, registry: prometheus.NewRegistry(), bus: memory.NewBus()}
		var err error
		if m.o, err = observe.New(observe.Config{Metrics: m.registry}); err != nil {
			t.Fatal(err)
		}
		f(m)
	})
}

func (m *measured) client(c rpc.ClientConfig) *rpc.Client {
	client := rpc.NewClient(m.bus.Open(memory.Config{}), m.o.Client(c))
	m.t.Cleanup(func() { _ = client.Close(context.Background()) })
	return client
}

func (m *measured) serve(e ...rpc.Endpoint) {
	m.t.Helper()
	server := rpc.NewServer(m.bus.Open(memory.Config{}), m.o.Server(rpc.ServerConfig{Target: target, Server: "h1", Workers: 1}), e...)
	if err := server.Listen(m.t.Context()); err != nil {
		m.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(m.t.Context())
	ended := make(chan error, 1)
	go func() { ended <- server.Run(ctx) }()
	m.t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			m.t.Error(err)
		}
	})
}

// values are all series of a metric: labels in order, and the value; of a histogram its count and sum.
func (m *measured) values(name string) []string {
	m.t.Helper()
	families, err := m.registry.Gather()
	if err != nil {
		m.t.Fatal(err)
	}
	var all []string
	for _, f := range families {
		if f.GetName() != name {
			continue
		}
		for _, one := range f.GetMetric() {
			var labels []string
			for _, l := range one.GetLabel() {
				if l.GetValue() != "" {
					labels = append(labels, l.GetName()+"="+l.GetValue())
				}
			}
			text := strings.Join(labels, " ") + ": "
			switch h := one.GetHistogram(); {
			case h != nil:
				text += fmt.Sprintf("%d in %gs", h.GetSampleCount(), h.GetSampleSum())
			default:
				text += strconv.FormatFloat(one.GetCounter().GetValue()+one.GetGauge().GetValue(), 'g', -1, 64)
			}
			all = append(all, text)
		}
	}
	slices.Sort(all)
	return all
}

func (m *measured) expect(name string, want ...string) {
	m.t.Helper()
	if diff := cmp.Diff(want, m.values(name)); diff != "" {
		m.t.Errorf("%s (-want +got):\n%s", name, diff)
	}
}

// Both sides count each request by how it ended, and time it; the server tells how long it waited for a worker.
func TestMetricsOfBothSides(t *testing.T) {
	inMeasured(t, func(m *measured) {
		m.serve(
			boot.Handle(func(ctx context.Context, _ rpc.Args) (string, error) {
				<-time.After(2 * time.Second)
				return "up", nil
			}),
			broken.Handle(func(context.Context, rpc.Args) (string, error) { return "", notFound.Errorf("no such instance") }).Expect(notFound),
			note.Handle(func(context.Context, rpc.Args) error { return errors.New("oops") }))
		client := m.client(rpc.ClientConfig{})
		go func() { _, _ = boot.Call(m.t.Context(), client, nil) }()
		synctest.Wait()
		m.expect("goslo_client_requests_in_flight", "method=boot mode=call topic=compute: 1")
		m.expect("goslo_server_requests_in_flight", "method=boot mode=call topic=compute: 1")
		<-time.After(500 * time.Millisecond)
		if err := note.Cast(m.t.Context(), client, nil); err != nil { // it waits for the only worker
			m.t.Error(err)
		}
		<-time.After(2 * time.Second)
		if _, err := broken.Call(m.t.Context(), client, nil); !errors.Is(err, notFound) {
			m.t.Error(err)
		}
		none := rpc.NewCall[rpc.Args, string](target, "made up by a peer")
		if _, err := none.Call(m.t.Context(), client, nil); err == nil {
			m.t.Error("a method that is not there was found")
		}
		if _, err := boot.Call(m.t.Context(), client.On("void"), nil); err == nil {
			m.t.Error("somebody listens at void")
		}
		synctest.Wait()
		m.expect("goslo_client_requests_total",
			"error=NoServer method=boot mode=call outcome=undelivered topic=void: 1",
			"error=NoSuchMethod method=made up by a peer mode=call outcome=failed topic=compute: 1",
			"error=nova.exception.InstanceNotFound method=broken mode=call outcome=failed topic=compute: 1",
			"method=boot mode=call outcome=ok topic=compute: 1", "method=boot mode=call outcome=ok topic=void: 0",
			"method=broken mode=call outcome=ok topic=compute: 0", "method=made up by a peer mode=call outcome=ok topic=compute: 0",
			"method=note mode=cast outcome=ok topic=compute: 1")
		m.expect("goslo_server_requests_total",
			"error=RuntimeError method=note mode=cast outcome=failed topic=compute: 1",
			"error=nova.exception.InstanceNotFound method=broken mode=call outcome=expected topic=compute: 1",
			"error=oslo_messaging.rpc.dispatcher.NoSuchMethod method=_OTHER mode=call outcome=failed topic=compute: 1",
			"method=_OTHER mode=call outcome=ok topic=compute: 0", "method=boot mode=call outcome=ok topic=compute: 1",
			"method=broken mode=call outcome=ok topic=compute: 0", "method=note mode=cast outcome=ok topic=compute: 0")
		m.expect("goslo_server_request_duration_seconds",
			"method=_OTHER mode=call topic=compute: 1 in 0s", "method=boot mode=call topic=compute: 1 in 2s",
			"method=broken mode=call topic=compute: 1 in 0s", "method=note mode=cast topic=compute: 1 in 0s")
		m.expect("goslo_server_queue_wait_seconds",
			"method=_OTHER mode=call topic=compute: 1 in 0s", "method=boot mode=call topic=compute: 1 in 0s",
			"method=broken mode=call topic=compute: 1 in 0s", "method=note mode=cast topic=compute: 1 in 1.5s")
		m.expect("goslo_client_requests_in_flight",
			"method=boot mode=call topic=compute: 0", "method=boot mode=call topic=void: 0", "method=broken mode=call topic=compute: 0",
			"method=made up by a peer mode=call topic=compute: 0", "method=note mode=cast topic=compute: 0")
		m.expect("goslo_server_clock_skew_total")
		m.expect("goslo_server_redeliveries_total")
	})
}

func TestMetricsOfTimeouts(t *testing.T) {
	inMeasured(t, func(m *measured) {
		m.serve(boot.Handle(func(context.Context, rpc.Args) (string, error) {
			<-time.After(5 * time.Second) // whatever its context says
			return "late", nil
		}))
		told := 0
		client := m.client(rpc.ClientConfig{Timeout: time.Second, Late: func(rpc.LateReply) { told++ }})
		var timeout *rpc.TimeoutError
		if _, err := boot.Call(m.t.Context(), client, nil); !errors.As(err, &timeout) {
			m.t.Error(err)
		}
		gone, leave := context.WithTimeout(m.t.Context(), time.Minute) // so that the bus keeps the request until the one worker is free
		time.AfterFunc(500*time.Millisecond, leave)
		if _, err := boot.Call(gone, client, nil); !errors.Is(err, context.Canceled) {
			m.t.Error(err)
		}
		<-time.After(12 * time.Second)
		synctest.Wait()
		m.expect("goslo_client_timeouts_total", "method=boot phase="+string(timeout.Phase)+" topic=compute: 1")
		m.expect("goslo_client_requests_total",
			"error=Cancelled method=boot mode=call outcome=cancelled topic=compute: 1",
			"error=Timeout method=boot mode=call outcome=timeout topic=compute: 1", "method=boot mode=call outcome=ok topic=compute: 0")
		m.expect("goslo_client_late_replies_total", "method=boot topic=compute: 2")
		if told != 2 {
			m.t.Errorf("the program's own function was told of %d late replies", told)
		}
	})
}

// A request that the bus delivers again is counted, and so is one from a sender whose clock is ahead.
func TestMetricsOfOddRequests(t *testing.T) {
	inMeasured(t, func(m *measured) {
		peer := m.bus.Open(memory.Config{})
		to := transport.Address{Kind: transport.Topic, Topic: "compute", Server: "h1"}
		l, err := peer.Listen(m.t.Context(), to, transport.ListenOptions{})
		if err != nil {
			m.t.Fatal(err)
		}
		ahead := map[string]string{"goslo-sent": strconv.FormatInt(time.Now().Add(time.Minute).UnixNano(), 10)}
		if err := peer.Send(m.t.Context(), to, &transport.Message{Method: "note", Version: "1.0", Headers: ahead, UniqueID: "1"}); err != nil {
			m.t.Fatal(err)
		}
		d, err := l.Next(m.t.Context())
		if err := errors.Join(err, l.Close(m.t.Context())); err != nil {
			m.t.Fatal(err)
		}
		if err := d.Requeue(m.t.Context()); err != nil {
			m.t.Fatal(err)
		}
		m.serve(note.Handle(func(context.Context, rpc.Args) error { return nil }))
		synctest.Wait()
		m.expect("goslo_server_redeliveries_total", "method=note topic=compute: 1")
		m.expect("goslo_server_clock_skew_total", "topic=compute: 1")
		m.expect("goslo_server_queue_wait_seconds", "method=note mode=cast topic=compute: 1 in 0s")
	})
}

// However many topics, methods and classes of errors there are, series stay few.
func TestLabelsAreBounded(t *testing.T) {
	inMeasured(t, func(m *measured) {
		next := 0
		m.serve(broken.Handle(func(context.Context, rpc.Args) (string, error) {
			next++
			return "", rpc.ErrorClass{Module: "m", Name: "E" + strconv.Itoa(next)}.Errorf("x")
		}), note.Handle(func(context.Context, rpc.Args) error { return nil }))
		client := m.client(rpc.ClientConfig{})
		for i := range 1100 {
			_ = note.Cast(m.t.Context(), client.On("topic"+strconv.Itoa(i)), nil)
		}
		for range 60 {
			_, _ = broken.Call(m.t.Context(), client, nil)
		}
		synctest.Wait()
		if n := len(m.values("goslo_client_requests_in_flight")); n != 1000+2 { // those, and what is beyond by mode
			t.Errorf("%d series of the client's", n)
		}
		if n := len(m.values("goslo_server_requests_total")); n != 50+2 { // classes, those beyond, and none
			t.Errorf("%d series of a method that fails in 60 ways", n)
		}
		if all := m.values("goslo_server_requests_total"); !slices.Contains(all, "error=_OTHER method=broken mode=call outcome=failed topic=compute: 10") {
			t.Errorf("what is beyond is not counted together:\n%s", strings.Join(all, "\n"))
		}
	})
}

// What a bus counts is asked for when metrics are; several buses of a process have a label each, and no name twice.
func TestMetricsOfTransports(t *testing.T) {
	inMeasured(t, func(m *measured) {
		bus := meter{statistics: &transport.Statistics{}}
		if err := errors.Join(m.o.Transport("", m.bus.Open(memory.Config{})), m.o.Transport("", bus), m.o.Transport("cell1", meter{statistics: &transport.Statistics{Connections: 7}})); err != nil {
			t.Fatal(err)
		}
		if err := m.o.Transport("cell1", bus); err == nil {
			t.Error("two buses of one name")
		}
		*bus.statistics = transport.Statistics{
			Published: 1, Confirmed: 2, Returned: 3, Refused: 4, Resent: 5, Connections: 6, Connected: 7, Reconnects: 8,
			Away: 9 * time.Second, Blocked: 10 * time.Second, Deaf: 11, Loopback: 12 * time.Millisecond,
		}
		for name, want := range map[string]string{
			"goslo_bus_published_total": "1", "goslo_bus_confirmed_total": "2", "goslo_bus_returned_total": "3", "goslo_bus_refused_total": "4",
			"goslo_bus_resent_total": "5", "goslo_bus_connections_up": "7", "goslo_bus_reconnects_total": "8",
			"goslo_bus_away_seconds_total": "9", "goslo_bus_blocked_seconds_total": "10", "goslo_deaf_total": "11", "goslo_bus_loopback_seconds": "0.012",
		} {
			m.expect(name, ": "+want, "bus=cell1: 0")
		}
		m.expect("goslo_bus_connections", ": 6", "bus=cell1: 7")
	})
}

// A meter is a bus that counts.
type meter struct {
	transport.Transport
	statistics *transport.Statistics
}

func (m meter) Statistics() transport.Statistics { return *m.statistics }

// An Observer that watches nothing, or none at all, changes nothing, and one registry takes one Observer.
func TestObserversThatAreOff(t *testing.T) {
	t.Parallel()
	off, err := observe.New(observe.Config{})
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range []*observe.Observer{nil, off} {
		if c := o.Client(rpc.ClientConfig{}); c.Interceptors != nil || c.Late != nil {
			t.Errorf("client %+v", c)
		}
		if c := o.Server(rpc.ServerConfig{}); c.Interceptors != nil {
			t.Errorf("server %+v", c)
		}
		if err := o.Transport("", meter{}); err != nil {
			t.Error(err)
		}
		if h := o.HTTP(nil); h != nil {
			t.Error("an HTTP handler is wrapped")
		}
	}
	registry := observe.NewRegistry()
	if _, err := observe.New(observe.Config{Metrics: registry}); err != nil {
		t.Error(err)
	}
	if _, err := observe.New(observe.Config{Metrics: registry}); err == nil {
		t.Error("a second Observer on the registry")
	}
}

func TestSystem(t *testing.T) {
	t.Parallel()
	for scheme, want := range map[string]string{"rabbit": "rabbitmq", "kombu": "rabbitmq", "embedded": "nats", "nats+tls": "nats", "zmq": "zmq"} {
		if got := observe.System(scheme); got != want {
			t.Errorf("%s is %q", scheme, got)
		}
	}
}
