package observe_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"go.opentelemetry.io/otel/codes"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"

	"github.com/goslo/goslo"
	"github.com/goslo/goslo/internal/brokertest"
	"github.com/goslo/goslo/notify"
	"github.com/goslo/goslo/observe"
)

// Notifications carry the trace over real buses: one that is handled alone continues it, a batch is linked to all that are in it.
func TestNotificationsCarryTheTrace(t *testing.T) {
	t.Parallel()
	for name, url := range map[string]func(t *testing.T) string{
		"rabbit": func(t *testing.T) string {
			t.Helper()
			node := brokertest.Rabbit(t)
			return node.URLVhost(node.NewVhost(t))
		},
		"nats": func(t *testing.T) string {
			t.Helper()
			return brokertest.NewNATS(t, brokertest.NATSOptions{}).URL()
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			traceNotifications(t, url(t))
		})
	}
}

func traceNotifications(t *testing.T, url string) {
	t.Helper()
	exporter := tracetest.NewInMemoryExporter()
	provider := sdk.NewTracerProvider(sdk.WithSyncer(exporter))
	o, err := observe.New(observe.Config{Traces: provider})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	bus, err := goslo.Open(ctx, url)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := bus.Close(context.Background()); err != nil {
			t.Error(err)
		}
	}()
	created := notify.NewEvent[string]("instance.create.end")
	notifier := notify.NewNotifier(o.Notifier(notify.NotifierConfig{Drivers: []notify.Driver{notify.NewMessaging(bus, notify.MessagingConfig{})}}))
	tell := func(n int) trace.TraceID {
		t.Helper()
		ctx, s := provider.Tracer("main").Start(ctx, "main")
		defer s.End()
		for range n {
			if err := created.Emit(ctx, notifier, notify.Info, "one"); err != nil {
				t.Fatal(err)
			}
		}
		return s.SpanContext().TraceID()
	}
	var inside trace.TraceID
	hear := func(c notify.ListenerConfig, h func(stop func()) notify.Handler) {
		t.Helper()
		ctx, stop := context.WithCancel(ctx)
		defer stop()
		if err := notify.NewListener(bus, o.Listener(c), h(stop).On(notify.Info)).Run(ctx); err != nil {
			t.Error(err)
		}
	}
	spans := func(kind trace.SpanKind) (all []tracetest.SpanStub) {
		for _, s := range exporter.GetSpans() {
			if s.SpanKind == kind && s.Name == "instance.create.end" {
				all = append(all, s)
			}
		}
		return all
	}

	of := tell(1)
	hear(notify.ListenerConfig{MaxAttempts: 1}, func(stop func()) notify.Handler {
		return created.Handle(func(ctx context.Context, _ notify.Notification[string]) error {
			defer stop()
			inside = trace.SpanContextFromContext(ctx).TraceID()
			return errors.New("out of paper")
		})
	})
	sent, heard := spans(trace.SpanKindProducer), spans(trace.SpanKindConsumer)
	if len(sent) != 1 || len(heard) != 1 {
		t.Fatalf("%d spans sent and %d heard, want one each", len(sent), len(heard))
	}
	if got := heard[0]; got.Parent.SpanID() != sent[0].SpanContext.SpanID() || inside != of || got.Status.Code != codes.Error {
		t.Errorf("heard in %v of trace %s with %v, want the child of %v in %s, failed", got.Parent, inside, got.Status, sent[0].SpanContext, of)
	}

	tell(3)
	hear(notify.ListenerConfig{Batch: notify.Batch{Size: 3}}, func(stop func()) notify.Handler {
		return created.HandleBatch(func(context.Context, []notify.Notification[string]) error {
			stop()
			return nil
		})
	})
	if heard = spans(trace.SpanKindConsumer); len(heard) != 2 || len(heard[1].Links) != 3 || heard[1].Parent.IsValid() {
		t.Errorf("heard in %d spans, the last with %d links, want a second with 3 and no parent", len(heard), len(heard[len(heard)-1].Links))
	}
}
