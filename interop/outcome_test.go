package interop_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/goslo/goslo/rpc"
)

// A request is one call as both clients can make it. JSON texts are written as Python writes them.
type request struct {
	namespace string
	version   string
	server    string
	pin       string // version cap
	method    string
	args      string        // default {}
	context   string        // default {}
	timeout   time.Duration // default 60 s
	monitor   time.Duration
	allowed   []string // modules of whose classes a Python client raises failures; default shop.errors
}

// An outcome is what a client sees: a value as JSON with sorted keys, or an error described as a JSON object.
type outcome struct {
	Value string
	Error string
}

// member is one member of the error's description, as JSON.
func (o outcome) member(name string) string {
	var all map[string]json.RawMessage
	if json.Unmarshal([]byte(o.Error), &all) != nil {
		return ""
	}
	return string(all[name])
}

// call makes the request with one language's client to the topic of a server.
func (w *town) call(t *testing.T, by peer, topic string, r request) outcome {
	t.Helper()
	if by == python {
		var o outcome
		w.client.Do(t, "call", w.order(topic, r), &o)
		return o
	}
	return w.goCall(t, topic, r)
}

// order is the request as python/client.py takes it.
func (w *town) order(topic string, r request) map[string]any {
	order := map[string]any{"url": w.url, "topic": topic, "method": r.method}
	set := func(name, value string) {
		if value != "" {
			order[name] = value
		}
	}
	set("namespace", r.namespace)
	set("version", r.version)
	set("server", r.server)
	set("cap", r.pin)
	set("args", r.args)
	set("context", r.context)
	if r.monitor != 0 {
		order["monitor"] = r.monitor.Seconds()
	}
	if r.timeout != 0 {
		order["prepare"] = map[string]any{"timeout": r.timeout.Seconds()}
	}
	if r.allowed != nil {
		order["allowed"] = r.allowed
	}
	return order
}

func (w *town) goCall(t *testing.T, topic string, r request) outcome {
	t.Helper()
	client := w.caller
	if r.server != "" {
		client = client.To(r.server)
	}
	if r.pin != "" {
		client = client.Pin(r.pin)
	}
	if r.monitor != 0 {
		client = client.Monitored(r.monitor)
	}
	timeout := limit
	if r.timeout != 0 {
		timeout = r.timeout
	}
	ctx, cancel := context.WithTimeout(t.Context(), timeout)
	defer cancel()
	if r.context != "" {
		c, err := rpc.NewRequestContext(json.RawMessage(r.context))
		if err != nil {
			t.Fatal(err)
		}
		ctx = rpc.WithContext(ctx, c)
	}
	m := rpc.NewCall[json.RawMessage, json.RawMessage](rpc.Target{Topic: topic, Namespace: r.namespace, Version: r.version}, r.method)
	value, err := m.Call(ctx, client, json.RawMessage(r.args))
	if err != nil {
		return outcome{Error: describe(t, err)}
	}
	return outcome{Value: canonical(t, value)}
}

// describe is what a Go program can see of an error, without what differs from run to run or names the peer.
func describe(t *testing.T, err error) string {
	t.Helper()
	d := map[string]any{"type": fmt.Sprintf("%T", err)}
	var (
		remote  *rpc.RemoteError
		timeout *rpc.TimeoutError
	)
	switch {
	case errors.As(err, &remote):
		text, _, _ := strings.Cut(remote.Message, "\nTraceback")
		last := strings.TrimSpace(strings.Join(remote.Traceback, ""))
		if len(remote.Traceback) == 0 {
			t.Errorf("failure without a traceback: %v", remote)
		}
		d["class"] = remote.Class.Name
		d["module"] = remote.Class.Module
		d["text"] = text
		d["args"] = append(raw(), remote.Args...)
		d["kwargs"] = json.RawMessage("{}")
		if len(remote.Kwargs) > 0 {
			d["kwargs"] = remote.Kwargs
		}
		d["traced"] = strings.Contains(last, "Traceback (most recent call last):")
		d["last"] = last[strings.LastIndexByte(last, '\n')+1:]
	case errors.As(err, &timeout):
		d["phase"] = timeout.Phase
		d["monitor"] = timeout.Monitor.String()
	default:
		d["text"] = err.Error()
	}
	text, err := json.Marshal(d)
	if err != nil {
		t.Fatal(err)
	}
	return canonical(t, text)
}

// notJSON finds the numbers that Python writes and encoding/json does not read.
var notJSON = regexp.MustCompile(`\bNaN\b|-?\bInfinity\b`)

// canonical is a JSON text with sorted keys and without blanks, big numbers untouched, NaN and infinities marked.
func canonical(t *testing.T, text []byte) string {
	t.Helper()
	if !json.Valid(text) {
		text = notJSON.ReplaceAll(text, []byte(`"<$0>"`))
	}
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		t.Fatalf("%q: %v", text, err)
	}
	var out bytes.Buffer
	e := json.NewEncoder(&out)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(out.String())
}

// tidy makes outcomes of both languages comparable as texts.
func (o outcome) tidy(t *testing.T) outcome {
	t.Helper()
	if o.Value != "" {
		o.Value = canonical(t, []byte(o.Value))
	}
	if o.Error != "" {
		o.Error = canonical(t, []byte(o.Error))
	}
	return o
}
