package interop_test

import (
	"context"
	"encoding/json"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/goslo/goslo/observe"
	"github.com/goslo/goslo/observe/otlp"
	"github.com/goslo/goslo/rpc"
)

// A Go service between two Python services, with all that can be observed turned on, passes the request id and the rest of the context on as it came;
// its own spans are of the trace that the request id names, although neither neighbour knows of traces.
//
// conforms: CTX-01, CTX-04
func TestObservedServiceBetweenPythons(t *testing.T) {
	t.Parallel()
	w := inTown(t)
	spans := tracetest.NewInMemoryExporter()
	provider := sdk.NewTracerProvider(sdk.WithSyncer(spans), sdk.WithIDGenerator(otlp.IDs{}))
	o, err := observe.New(observe.Config{Traces: provider, Metrics: prometheus.NewRegistry(), System: "rabbitmq"})
	if err != nil {
		t.Fatal(err)
	}
	bus := w.open(t)
	client := rpc.NewClient(bus, o.Client(rpc.ClientConfig{}))
	t.Cleanup(func() { _ = client.Close(context.WithoutCancel(t.Context())) })
	const topic = "observed_between"
	far := rpc.NewCall[none, json.RawMessage](rpc.Target{Topic: python.topic()}, "context")
	server := rpc.NewServer(bus, o.Server(rpc.ServerConfig{Target: rpc.Target{Topic: topic}, Server: "one"}),
		rpc.NewCall[none, json.RawMessage](rpc.Target{Topic: topic}, "context").Handle(func(ctx context.Context, _ none) (json.RawMessage, error) {
			return far.Call(ctx, client, none{})
		}))
	if err := server.Listen(t.Context()); err != nil {
		t.Fatal(err)
	}
	end := run(server)

	asked := request{method: "context", context: `{
		"request_id": "req-c7a8a4a2-93c1-4d2c-9b0c-0123456789ab", "global_request_id": "req-11111111-93c1-4d2c-9b0c-0123456789ab",
		"user_identity": "ann lab - - -", "user": "Anné 櫛 \ud83d\udce6", "project_id": "lab", "roles": ["member", "reader"], "auth_token": null, "is_admin": false,
		"service_catalog": [{"type": "volumev3", "endpoints": [{"publicURL": "http://x/<&>"}]}], "n": 1180591620717411303424, "f": 0.1, "": "empty key", "traceparent": "theirs"}`}
	direct := w.call(t, python, python.topic(), asked).tidy(t)
	through := w.call(t, python, topic, asked).tidy(t)
	if direct.Value == "" || through != direct {
		t.Errorf("through the Go service: %+v\ndirectly:               %+v", through, direct)
	}
	if err := end(); err != nil { // all spans have ended then
		t.Error(err)
	}
	got := map[string]tracetest.SpanStub{}
	for _, s := range spans.GetSpans() {
		got[s.SpanKind.String()] = s
		if id := s.SpanContext.TraceID().String(); id != "c7a8a4a293c14d2c9b0c0123456789ab" {
			t.Errorf("%s %s is in trace %s", s.SpanKind, s.Name, id)
		}
	}
	if len(got) != 2 || got["server"].Parent.IsValid() || got["client"].Parent.SpanID() != got["server"].SpanContext.SpanID() {
		t.Errorf("spans %+v", got)
	}
}
