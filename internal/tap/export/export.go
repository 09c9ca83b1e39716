// Package export sends what a tap saw of a request to a collector of OpenTelemetry, as if the services had told of it themselves.
//
// It owns how spans of package tap become those of OpenTelemetry, by the names of package observe. It starts no goroutine.
package export

import (
	"cmp"
	"context"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/sdk/resource"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"

	"github.com/goslo/goslo/internal/operator"
	"github.com/goslo/goslo/internal/tap"
	"github.com/goslo/goslo/observe"
	"github.com/goslo/goslo/observe/otlp"
)

// scope is the name of the instrumentation.
const scope = "github.com/goslo/goslo/internal/tap"

// Attributes that OpenTelemetry has no name for; those that package observe has too are called the same.
const (
	keyRequestID = attribute.Key("openstack.request_id")
	keyNamespace = attribute.Key("goslo.namespace")
	keyVersion   = attribute.Key("goslo.version")
	keyServer    = attribute.Key("goslo.server")
	keyMode      = attribute.Key("goslo.mode")
	keyUntold    = attribute.Key("goslo.end_not_seen")
)

// Endpoint completes what people give as a collector's address: http://, port 4318 and /v1/traces may be missing.
func Endpoint(text string) (string, error) {
	if !strings.Contains(text, "://") {
		text = "http://" + text
	}
	u, err := url.Parse(text)
	if err != nil {
		return "", fmt.Errorf("export: the collector's address: %w", err)
	}
	if u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" {
		return "", fmt.Errorf("export: %s is no collector's address, such as http://localhost:4318", u.Redacted())
	}
	if u.User != nil {
		return "", fmt.Errorf("export: %s has a password, which does not belong there: set OTEL_EXPORTER_OTLP_HEADERS for the collector's headers", u.Redacted())
	}
	if u.Port() == "4317" {
		return "", fmt.Errorf("export: %s is the port for gRPC; OTLP over HTTP has 4318", u.Redacted())
	}
	if u.Port() == "" && u.Scheme == "http" {
		u.Host += ":4318"
	}
	if strings.Trim(u.Path, "/") == "" {
		u.Path = "/v1/traces"
	}
	return u.String(), nil
}

// Trees sends spans to a collector, at an address of [Endpoint]'s, and says how many they were, and of which trace: that of the request id, where it has the
// form of one. who tells the process behind a connection. now ends what is not over.
func Trees(ctx context.Context, endpoint, requestID string, trees []*tap.Node, who func(connection string) operator.Owner, now time.Time) (spans int, traceID string, err error) {
	sender, err := otlptracehttp.New(ctx, otlptracehttp.WithEndpointURL(endpoint))
	if err != nil {
		return 0, "", fmt.Errorf("export: %w", err)
	}
	defer func() { _ = sender.Shutdown(context.WithoutCancel(ctx)) }() // all was sent, or the error is told
	x := exporter{who: who, now: now, ids: ids{}, services: map[string]trace.Tracer{}}
	if id, ok := observe.TraceID(requestID); ok {
		x.ids.trace = id
	} else {
		x.ids.trace, _ = otlp.IDs{}.NewIDs(ctx)
	}
	for _, n := range trees {
		x.node(ctx, n)
	}
	if err := sender.ExportSpans(ctx, x.made.spans); err != nil {
		return 0, "", fmt.Errorf("export: send %d spans to the collector: %w", len(x.made.spans), err)
	}
	return len(x.made.spans), x.ids.trace.String(), nil
}

// ids has all spans in one trace.
type ids struct {
	otlp.IDs
	trace trace.TraceID
}

// NewIDs is part of sdktrace.IDGenerator.
func (i ids) NewIDs(ctx context.Context) (trace.TraceID, trace.SpanID) {
	return i.trace, i.NewSpanID(ctx, i.trace)
}

// made keeps spans as they end.
type made struct{ spans []sdk.ReadOnlySpan }

// ExportSpans is part of sdktrace.SpanExporter.
func (m *made) ExportSpans(_ context.Context, spans []sdk.ReadOnlySpan) error {
	m.spans = append(m.spans, spans...)
	return nil
}

// Shutdown is part of sdktrace.SpanExporter.
func (m *made) Shutdown(context.Context) error { return nil }

type exporter struct {
	who      func(string) operator.Owner
	now      time.Time
	ids      ids
	made     made
	services map[string]trace.Tracer
}

