package interop_test

import (
	"context"
	"encoding/json"
	"strconv"
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/goslo/goslo/internal/brokertest"
	"github.com/goslo/goslo/rpc"
	"github.com/goslo/goslo/wire"
)

// answer answers calls that arrive at a raw queue with null, and hands on what arrived.
func (p *rawPeer) answer(t *testing.T, from <-chan amqp.Delivery) amqp.Delivery {
	t.Helper()
	d := next(t, from)
	_, message := open(t, d.Body)
	if to, ok := message["_reply_q"].(string); ok {
		p.publish(t, "", to, enveloped(`{"result": null, "failure": null, "ending": true, "_msg_id": "`+
			message["_msg_id"].(string)+`", "_unique_id": "`+wire.NewID()+`"}`))
	}
	return d
}

// TestRequestsOnTheWire compares what the two clients put into the broker for the same call or cast.
//
// conforms: ENV-01, ENV-06, ENV-07, ENV-08, ENV-15, CTX-01, RMQ-PUB-01, RMQ-PUB-02, RMQ-PUB-03, TGT-09
func TestRequestsOnTheWire(t *testing.T) {
	t.Parallel()
	w := inTown(t)
	for i, c := range []struct {
		name   string
		kind   string
		fanout bool
		request
		// What must be in the message, besides being the same.
		members string
	}{
		{name: "call", kind: "call", request: request{method: "m", args: `{"a": 1}`, timeout: seconds(40)}, members: `_msg_id _reply_q _timeout _unique_id args method`},
		{name: "call without arguments", kind: "call", request: request{method: "m", timeout: seconds(40)}, members: `_msg_id _reply_q _timeout _unique_id args method`},
		{name: "monitored call", kind: "call", request: request{method: "m", monitor: seconds(7), timeout: seconds(40)}, members: `_msg_id _reply_q _timeout _unique_id args method`},
		{name: "call to one server", kind: "call", request: request{method: "m", server: "one", timeout: seconds(40)}, members: `_msg_id _reply_q _timeout _unique_id args method`},
		{name: "namespace and version", kind: "call", request: request{method: "m", namespace: "n", version: "2.1", timeout: seconds(40)}, members: `_msg_id _reply_q _timeout _unique_id args method namespace version`},
		{name: "context", kind: "call", request: request{method: "m", timeout: seconds(40), context: `{"user": "ann", "": 1, "roles": ["a", {"b": null}]}`}, members: `_context_ _context_roles _context_user _msg_id _reply_q _timeout _unique_id args method`},
		{name: "cast", kind: "cast", request: request{method: "m", args: `{"a": "Ä\n"}`}, members: `_unique_id args method`},
		{name: "cast with all", kind: "cast", request: request{method: "m", namespace: "n", version: "1.0", server: "one", context: `{"user": "ann"}`}, members: `_context_user _unique_id args method namespace version`},
		{name: "fanout", kind: "cast", fanout: true, request: request{method: "m"}, members: `_unique_id args method`},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			p := w.raw(t)
			topic := "wire_requests_" + strconv.Itoa(i)
			queue := p.queue(t, "raw_requests_"+strconv.Itoa(i), topic)
			var got [2]seen
			for i, client := range peers {
				done := make(chan struct{})
				go func() {
					defer close(done)
					w.send(t, client, topic, c.kind, c.fanout, c.request)
				}()
				got[i] = look(t, p.answer(t, queue), c.timeout)
				<-done
			}
			if diff := gocmp.Diff(got[0], got[1]); diff != "" {
				t.Errorf("(-%s +%s)\n%s", peers[0], peers[1], diff)
			}
			if got[1].DeliveryMode != amqp.Persistent || got[1].ContentType != "application/json" || got[1].ContentEncoding != "utf-8" {
				t.Errorf("the properties are %+v", got[1])
			}
			var want map[string]any
			for _, m := range strings.Fields(c.members) {
				if _, ok := got[1].Message[m]; !ok {
					t.Errorf("the message has no %s: %v", m, got[1].Message)
				}
				want = got[1].Message
			}
			if n := len(strings.Fields(c.members)); len(want) != n {
				t.Errorf("the message has %d members, want %d: %v", len(want), n, want)
			}
			for _, id := range []string{"_msg_id", "_unique_id"} {
				if v, ok := want[id]; ok && v != "<32 hex digits>" {
					t.Errorf("%s is %v, want 32 hex digits", id, v)
				}
			}
		})
	}
}

