package main

import (
	"compress/gzip"
	"encoding/hex"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"

	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	trace "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"

	"github.com/goslo/goslo/internal/brokertest"
)

// A spanCollector is an OpenTelemetry collector: it takes OTLP over HTTP, and keeps the spans.
type spanCollector struct {
	*httptest.Server

	mu    sync.Mutex
	spans []collected
}

// A collected span knows who sent it.
type collected struct {
	*trace.Span
	service string
}

func newSpanCollector(t *testing.T) *spanCollector {
	t.Helper()
	c := &spanCollector{}
	c.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := c.take(r); err != nil {
			t.Errorf("%s %s: %v", r.Method, r.URL, err)
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		w.Header().Set("Content-Type", "application/x-protobuf")
	}))
	t.Cleanup(c.Close)
	return c
}

func (c *spanCollector) take(r *http.Request) error {
	body := io.Reader(r.Body)
	if r.Header.Get("Content-Encoding") == "gzip" {
		z, err := gzip.NewReader(r.Body)
		if err != nil {
			return err
		}
		body = z
	}
	text, err := io.ReadAll(body)
	if err != nil {
		return err
	}
	var request collector.ExportTraceServiceRequest
	if err := proto.Unmarshal(text, &request); err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, of := range request.GetResourceSpans() {
		service := ""
		for _, a := range of.GetResource().GetAttributes() {
			if a.GetKey() == "service.name" {
				service = a.GetValue().GetStringValue()
			}
		}
		for _, scope := range of.GetScopeSpans() {
			for _, s := range scope.GetSpans() {
				c.spans = append(c.spans, collected{s, service})
			}
		}
	}
	return nil
}

// tree returns each span of a trace as the way to it from the trace's root, in order.
func (c *spanCollector) tree(t *testing.T, id []byte, name func(collected) string) []string {
	t.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	byID := map[string]collected{}
	for _, s := range c.spans {
		if string(s.GetTraceId()) == string(id) {
			byID[string(s.GetSpanId())] = s
		}
	}
	var ways []string
	for _, s := range byID {
		way := name(s)
		for parent := s.GetParentSpanId(); len(parent) > 0; {
			p, ok := byID[string(parent)]
			if !ok {
				t.Errorf("%s of %s has a parent that nobody sent", s.GetName(), s.service)
				break
			}
			if p.GetStartTimeUnixNano() > s.GetStartTimeUnixNano() {
				t.Errorf("%s begins before %s, its parent", s.GetName(), p.GetName())
			}
			way = name(p) + " > " + way
			parent = p.GetParentSpanId()
		}
		ways = append(ways, way)
	}
	slices.Sort(ways)
	return ways
}

// A live migration is one tree, from the REST request to the compute hosts, through casts and calls, with the time that each request waited; its trace is
// the request's id.
func TestDemoIsOneTrace(t *testing.T) {
	t.Parallel()
	rabbit := brokertest.Rabbit(t)
	for bus, args := range map[string][]string{
		"embedded": nil,
		"memory":   {"--url", "memory://"},
		"rabbit":   {"--url", rabbit.URLVhost(rabbit.NewVhost(t))},
	} {
		t.Run(bus, func(t *testing.T) {
			t.Parallel()
			c := newSpanCollector(t)
			got := newShell(t).with("OTEL_EXPORTER_OTLP_ENDPOINT="+c.URL).run(t, append([]string{"demo", "--once"}, args...)...).want(t, 0)
			if got.err != "" {
				t.Errorf("standard error:\n%s", got.err)
			}
			var root collected
			c.mu.Lock()
			for _, s := range c.spans {
				if s.GetName() == "POST /v1/servers/{id}/action" {
					root = s
				}
			}
			c.mu.Unlock()
			if root.Span == nil || len(root.GetParentSpanId()) > 0 {
				t.Fatalf("there is no root of the REST request among %d spans", len(c.spans))
			}
			for _, a := range root.GetAttributes() {
				id := hex.EncodeToString(root.GetTraceId())
				if a.GetKey() == "openstack.request_id" && strings.ReplaceAll(strings.TrimPrefix(a.GetValue().GetStringValue(), "req-"), "-", "") != id {
					t.Errorf("request %s is trace %s", a.GetValue().GetStringValue(), id)
				}
			}
			ways := c.tree(t, root.GetTraceId(), func(s collected) string {
				what := s.GetName()
				if at := strings.Index(what, "goslo-demo-"); at >= 0 { // topics are of that run alone
					what = what[:at] + what[at+len("goslo-demo-123456-"):]
				}
				kind := strings.ToLower(strings.TrimPrefix(s.GetKind().String(), "SPAN_KIND_"))
				return strings.TrimPrefix(s.service, "goslo-demo-") + ": " + kind + " " + what
			})
			have := map[string]bool{}
			for _, w := range ways {
				have[w] = true
			}
			const (
				front   = "api: server POST /v1/servers/{id}/action"
				asked   = front + " > api: producer conductor/live_migrate_instance"
				planned = asked + " > conductor: consumer conductor/live_migrate_instance"
				chosen  = planned + " > conductor: client scheduler/select_destinations"
				sent    = planned + " > conductor: producer compute/live_migration"
				moving  = sent + " > cmp-1: consumer compute/live_migration"
				ready   = moving + " > cmp-1: client compute/pre_live_migration"
				arrived = moving + " > cmp-1: client compute/post_live_migration_at_destination"
				noted   = moving + " > cmp-1: client conductor/update_instance"
			)
			for _, want := range []string{
				front, asked, asked + " > conductor: internal queue conductor/live_migrate_instance", planned,
				chosen, chosen + " > scheduler: internal queue scheduler/select_destinations", chosen + " > scheduler: server scheduler/select_destinations",
				sent, sent + " > cmp-1: internal queue compute/live_migration", moving,
				ready, ready + " > cmp-2: internal queue compute/pre_live_migration", ready + " > cmp-2: server compute/pre_live_migration",
				arrived, arrived + " > cmp-2: server compute/post_live_migration_at_destination",
				noted, noted + " > conductor: internal queue conductor/update_instance", noted + " > conductor: server conductor/update_instance",
			} {
				if !have[want] {
					t.Errorf("the tree lacks\n  %s", want)
				}
			}
			if t.Failed() {
				t.Logf("the tree:\n  %s", strings.Join(ways, "\n  "))
			}
		})
	}
}