// of is the tracer of a process.
func (x *exporter) of(connection string) trace.Tracer {
	o := x.who(connection)
	at := o.String()
	if t := x.services[at]; t != nil {
		return t
	}
	attributes := []attribute.KeyValue{semconv.ServiceName(cmp.Or(o.Program, "unknown_service")), semconv.HostName(o.Host)}
	if o.PID > 0 {
		attributes = append(attributes, semconv.ProcessPID(o.PID), semconv.ServiceInstanceID(o.Host+":"+strconv.Itoa(o.PID)))
	}
	p := sdk.NewTracerProvider(sdk.WithSyncer(&x.made), sdk.WithIDGenerator(x.ids), sdk.WithSampler(sdk.AlwaysSample()),
		sdk.WithResource(resource.NewWithAttributes(semconv.SchemaURL, attributes...)))
	t := p.Tracer(scope, trace.WithSchemaURL(semconv.SchemaURL))
	x.services[at] = t
	return t
}

// node makes the span of the sender, and within it those of each process that had the request, with theirs.
func (x *exporter) node(ctx context.Context, n *tap.Node) {
	sent, handled := trace.SpanKindProducer, trace.SpanKindConsumer
	if n.Kind == tap.Call {
		sent, handled = trace.SpanKindClient, trace.SpanKindServer
	}
	name := n.Target.Topic + "/" + n.Method.Name
	ctx, s := x.of(n.Caller).Start(ctx, name, trace.WithSpanKind(sent), trace.WithTimestamp(n.Time), trace.WithAttributes(x.attributes(n, semconv.MessagingOperationTypeSend)...))
	fail := func(s trace.Span) {}
	switch {
	case n.Reply != nil && n.Reply.Failure != nil:
		f := n.Reply.Failure
		class := strings.TrimPrefix(f.Module+"."+f.Class, ".")
		fail = func(s trace.Span) {
			s.SetAttributes(semconv.ErrorTypeKey.String(class))
			s.SetStatus(codes.Error, class)
		}
	case len(n.Queues) == 0 && len(n.Taken) == 0:
		fail = func(s trace.Span) { s.SetStatus(codes.Error, "no queue was there for it") }
	case n.Reply != nil && n.Reply.Lost:
		fail = func(s trace.Span) { s.SetStatus(codes.Error, "the caller's queue for replies was gone") }
	}
	fail(s)
	for i, t := range n.Taken {
		inner := ctx
		_, queued := x.of(t.By).Start(ctx, "queue "+name, trace.WithTimestamp(n.Time), trace.WithAttributes(x.attributes(n, semconv.MessagingOperationTypeReceive)...))
		queued.End(trace.WithTimestamp(t.Time))
		inner, h := x.of(t.By).Start(inner, name, trace.WithSpanKind(handled), trace.WithTimestamp(t.Time), trace.WithAttributes(x.attributes(n, semconv.MessagingOperationTypeProcess)...))
		end := t.Time
		switch {
		case n.Reply != nil:
			end = n.Reply.Time
			fail(h)
		case n.Kind == tap.Call:
			end = x.now
			h.SetAttributes(keyUntold.Bool(true))
		default:
			h.SetAttributes(keyUntold.Bool(true))
		}
		for _, c := range n.Children {
			if c.Kind != tap.Call {
				continue
			}
			if over := c.Time.Add(c.Took(x.now)); n.Kind != tap.Call && over.After(end) {
				end = over
			}
		}
		if i == len(n.Taken)-1 {
			for _, c := range n.Children {
				x.node(inner, c)
			}
		}
		h.End(trace.WithTimestamp(end))
	}
	s.End(trace.WithTimestamp(n.Time.Add(n.Took(x.now))))
}

func (x *exporter) attributes(n *tap.Node, operation attribute.KeyValue) []attribute.KeyValue {
	all := []attribute.KeyValue{
		semconv.RPCSystemNameKey.String("oslo.messaging"), semconv.RPCMethod(n.Method.Name), semconv.MessagingSystemRabbitMQ,
		semconv.MessagingDestinationName(n.Target.Topic), semconv.MessagingOperationName(string(n.Kind)), operation, keyMode.String(string(n.Kind)),
	}
	for _, a := range []struct {
		key   attribute.Key
		value string
	}{
		{keyRequestID, n.Origin.RequestID},
		{keyNamespace, n.Method.Namespace},
		{keyVersion, n.Method.Version},
		{keyServer, n.Target.Server},
		{semconv.MessagingMessageIDKey, n.IDs.Message},
	} {
		if a.value != "" {
			all = append(all, a.key.String(a.value))
		}
	}
	return all
}