// send makes a call or cast whose outcome does not matter.
func (w *town) send(t *testing.T, by peer, topic, kind string, fanout bool, r request) {
	if by == python {
		order := w.order(topic, r)
		if fanout {
			order["fanout"] = true
		}
		var o outcome
		w.client.Do(t, kind, order, &o)
		if o.Error != "" {
			t.Errorf("%s: %s", kind, o.Error)
		}
		return
	}
	if kind == "call" {
		if o := w.goCall(t, topic, r); o.Error != "" {
			t.Errorf("%s: %s", kind, o.Error)
		}
		return
	}
	client := w.caller
	if r.server != "" {
		client = client.To(r.server)
	}
	if fanout {
		client = client.Fanout()
	}
	ctx := t.Context()
	if r.context != "" {
		c, err := rpc.NewRequestContext(json.RawMessage(r.context))
		if err != nil {
			t.Error(err)
		}
		ctx = rpc.WithContext(ctx, c)
	}
	m := rpc.NewCast[json.RawMessage](rpc.Target{Topic: topic, Namespace: r.namespace, Version: r.version}, r.method)
	if err := m.Cast(ctx, client, json.RawMessage(r.args)); err != nil {
		t.Error(err)
	}
}

// TestRepliesOnTheWire compares what the two servers answer to the same body.
//
// conforms: ENV-01, ENV-08, ENV-09, ENV-23, EXC-01, RMQ-REPLY-01, RMQ-PUB-01, RMQ-PUB-02, RMQ-PUB-03, ODD-17
func TestRepliesOnTheWire(t *testing.T) {
	t.Parallel()
	w := inTown(t)
	for _, c := range []struct {
		name    string
		message string // with the members of a call added in front
		bare    bool   // without the envelope
		timeout string // _timeout; default null
		replies int    // default 1
		class   string // of the failure that must come, the last reply's
	}{
		{name: "result", message: `"method": "echo", "args": {"arg": {"a": [1, "ä"]}}`},
		{name: "null", message: `"method": "nothing", "args": {}`},
		// conforms: ENV-02
		{name: "request without an envelope", bare: true, message: `"method": "echo", "args": {"arg": 1}`},
		// conforms: ENV-16
		{name: "unknown members", message: `"method": "echo", "args": {"arg": 1}, "colour": "red", "_x": null`},
		// conforms: CTX-03, CTX-04, CTX-05
		{name: "context", message: `"method": "context", "args": {}, "_context_": 1, "_context_a": null, "_context__context_b": [2], "_context_client_timeout": 5`},
		// conforms: DISP-16
		{name: "no args", message: `"method": "nothing"`},
		{name: "null args", message: `"method": "nothing", "args": null`, class: "AttributeError"},
		{name: "no method", message: `"args": {}`, class: "TypeError"},
		// conforms: DISP-05
		{name: "version null", message: `"method": "nothing", "args": {}, "version": null`, class: "UnsupportedVersion"},
		{name: "namespace null", message: `"method": "nothing", "args": {}, "namespace": null`},
		// conforms: VER-06
		{name: "version that is none", message: `"method": "nothing", "args": {}, "version": "a.b"`, class: "ValueError"},
		{name: "version with further parts", message: `"method": "nothing", "args": {}, "version": "1.4.0.x"`},
		{name: "failure", message: `"method": "fail", "args": {"kind": "allowed"}`, class: "OutOfStock"},
		{name: "failure with keyword arguments", message: `"method": "fail", "args": {"kind": "kwargs"}`, class: "NoSpace"},
		{name: "failure with several arguments", message: `"method": "fail", "args": {"kind": "several"}`, class: "ValueError"},
		// conforms: EXC-15
		{name: "unknown method", message: `"method": "nosuch", "args": {}`, class: "NoSuchMethod"},
		{name: "private method", message: `"method": "_secret", "args": {}`, class: "NoSuchMethod"},
		// conforms: ENV-10, DISP-21
		{name: "heartbeats", message: `"method": "slow", "args": {"seconds": 1.4}`, timeout: "2", replies: 2},
		{name: "heartbeats of a fraction", message: `"method": "slow", "args": {"seconds": 1.4}`, timeout: "2.9", replies: 2},
		// conforms: DISP-22, RPC-CLIENT-23
		{name: "too short a period for heartbeats", message: `"method": "slow", "args": {"seconds": 1.4}`, timeout: "1"},
		{name: "a period that is no number", message: `"method": "slow", "args": {"seconds": 1.4}`, timeout: `"soon"`},
		{name: "no period", message: `"method": "slow", "args": {"seconds": 1.4}`, timeout: "0"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			p := w.raw(t)
			var got [2][]seen
			for i, server := range peers {
				reply := "raw_reply_" + wire.NewID()
				replies := p.queue(t, reply, "")
				timeout := c.timeout
				if timeout == "" {
					timeout = "null"
				}
				id := wire.NewID()
				body := `{"_msg_id": "` + id + `", "_reply_q": "` + reply + `", "_timeout": ` + timeout + `, "_unique_id": "` + wire.NewID() + `", ` + c.message + `}`
				if !c.bare {
					body = enveloped(body)
				}
				p.publish(t, "openstack", server.topic(), body)
				for ended := false; !ended; {
					d := next(t, replies)
					_, m := open(t, d.Body)
					if m["_msg_id"] != id {
						t.Errorf("%s: the reply's id is %v, want the request's", server, m["_msg_id"])
					}
					ended, _ = m["ending"].(bool)
					s := look(t, d, 0)
					if s.Key != reply {
						t.Errorf("%s: the reply went to %q, want the request's reply queue", server, s.Key)
					}
					s.Key = ""
					checkFailure(t, server, s.Message, c.class, ended)
					got[i] = append(got[i], s)
				}
			}
			if diff := gocmp.Diff(got[0], got[1]); diff != "" {
				t.Errorf("(-%s +%s)\n%s", peers[0], peers[1], diff)
			}
			if n := max(c.replies, 1); len(got[1]) != n {
				t.Errorf("%d replies, want %d", len(got[1]), n)
			}
			for _, s := range got[1] {
				if s.DeliveryMode != amqp.Persistent || s.Exchange != "" || s.Expiration != "" {
					t.Errorf("the reply's properties are %+v", s)
				}
				if len(s.Message) != 5 {
					t.Errorf("the reply has the members %v", s.Message)
				}
			}
		})
	}
}

