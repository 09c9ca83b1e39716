package observe_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/baggage"
	"go.opentelemetry.io/otel/codes"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"

	"github.com/goslo/goslo/observe"
	"github.com/goslo/goslo/observe/otlp"
	"github.com/goslo/goslo/rpc"
	"github.com/goslo/goslo/transport"
	"github.com/goslo/goslo/transport/memory"
)

const (
	requestID = "req-c7a8a4a2-93c1-4d2c-9b0c-0123456789ab"
	sameTrace = "c7a8a4a293c14d2c9b0c0123456789ab"
)

var (
	target = rpc.Target{Topic: "compute", Version: "1.0"}
	boot   = rpc.NewCall[rpc.Args, string](target, "boot")
	note   = rpc.NewCast[rpc.Args](target, "note")
	broken = rpc.NewCall[rpc.Args, string](target, "broken")

	notFound = rpc.ErrorClass{Module: "nova.exception", Name: "InstanceNotFound"}
)

// A recorder keeps the spans of all who are observed by o.
type recorder struct {
	t        *testing.T
	exporter *tracetest.InMemoryExporter
	provider *sdk.TracerProvider
	o        *observe.Observer
	bus      *memory.Bus
	ended    []func()
}

func record(t *testing.T, options ...sdk.TracerProviderOption) *recorder {
	t.Helper()
	r := &recorder{t: t, exporter: tracetest.NewInMemoryExporter(), bus: memory.NewBus()}
	r.provider = sdk.NewTracerProvider(append(options, sdk.WithSyncer(r.exporter), sdk.WithIDGenerator(otlp.IDs{}))...)
	var err error
	if r.o, err = observe.New(observe.Config{Traces: r.provider, System: "memory"}); err != nil {
		t.Fatal(err)
	}
	return r
}

func (r *recorder) client(c rpc.ClientConfig) *rpc.Client {
	client := rpc.NewClient(r.bus.Open(memory.Config{}), c)
	r.t.Cleanup(func() { _ = client.Close(context.Background()) })
	return client
}

