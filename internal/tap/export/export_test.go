package export_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	"google.golang.org/protobuf/proto"

	"github.com/goslo/goslo/internal/operator"
	"github.com/goslo/goslo/internal/tap"
	"github.com/goslo/goslo/internal/tap/export"
	"github.com/goslo/goslo/wire"
)

func TestEndpoint(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"localhost": "http://localhost:4318/v1/traces", "localhost:4318": "http://localhost:4318/v1/traces", "http://h:1/": "http://h:1/v1/traces",
		"https://h/otlp/v1/traces": "https://h/otlp/v1/traces", "localhost:4317": "", "grpc://h": "", "http://": "", "http://a b": "", "http://u:p@h": "",
	} {
		if got, err := export.Endpoint(text); got != want || (err == nil) != (want != "") {
			t.Errorf("%s: %q, %v, want %q", text, got, err, want)
		}
	}
}

// What a collector gets: a span of each sender, one of each wait, one of each process that had the request, nested.
func TestTrees(t *testing.T) {
	t.Parallel()
	bodies := make(chan []byte, 1)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		bodies <- b
		w.Header().Set("Content-Type", "application/x-protobuf")
	}))
	defer server.Close()
	endpoint, err := export.Endpoint(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	start := time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	at := func(ms int) time.Time { return start.Add(time.Duration(ms) * time.Millisecond) }
	span := func(kind tap.Kind, topic, method string, sent int) tap.Request {
		return tap.Request{Time: at(sent), Kind: kind, Target: tap.Target{Topic: topic}, Method: tap.Method{Name: method}}
	}
	tree := &tap.Node{
		Span: &tap.Span{
			Request: span(tap.Call, "conductor", "build", 0), Caller: "api", Queues: []string{"conductor"}, Taken: []tap.Taken{{Time: at(5), By: "cond"}},
			Reply: &tap.Reply{Time: at(90), Failure: &wire.Failure{Class: "NoValidHost", Module: "nova.exception"}}, Received: at(95),
		},
		Children: []*tap.Node{{Span: &tap.Span{
			Request: span(tap.Cast, "compute", "boot", 20), Caller: "cond", Queues: []string{"compute"}, Taken: []tap.Taken{{Time: at(30), By: "comp"}},
		}}},
	}
	who := func(connection string) operator.Owner {
		return operator.Owner{Program: "nova-" + connection, PID: 7, Host: "h", Connection: connection}
	}
	n, trace, err := export.Trees(t.Context(), endpoint, "req-11111111-2222-3333-4444-555555555555", []*tap.Node{tree}, who, at(1000))
	if err != nil || n != 6 || trace != "11111111222233334444555555555555" {
		t.Fatalf("%d spans of %s, %v", n, trace, err)
	}
	var got collector.ExportTraceServiceRequest
	if err := proto.Unmarshal(<-bodies, &got); err != nil {
		t.Fatal(err)
	}
	type shown struct {
		Service, Name, Parent, Status string
		From, To                      int
	}
	names := map[string]string{}
	var all []shown
	walk := func(f func(service string, s []byte, name string, parent []byte, status string, from, to uint64)) {
		for _, r := range got.ResourceSpans {
			service := ""
			for _, a := range r.Resource.Attributes {
				if a.Key == "service.name" {
					service = a.Value.GetStringValue()
				}
			}
			for _, scope := range r.ScopeSpans {
				for _, s := range scope.Spans {
					f(service, s.SpanId, s.Name+" "+strings.ToLower(strings.TrimPrefix(s.Kind.String(), "SPAN_KIND_")), s.ParentSpanId, s.Status.GetMessage(), s.StartTimeUnixNano, s.EndTimeUnixNano)
				}
			}
		}
	}
	walk(func(service string, id []byte, name string, _ []byte, _ string, _, _ uint64) {
		names[string(id)] = service + " " + name
	})
	walk(func(service string, _ []byte, name string, parent []byte, status string, from, to uint64) {
		ms := func(ns uint64) int { return int(time.Unix(0, int64(ns)).Sub(start).Milliseconds()) }
		all = append(all, shown{service, name, names[string(parent)], status, ms(from), ms(to)})
	})
	const failed = "nova.exception.NoValidHost"
	want := map[shown]bool{
		{"nova-api", "conductor/build client", "", failed, 0, 95}:                                    true,
		{"nova-cond", "queue conductor/build internal", "nova-api conductor/build client", "", 0, 5}: true,
		{"nova-cond", "conductor/build server", "nova-api conductor/build client", failed, 5, 90}:    true,
		{"nova-cond", "compute/boot producer", "nova-cond conductor/build server", "", 20, 30}:       true,
		{"nova-comp", "queue compute/boot internal", "nova-cond compute/boot producer", "", 20, 30}:  true,
		{"nova-comp", "compute/boot consumer", "nova-cond compute/boot producer", "", 30, 30}:        true,
	}
	found := map[shown]bool{}
	for _, s := range all {
		found[s] = true
	}
	if diff := cmp.Diff(want, found); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	server.Close()
	if _, _, err := export.Trees(t.Context(), endpoint, "other", []*tap.Node{tree}, who, at(1000)); err == nil {
		t.Error("no error of a collector that is gone")
	}
}