// checkFailure checks the failure of a reply, and leaves of it what must be the same from either server:
// the texts of errors that the languages themselves make need not.
func checkFailure(t *testing.T, server peer, reply map[string]any, class string, ending bool) {
	t.Helper()
	if !ending || class == "" {
		if reply["failure"] != nil {
			t.Errorf("%s: failure %v", server, reply["failure"])
		}
		return
	}
	text, ok := reply["failure"].(string)
	if !ok {
		t.Errorf("%s: failure is %v, want a string", server, reply["failure"])
		return
	}
	var f map[string]any
	if err := json.Unmarshal([]byte(text), &f); err != nil {
		t.Errorf("%s: failure %q: %v", server, text, err)
		return
	}
	if f["class"] != class {
		t.Errorf("%s: failure of class %v, want %s: %s", server, f["class"], class, text)
	}
	trace, ok := f["tb"].([]any)
	if !ok || len(trace) == 0 || !strings.HasSuffix(trace[len(trace)-1].(string), "\n") {
		t.Errorf("%s: traceback %v, want texts that end in newlines", server, f["tb"])
	}
	delete(f, "tb")
	switch class {
	case "AttributeError", "TypeError":
		delete(f, "message")
		delete(f, "args")
	case "ValueError":
		if len(f["args"].([]any)) == 1 {
			delete(f, "message")
			delete(f, "args")
		}
	}
	reply["failure"] = f
}

