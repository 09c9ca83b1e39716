package observe

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"go.opentelemetry.io/otel/trace"

	"github.com/goslo/goslo/rpc"
	"github.com/goslo/goslo/transport"
)

// Config says what is made of calls. The zero value is nothing.
type Config struct {
	// Traces makes the spans, such as that of package otlp. Default: no traces.
	Traces trace.TracerProvider
	// Metrics takes the metrics; a registry takes those of one Observer. Default: no metrics.
	Metrics prometheus.Registerer
	// System is the attribute messaging.system of spans; see [System]. Default: the attribute is left out.
	System string
}

// An Observer watches clients, servers and transports. It is safe for concurrent use. A nil one watches nothing, for free.
type Observer struct {
	tracing *tracing // nil = off
	metrics *metrics // nil = off
}

// New returns an Observer. The error is the registry's, which has metrics of the same names already.
func New(c Config) (*Observer, error) {
	o := &Observer{}
	if c.Traces != nil {
		o.tracing = newTracing(c.Traces, c.System)
	}
	if c.Metrics != nil {
		var err error
		if o.metrics, err = newMetrics(c.Metrics); err != nil {
			return nil, fmt.Errorf("observe: register metrics: %w", err)
		}
	}
	return o, nil
}

// NewRegistry returns a registry with the metrics of the Go runtime and of the process.
func NewRegistry() *prometheus.Registry {
	r := prometheus.NewRegistry()
	r.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}), collectors.NewBuildInfoCollector())
	return r
}

// System is OpenTelemetry's name of the messaging system behind a transport URL's scheme.
func System(scheme string) string {
	switch scheme {
	case "rabbit", "kombu":
		return "rabbitmq"
	case "nats", "nats+tls", "embedded":
		return "nats"
	}
	return scheme
}

func (o *Observer) off() bool { return o == nil || o.tracing == nil && o.metrics == nil }

// Client returns the configuration of a client that is observed. The interceptor is the innermost: what others do before a request leaves does not count.
func (o *Observer) Client(c rpc.ClientConfig) rpc.ClientConfig {
	if o.off() {
		return c
	}
	c.Interceptors = append(slices.Clip(c.Interceptors), o.client)
	if m := o.metrics; m != nil {
		then := c.Late
		c.Late = func(l rpc.LateReply) {
			m.late(l)
			if then != nil {
				then(l)
			}
		}
	}
	return c
}

// Server returns the configuration of a server that is observed. The interceptor is the outermost: the others run in its span.
func (o *Observer) Server(c rpc.ServerConfig) rpc.ServerConfig {
	if o.off() {
		return c
	}
	c.Interceptors = append([]rpc.Interceptor{o.server}, c.Interceptors...)
	return c
}

// Transport makes metrics of a bus's statistics. They have the label bus with that name, "" for the only one; a bus that counts nothing
// (transport.Meter) has none. The error is of a name that is taken.
func (o *Observer) Transport(name string, bus transport.Transport) error {
	if o.off() || o.metrics == nil {
		return nil
	}
	meter, ok := bus.(transport.Meter)
	if !ok {
		return nil
	}
	if err := o.metrics.registry.Register(newStatistics(name, meter)); err != nil {
		return fmt.Errorf("observe: register metrics of bus %q: %w", name, err)
	}
	return nil
}

// client sends a request.
func (o *Observer) client(next rpc.Func) rpc.Func {
	return func(ctx context.Context, r *rpc.Request) (json.RawMessage, error) {
		sent := time.Now()
		own := r.Headers
		r.Headers = withSent(own, sent)
		ctx, span := o.tracing.send(ctx, r, sent)
		fit(r.Headers, own)
		series := o.metrics.sends(r)
		series.begin()
		result, err := next(ctx, r)
		f := clientFailure(err)
		series.end(time.Since(sent), f)
		o.metrics.timedOut(series, f)
		span.end(err, f)
		return result, err
	}
}

// server runs a request.
func (o *Observer) server(next rpc.Func) rpc.Func {
	return func(ctx context.Context, r *rpc.Request) (result json.RawMessage, err error) {
		wait, known := waited(r)
		ctx, span := o.tracing.serve(ctx, r, wait, known)
		series := o.metrics.serves(r)
		series.begin()
		returned := false
		defer func() { // also of a panic, or a runtime.Goexit, which rpc makes failures of
			f := failure{outcome: outcomeFailed, class: "RuntimeError"}
			if returned {
				f = serverFailure(err)
			}
			series.end(time.Since(r.Received), f)
			span.end(err, f)
		}()
		o.metrics.arrived(series, r, wait, known)
		result, err = next(ctx, r)
		returned = true
		return result, err
	}
}