// serve serves until settle.
func (r *recorder) serve(ctx context.Context, c rpc.ServerConfig, e ...rpc.Endpoint) {
	r.t.Helper()
	c.Target.Topic = "compute"
	server := rpc.NewServer(r.bus.Open(memory.Config{}), r.o.Server(c), e...)
	if err := server.Listen(ctx); err != nil {
		r.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() { ended <- server.Run(ctx) }()
	stop := func() {
		cancel()
		if err := <-ended; err != nil {
			r.t.Error(err)
		}
	}
	r.ended = append(r.ended, stop)
}

// settle ends all servers, so that all spans have ended, and returns them by name and kind.
func (r *recorder) settle() map[string]tracetest.SpanStub {
	r.t.Helper()
	for _, stop := range r.ended {
		stop()
	}
	all := map[string]tracetest.SpanStub{}
	for _, s := range r.exporter.GetSpans() {
		name := s.Name + " " + s.SpanKind.String()
		if _, twice := all[name]; twice {
			r.t.Errorf("two spans %s", name)
		}
		all[name] = s
	}
	return all
}

func withRequest(t *testing.T) context.Context {
	t.Helper()
	c, err := rpc.NewRequestContext(map[string]string{"request_id": requestID})
	if err != nil {
		t.Fatal(err)
	}
	return rpc.WithContext(t.Context(), c)
}

func attributes(s tracetest.SpanStub) map[string]string {
	all := map[string]string{}
	for _, a := range s.Attributes {
		all[string(a.Key)] = a.Value.String()
	}
	return all
}

// A call whose handler casts is one tree, whose trace is the request's; each request has its wait beside its handler.
func TestOneTree(t *testing.T) {
	t.Parallel()
	r := record(t)
	client := r.client(r.o.Client(rpc.ClientConfig{}))
	noted := make(chan string, 1)
	outer, around := r.provider.Tracer("main").Start(t.Context(), "main") // a span around Run is no parent of anything
	r.serve(outer, rpc.ServerConfig{Server: "h1"},
		boot.Handle(func(ctx context.Context, _ rpc.Args) (string, error) {
			return "up", note.Cast(ctx, client.To("h1"), nil)
		}),
		note.Handle(func(ctx context.Context, _ rpc.Args) error {
			noted <- baggage.FromContext(ctx).Member("who").Value()
			return nil
		}))
	who, err := baggage.NewMember("who", "me")
	if err != nil {
		t.Fatal(err)
	}
	carried, err := baggage.New(who)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := boot.Call(baggage.ContextWithBaggage(withRequest(t), carried), client, nil); err != nil {
		t.Fatal(err)
	}
	if got := <-noted; got != "me" {
		t.Errorf("the last handler has the baggage %q", got)
	}
	around.End()
	spans := r.settle()
	delete(spans, "main internal")
	for name, parent := range map[string]string{
		"compute/boot client":         "",
		"queue compute/boot internal": "compute/boot client",
		"compute/boot server":         "compute/boot client",
		"compute/note producer":       "compute/boot server",
		"queue compute/note internal": "compute/note producer",
		"compute/note consumer":       "compute/note producer",
	} {
		s, ok := spans[name]
		if !ok {
			t.Errorf("no span %s", name)
			continue
		}
		delete(spans, name)
		if got := s.SpanContext.TraceID().String(); got != sameTrace {
			t.Errorf("%s is in trace %s, want the request's", name, got)
		}
		if want := s.Parent.SpanID(); parent == "" && want.IsValid() {
			t.Errorf("%s has a parent", name)
		}
		defer func() {
			if p := parentOf(r.exporter.GetSpans(), s); p != parent {
				t.Errorf("%s is a child of %q, want %q", name, p, parent)
			}
		}()
		if s.Status.Code != codes.Unset {
			t.Errorf("%s has status %v", name, s.Status)
		}
		if a := attributes(s); a["openstack.request_id"] != requestID || a["messaging.destination.name"] != "compute" || a["messaging.system"] != "memory" || a["rpc.method"] == "" {
			t.Errorf("%s has the attributes %v", name, a)
		}
		if s.EndTime.Before(s.StartTime) {
			t.Errorf("%s ends at %v and begins at %v", name, s.EndTime, s.StartTime)
		}
	}
	for name := range spans {
		t.Errorf("one more span: %s", name)
	}
}

func parentOf(all tracetest.SpanStubs, s tracetest.SpanStub) string {
	for _, p := range all {
		if p.SpanContext.SpanID() == s.Parent.SpanID() {
			return p.Name + " " + p.SpanKind.String()
		}
	}
	return ""
}

// A fanout is one tree, too: each server waits and handles under the sender's span.
func TestFanoutTree(t *testing.T) {
	t.Parallel()
	r := record(t)
	client := r.client(r.o.Client(rpc.ClientConfig{}))
	done := make(chan bool, 2)
	for _, name := range []string{"h1", "h2"} {
		r.serve(t.Context(), rpc.ServerConfig{Server: name}, note.Handle(func(context.Context, rpc.Args) error {
			done <- true
			return nil
		}))
	}
	if err := note.Cast(withRequest(t), client.Fanout(), nil); err != nil {
		t.Fatal(err)
	}
	<-done
	<-done
	for _, stop := range r.ended {
		stop()
	}
	var got []string
	spans := r.exporter.GetSpans()
	for _, s := range spans {
		got = append(got, s.Name+" under "+parentOf(spans, s)+" at "+attributes(s)["goslo.server"])
	}
	slices.Sort(got)
	want := []string{
		"compute/note under  at ",
		"compute/note under compute/note producer at h1",
		"compute/note under compute/note producer at h2",
		"queue compute/note under compute/note producer at h1",
		"queue compute/note under compute/note producer at h2",
	}
	if !slices.Equal(got, want) {
		t.Errorf("spans:\n%s", strings.Join(got, "\n"))
	}
}

// The caller's own trace wins over the request id, and its decision not to record holds on the other side.
func TestTheCallersTraceWins(t *testing.T) {
	t.Parallel()
	r := record(t)
	client := r.client(r.o.Client(rpc.ClientConfig{}))
	inside := make(chan trace.SpanContext, 2)
	r.serve(t.Context(), rpc.ServerConfig{Server: "h1"}, boot.Handle(func(ctx context.Context, _ rpc.Args) (string, error) {
		inside <- trace.SpanContextFromContext(ctx)
		return "", nil
	}))
	for _, flags := range []trace.TraceFlags{trace.FlagsSampled, 0} {
		own := trace.NewSpanContext(trace.SpanContextConfig{TraceID: trace.TraceID{1, 2, 3}, SpanID: trace.SpanID{4}, TraceFlags: flags, Remote: true})
		if _, err := boot.Call(trace.ContextWithSpanContext(withRequest(t), own), client, nil); err != nil {
			t.Fatal(err)
		}
		if got := <-inside; got.TraceID() != own.TraceID() || got.IsSampled() != own.IsSampled() {
			t.Errorf("the handler is in trace %s, sampled: %t", got.TraceID(), got.IsSampled())
		}
	}
	r.settle()
	if n := len(r.exporter.GetSpans()); n != 3 {
		t.Errorf("%d spans, want the three of the first call", n)
	}
}

func TestErrorsAreRecorded(t *testing.T) {
	t.Parallel()
	r := record(t)
	client := r.client(r.o.Client(rpc.ClientConfig{Timeout: 10 * time.Second}))
	r.serve(t.Context(), rpc.ServerConfig{Server: "h1"},
		broken.Handle(func(context.Context, rpc.Args) (string, error) { return "", notFound.Errorf("no such instance") }).Expect(notFound),
		boot.Handle(func(context.Context, rpc.Args) (string, error) { panic("on purpose") }))
	if _, err := broken.Call(withRequest(t), client, nil); !errors.Is(err, notFound) {
		t.Fatal(err)
	}
	if _, err := boot.Call(withRequest(t), client, nil); err == nil {
		t.Fatal("a panic was no failure")
	}
	none := rpc.NewCall[rpc.Args, string](target, "no/such/method")
	var noMethod *rpc.NoSuchMethodError
	if _, err := none.Call(withRequest(t), client, nil); !errors.As(err, &noMethod) {
		t.Fatal(err)
	}
	var nobody *rpc.NoServerError
	if _, err := boot.Call(withRequest(t), client.On("void"), nil); !errors.As(err, &nobody) {
		t.Fatal(err)
	}
	spans := r.settle()
	for name, want := range map[string]struct {
		class  string
		status codes.Code
	}{
		"compute/broken client":         {"nova.exception.InstanceNotFound", codes.Error},
		"compute/broken server":         {"nova.exception.InstanceNotFound", codes.Unset}, // it is expected
		"compute/boot client":           {"RuntimeError", codes.Error},
		"compute/boot server":           {"RuntimeError", codes.Error},
		"compute/no/such/method client": {"NoSuchMethod", codes.Error},
		"compute/_OTHER server":         {"oslo_messaging.rpc.dispatcher.NoSuchMethod", codes.Error},
		"void/boot client":              {"NoServer", codes.Error},
	} {
		s, ok := spans[name]
		if !ok {
			t.Errorf("no span %s", name)
			continue
		}
		if got := attributes(s)["error.type"]; got != want.class || s.Status.Code != want.status || len(s.Events) != 1 {
			t.Errorf("%s has error.type %q, status %v and %d events; want %+v", name, got, s.Status, len(s.Events), want)
		}
	}
	if got := attributes(spans["compute/_OTHER server"])["rpc.method_original"]; got != "no/such/method" {
		t.Errorf("the name that the caller used is %q", got)
	}
}

// A request without headers, as of a Python peer, begins a span of its own, in the trace of its request id; one whose sender's clock is ahead has waited for no time.
func TestRequestsFromElsewhere(t *testing.T) {
	t.Parallel()
	r := record(t)
	r.serve(t.Context(), rpc.ServerConfig{Server: "h1"}, note.Handle(func(context.Context, rpc.Args) error { return nil }), boot.Handle(func(context.Context, rpc.Args) (string, error) { return "", nil }))
	peer := r.bus.Open(memory.Config{})
	ahead := time.Now().Add(time.Hour).UnixNano()
	for method, headers := range map[string]map[string]string{
		"note": nil,
		"boot": {"traceparent": "00-0102030405060708090a0b0c0d0e0f10-0102030405060708-01", "goslo-sent": attribute.Int64Value(ahead).String()},
	} {
		if err := peer.Send(t.Context(), transport.Address{Kind: transport.Topic, Topic: "compute"}, &transport.Message{
			Method: method, Version: "1.0", Headers: headers, Context: json.RawMessage(`{"request_id": "` + requestID + `"}`),
		}); err != nil {
			t.Fatal(err)
		}
	}
	taken := func() bool {
		s, err := peer.Inspect(t.Context(), transport.Address{Kind: transport.Topic, Topic: "compute"})
		return err == nil && s.Waiting == 0
	}
	for deadline := time.Now().Add(20 * time.Second); !taken() && time.Now().Before(deadline); {
		<-time.After(time.Millisecond)
	}
	spans := r.settle()
	if s := spans["compute/note consumer"]; s.SpanContext.TraceID().String() != sameTrace || s.Parent.IsValid() {
		t.Errorf("without headers: trace %s under %s", s.SpanContext.TraceID(), s.Parent.SpanID())
	}
	if s := spans["compute/boot consumer"]; s.SpanContext.TraceID() != (trace.TraceID{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16}) {
		t.Errorf("with headers: trace %s", s.SpanContext.TraceID())
	}
	s, ok := spans["queue compute/boot internal"]
	if !ok || !s.StartTime.Equal(s.EndTime) || attributes(s)["goslo.sender_clock_ahead_ms"] == "" {
		t.Errorf("the wait of a request from the future: %t, %v to %v, %v", ok, s.StartTime, s.EndTime, s.Attributes)
	}
	if _, ok := spans["queue compute/note internal"]; ok {
		t.Error("a wait of which nothing is known")
	}
}

// Baggage that does not fit beside the trace stays behind, and so does what a bus could not carry; the request leaves.
func TestHeadersThatDoNotFit(t *testing.T) {
	t.Parallel()
	r := record(t)
	client := r.client(r.o.Client(rpc.ClientConfig{}))
	seen := make(chan map[string]string, 1)
	r.serve(t.Context(), rpc.ServerConfig{Server: "h1"}, boot.Handle(func(ctx context.Context, _ rpc.Args) (string, error) {
		seen <- rpc.RequestFrom(ctx).Headers
		return "", nil
	}))
	large, err := baggage.NewMember("large", strings.Repeat("x", transport.MaxHeaders))
	if err != nil {
		t.Fatal(err)
	}
	carried, err := baggage.New(large)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := boot.Call(baggage.ContextWithBaggage(withRequest(t), carried), client, nil); err != nil {
		t.Fatal(err)
	}
	if h := <-seen; h["baggage"] != "" || !strings.Contains(h["traceparent"], sameTrace) || h["goslo-sent"] == "" {
		t.Errorf("headers %v", h)
	}
	r.settle()
}

// A request that has all the headers that a bus can carry leaves with them: it is not lost because it is observed.
func TestOwnHeadersLeaveNoRoom(t *testing.T) {
	t.Parallel()
	r := record(t)
	own := strings.Repeat("x", transport.MaxHeaders-len("mine"))
	fill := func(next rpc.Func) rpc.Func {
		return func(ctx context.Context, q *rpc.Request) (json.RawMessage, error) {
			q.Headers = map[string]string{"mine": own}
			return next(ctx, q)
		}
	}
	client := r.client(r.o.Client(rpc.ClientConfig{Interceptors: []rpc.Interceptor{fill}}))
	seen := make(chan map[string]string, 1)
	r.serve(t.Context(), rpc.ServerConfig{Server: "h1"}, boot.Handle(func(ctx context.Context, _ rpc.Args) (string, error) {
		seen <- rpc.RequestFrom(ctx).Headers
		return "", nil
	}))
	if _, err := boot.Call(t.Context(), client, nil); err != nil {
		t.Fatal(err)
	}
	if h := <-seen; len(h) != 1 || h["mine"] != own {
		t.Errorf("%d headers, of which mine has %d bytes", len(h), len(h["mine"]))
	}
	r.settle()
}

// A handler of HTTP that panics has failed, and the panic goes on.
func TestHTTPPanics(t *testing.T) {
	t.Parallel()
	r := record(t)
	h := r.o.HTTP(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }))
	func() {
		defer func() {
			if v := recover(); v != http.ErrAbortHandler { //nolint:errorlint // the very value
				t.Errorf("recovered %v", v)
			}
		}()
		h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/servers", nil))
	}()
	spans := r.exporter.GetSpans()
	if len(spans) != 1 || spans[0].Status.Code != codes.Error || attributes(spans[0])["url.path"] != "/servers" {
		t.Errorf("spans: %+v", spans)
	}
}

func TestTraceID(t *testing.T) {
	t.Parallel()
	for id, want := range map[string]string{
		requestID:                              sameTrace,
		"":                                     "",
		"req-":                                 "",
		"c7a8a4a2-93c1-4d2c-9b0c-0123456789ab": "",
		"req-c7a8a4a293c14d2c9b0c0123456789ab": "",
		"req-c7a8a4a2-93c1-4d2c-9b0c-0123456789ag":  "",
		"req-c7a8a4a2-93c1-4d2c-9b0c-0123456789abc": "",
		"req-00000000-0000-0000-0000-000000000000":  "",
		"req-c7a8a4a2-93c1-4d2c-9b0c--123456789ab":  "",
	} {
		got, ok := observe.TraceID(id)
		if ok != (want != "") || ok && got.String() != want {
			t.Errorf("%q: %s, %t", id, got, ok)
		}
	}
}