// conforms: ENV-03, ENV-04, ENV-05, RMQ-CONS-03, RMQ-PUB-12
func TestUndecodableRequestsAreRejectedForGood(t *testing.T) {
	t.Parallel()
	w := inTown(t)
	p := w.raw(t)
	if err := p.ch.ExchangeDeclare("graveyard", "fanout", false, true, false, false, nil); err != nil {
		t.Fatal(err)
	}
	if _, err := p.ch.QueueDeclare("graveyard", false, true, false, false, nil); err != nil {
		t.Fatal(err)
	}
	if err := p.ch.QueueBind("graveyard", "", "graveyard", false, nil); err != nil {
		t.Fatal(err)
	}
	dead, err := p.ch.Consume("graveyard", "", true, false, false, false, nil)
	if err != nil {
		t.Fatal(err)
	}
	w.node.SetPolicy(t, w.vhost, "graveyard", "^strict_", `{"dead-letter-exchange": "graveyard"}`)
	inner := rawRequest("", "note", `{"tag": "undecodable"}`)
	text, err := json.Marshal(inner)
	if err != nil {
		t.Fatal(err)
	}
	bodies := map[string]amqp.Publishing{
		"no JSON":                {Body: []byte(`{"method": `)},
		"an array":               {Body: []byte(`[1]`)},
		"a string":               {Body: []byte(`"x"`)},
		"envelope 1.0":           {Body: []byte(`{"oslo.version": "1.0", "oslo.message": ` + string(text) + `}`)},
		"envelope 2.1":           {Body: []byte(`{"oslo.version": "2.1", "oslo.message": ` + string(text) + `}`)},
		"envelope 3.0":           {Body: []byte(`{"oslo.version": "3.0", "oslo.message": ` + string(text) + `}`)},
		"message as an object":   {Body: []byte(`{"oslo.version": "2.0", "oslo.message": ` + inner + `}`)},
		"message of a number":    {Body: []byte(`{"oslo.version": "2.0", "oslo.message": "7"}`)},
		"message that is broken": {Body: []byte(`{"oslo.version": "2.0", "oslo.message": "{"}`)},
		"another content type":   {Body: []byte(enveloped(inner)), ContentType: "application/x-yaml"},
	}
	for _, server := range peers {
		topic := "strict_" + string(server)
		w.serve(t, server, topic, "one")
		for name, m := range bodies {
			if m.ContentType == "" {
				m.ContentType, m.ContentEncoding = "application/json", "utf-8"
			}
			p.publishAs(t, "openstack", topic, m)
			d := next(t, dead)
			deaths, _ := d.Headers["x-death"].([]any)
			if len(deaths) != 1 {
				t.Errorf("%s server, %s: deaths %v", server, name, deaths)
				continue
			}
			if death := deaths[0].(amqp.Table); death["reason"] != "rejected" || death["count"] != int64(1) || death["queue"] != topic {
				t.Errorf("%s server, %s: %v, want one rejection", server, name, death)
			}
			if string(d.Body) != string(m.Body) {
				t.Errorf("%s server, %s: another body was rejected: %s", server, name, d.Body)
			}
		}
		if n := w.noted(t, topic, "one", "undecodable"); n != 0 {
			t.Errorf("%s server: ran %d of them", server, n)
		}
	}
}

// conforms: DUP-02, DUP-03, DUP-06
func TestADuplicateRunsOnce(t *testing.T) {
	t.Parallel()
	w := inTown(t)
	p := w.raw(t)
	for _, server := range peers {
		key := server.topic() + ".one"
		tag := "twice-" + string(server)
		body := enveloped(rawRequest("", "note", `{"tag": "`+tag+`"}`))
		p.publish(t, "openstack", key, body)
		p.publish(t, "openstack", key, body)
		p.publish(t, "openstack", server.topic()+".two", body) // another listener has a memory of its own
		unnamed := `{"method": "note", "args": {"tag": "unnamed-` + string(server) + `"}}`
		p.publish(t, "openstack", key, enveloped(unnamed))
		p.publish(t, "openstack", key, enveloped(unnamed))
		brokertest.Await(t, "the last of the requests", func() bool {
			return w.noted(t, server.topic(), "one", "unnamed-"+string(server)) == 2
		})
		for name, want := range map[string]int{"one": 1, "two": 1} {
			brokertest.Await(t, "the request at "+name, func() bool { return w.noted(t, server.topic(), name, tag) > 0 })
			if n := w.noted(t, server.topic(), name, tag); n != want {
				t.Errorf("%s server %s: a request and its duplicate ran %d times", server, name, n)
			}
		}
		q, ok := w.node.FindQueue(t, w.vhost, key)
		if !ok || q.Messages != 0 {
			t.Errorf("%s server: %d messages are left, want the duplicate acknowledged", server, q.Messages)
		}
	}
}

// TestRepliesThatClientsTake has a raw server answer both clients in ways that old or strange peers do.
func TestRepliesThatClientsTake(t *testing.T) {
	t.Parallel()
	w := inTown(t)
	const (
		head = `"_msg_id": "ID", "_unique_id": "UNIQUE"`
		done = `{"result": null, "failure": null, "ending": true, ` + head + `}`
	)
	for _, c := range []struct {
		name    string
		bodies  []string // ID and UNIQUE are replaced; without an envelope unless from envelope()
		python  string   // the value, or the class of the error
		golang  string   // likewise; default the same
		timeout time.Duration
		monitor time.Duration
	}{
		// conforms: ENV-13
		{name: "without an envelope", bodies: []string{`{"result": 5, "failure": null, "ending": true, ` + head + `}`}, python: `5`},
		// conforms: ENV-14
		{name: "in two parts", bodies: []string{enveloped(`{"result": 5, "failure": null, "ending": false, ` + head + `}`), enveloped(done)}, python: `5`, monitor: seconds(20)},
		{name: "in two parts with results", bodies: []string{enveloped(`{"result": 5, "failure": null, "ending": false, ` + head + `}`), enveloped(`{"result": 6, "failure": null, "ending": true, ` + head + `}`)}, python: `6`, monitor: seconds(20)},
		// conforms: ENV-11
		{name: "without a result", bodies: []string{enveloped(`{"failure": null, "ending": true, ` + head + `}`)}, python: `null`},
		{name: "without an end", bodies: []string{enveloped(`{"result": 5, "failure": null, ` + head + `}`)}, python: "MessagingTimeout", golang: "*rpc.TimeoutError", timeout: seconds(1)},
		// conforms: ENV-12
		{name: "with an empty failure", bodies: []string{enveloped(`{"result": 5, "failure": "", "ending": true, ` + head + `}`)}, python: `5`},
		// conforms: EXC-02, EXC-14
		{name: "with a failure that is no JSON", bodies: []string{enveloped(`{"result": 5, "failure": "oops", "ending": true, ` + head + `}`)}, python: "JSONDecodeError", golang: "*rpc.DeliveryError"},
		// conforms: EXC-07
		{name: "with a failure of Python 2", bodies: []string{enveloped(`{"result": null, "failure": "{\"class\": \"ValueError\", \"module\": \"exceptions\", \"message\": \"old\", \"tb\": [\"Traceback (most recent call last):\\n\"], \"args\": [\"old\"], \"kwargs\": {}}", "ending": true, ` + head + `}`)}, python: "ValueError", golang: "ValueError"},
		// conforms: EXC-09
		{name: "with a failure that cannot be raised", bodies: []string{enveloped(`{"result": null, "failure": "{\"class\": \"NoSuchClass\", \"module\": \"shop.errors\", \"message\": \"?\", \"tb\": [\"Traceback (most recent call last):\\n\"]}", "ending": true, ` + head + `}`)}, python: "RemoteError", golang: "NoSuchClass"},
		// conforms: DUP-07
		{name: "twice", bodies: []string{enveloped(`{"result": 5, "failure": null, "ending": true, ` + head + `}`), enveloped(`{"result": 5, "failure": null, "ending": true, ` + head + `}`)}, python: `5`},
		// conforms: ENV-03, RMQ-CONS-03
		{name: "after others that cannot be read", bodies: []string{`[]`, `{"oslo.version": "3.0", "oslo.message": "{}"}`, enveloped(`{"result": 5, "failure": null, "ending": true, ` + head + `}`)}, python: `5`},
		{name: "after one to another call", bodies: []string{enveloped(`{"result": 4, "failure": null, "ending": true, "_msg_id": "nosuch", "_unique_id": "UNIQUE"}`), enveloped(`{"result": 5, "failure": null, "ending": true, ` + head + `}`)}, python: `5`},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			p := w.raw(t)
			topic := "wire_replies_" + wire.NewID()
			queue := p.queue(t, topic, topic)
			for _, client := range peers {
				got := make(chan outcome, 1)
				go func() {
					got <- w.call(t, client, topic, request{method: "m", timeout: c.timeout, monitor: c.monitor})
				}()
				_, message := open(t, next(t, queue).Body)
				for _, body := range c.bodies {
					body = strings.ReplaceAll(body, "ID", message["_msg_id"].(string))
					p.publish(t, "", message["_reply_q"].(string), strings.ReplaceAll(body, "UNIQUE", wire.NewID()))
				}
				want := c.python
				if client == golang && c.golang != "" {
					want = c.golang
				}
				o := <-got
				var have string
				switch {
				case o.Error == "":
					have = canonical(t, []byte(o.Value))
				case o.member("class") != "":
					have = strings.Trim(o.member("class"), `"`)
				default:
					have = strings.Trim(o.member("type"), `"`)
				}
				if have != want {
					t.Errorf("%s client: got %s, want %s: %+v", client, have, want, o)
				}
			}
		})
	}
}

// A sign of life that nobody asked for breaks a Python caller; the Go caller ignores it.
//
// conforms: RPC-CLIENT-24, ODD-29
func TestAnUnaskedHeartbeatIsIgnored(t *testing.T) {
	t.Parallel()
	w := inTown(t)
	p := w.raw(t)
	const topic = "wire_unasked"
	queue := p.queue(t, topic, topic)
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	got := make(chan error, 1)
	go func() {
		v, err := rpc.NewCall[none, int](rpc.Target{Topic: topic}, "m").Call(ctx, w.caller, none{})
		if err == nil && v != 5 {
			t.Errorf("got %d, want 5", v)
		}
		got <- err
	}()
	_, message := open(t, next(t, queue).Body)
	for _, result := range []string{`"result": null, "failure": null, "ending": false`, `"result": 5, "failure": null, "ending": true`} {
		p.publish(t, "", message["_reply_q"].(string), enveloped(`{`+result+`, "_msg_id": "`+message["_msg_id"].(string)+`", "_unique_id": "`+wire.NewID()+`"}`))
	}
	if err := <-got; err != nil {
		t.Error(err)
	}
}
