package transporttest

import (
	"bytes"
	"encoding/json"
	"errors"
	"maps"
	"strings"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/goslo/goslo/transport"
)

func content() []Case {
	return []Case{
		{Name: "RequestSurvives", Why: "every field of a request arrives as it was sent, and an absent one as its default", run: requestSurvives},
		{Name: "ReplySurvives", Why: "every field of a reply, a heartbeat and a failure arrives as it was sent", run: replySurvives},
		{Name: "JSONSurvives", Why: "raw JSON arrives as it was sent, but for blanks between values and the spelling of characters in text: unicode, null, integers beyond 2^53, nested objects, Python's NaN", run: jsonSurvives},
		{Name: "HeadersSurvive", Why: "a request's headers arrive as they were sent, by call, cast and fanout, and each receiver's are its own; what CheckHeaders refuses is ErrRejected", run: headersSurvive},
		{Name: "LargeBody", Why: "a message of 4 MiB, or as large as the bus allows, arrives; a larger one is ErrRejected", run: largeBody},
		{Name: "SendKeepsNothing", Why: "the transport does not keep a message after Send returned: its fields may be set anew", run: sendKeepsNothing},
		{Name: "DeliveryIsTheReceivers", Why: "a delivery's message belongs to its receiver: what one does to its fields, another does not see", needs: Multicast, skippable: true, run: deliveryIsTheReceivers},
	}
}

// normal replaces what "absent" may look like on arrival by one form of it.
func normal(m transport.Message) transport.Message {
	switch {
	case m.Method != "":
		if m.Version == "" {
			m.Version = "1.0"
		}
		if m.Args == nil {
			m.Args = json.RawMessage("{}")
		}
		if m.Context == nil {
			m.Context = json.RawMessage("{}")
		}
	case m.Event != nil:
		e := *m.Event
		if e.Payload == nil {
			e.Payload = json.RawMessage("null")
		}
		if m.Context == nil {
			m.Context = json.RawMessage("{}")
		}
		m.Event = &e
	case m.Result == nil:
		m.Result = json.RawMessage("null")
	}
	return m
}

func (f *fixture) sameMessage(what string, got *transport.Message, want transport.Message) {
	f.Helper()
	g := *got
	// A bus may count the expiry down.
	if g.Expires > 0 && g.Expires <= want.Expires {
		g.Expires = want.Expires
	}
	if diff := cmp.Diff(normal(want), normal(g), cmp.Transformer("canonical", canonical)); diff != "" {
		f.Errorf("%s (-sent +arrived):\n%s", what, diff)
	}
}

func requestSurvives(f *fixture) {
	client := f.open()
	l, answers := f.server("one"), f.replies(client)
	full := transport.Message{
		Method: "do_it", Namespace: "control", Version: "2.7",
		Args: json.RawMessage(`{"a":1,"b":[true,null,"x"]}`), Context: json.RawMessage(`{"user":"u","roles":["r"]}`),
		ReplyTo: answers.Addr(), Monitor: 30 * time.Second, Expires: time.Minute, ID: newID(), UniqueID: newID(),
	}
	for what, m := range map[string]transport.Message{
		"a full call":  full,
		"a bare call":  *call("x", answers.Addr()),
		"a bare cast":  *cast("x"),
		"empty object": {Method: "x", Args: json.RawMessage(`{}`), Context: json.RawMessage(`{}`), UniqueID: newID()},
		"a full cast":  {Method: full.Method, Namespace: full.Namespace, Version: full.Version, Args: full.Args, Context: full.Context, UniqueID: newID()},
	} {
		for _, to := range []transport.Address{f.to(""), f.to("one"), f.fanout()} {
			if to.Kind == transport.Fanout && m.ReplyTo != "" {
				continue
			}
			f.send(client, to, &m)
			f.sameMessage(what+" to "+to.String(), f.take(l).Message, m)
		}
	}
}

func headersSurvive(f *fixture) {
	client := f.open()
	one, two := f.server("one"), f.server("two")
	headers := map[string]string{
		"traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
		"tracestate":  "vendor=1,other=a b", "a.b_c-9": "", "long": strings.Repeat("~", transport.MaxHeaders-200),
	}
	for what, m := range f.requests(client) {
		for _, sent := range []map[string]string{headers, nil} {
			request := m("x")
			request.Headers = maps.Clone(sent)
			f.send(client, f.to("one"), request)
			if sent != nil {
				request.Headers["traceparent"] = "changed by the sender"
			}
			if got := f.take(one).Message.Headers; !maps.Equal(got, sent) {
				f.Errorf("headers of a %s (-sent +arrived):\n%s", what, cmp.Diff(sent, got))
			}
		}
		for name, value := range map[string]string{
			"": "x", "Upper": "x", "x-death": "x", "compression": "x", "a b": "x", "a": "line\nbreak", "b": " blank", "c": "é", "d": strings.Repeat("x", transport.MaxHeaders),
		} {
			request := m("refused")
			request.Headers = map[string]string{name: value}
			if err := client.Send(f.patient(), f.to("one"), request); !errors.Is(err, transport.ErrRejected) {
				f.Errorf("send of a %s with header %q: %v, want ErrRejected", what, name, err)
			}
		}
	}
	if f.lacks(Multicast) {
		return
	}
	shared := cast("shared")
	shared.Headers = maps.Clone(headers)
	f.send(client, f.fanout(), shared)
	clear(f.take(one).Message.Headers)
	if got := f.take(two).Message.Headers; !maps.Equal(got, headers) {
		f.Errorf("headers of a fanout, after another receiver changed its own (-sent +arrived):\n%s", cmp.Diff(headers, got))
	}
}

func replySurvives(f *fixture) {
	answers, server := f.replies(f.open()), f.open()
	failure := json.RawMessage(`{"class":"InstanceNotFound","module":"nova.exception","message":"no","tb":["a\n","b"],"args":[1],"kwargs":{"k":null}}`)
	for what, m := range map[string]transport.Message{
		"a result":     {Result: json.RawMessage(`{"a":[1,2]}`), Ending: true},
		"a bare value": {Result: json.RawMessage(`"text"`), Ending: true},
		"no result":    {Ending: true},
		"a failure":    {Failure: failure, Ending: true},
		"a heartbeat":  {},
	} {
		m.ID, m.UniqueID = newID(), newID()
		f.send(server, replyTo(answers.Addr()), &m)
		f.sameMessage(what, f.take(answers).Message, m)
	}
}

func jsonSurvives(f *fixture) {
	client, server := f.open(), f.open()
	l, answers := f.server("one"), f.replies(client)
	for what, text := range map[string]string{
		"unicode":                `"ü 日本語 😀 \u00fc \ud83d\ude00 \u2028"`,
		"half a surrogate pair":  `"\ud83d"`,
		"escapes":                `"\"\\\/\b\f\n\r\t\u0000<>&'"`,
		"JSON in text":           `"{\"a\":\"\\\"\"}"`,
		"null":                   `null`,
		"integers beyond 2^53":   `[9007199254740993,-9007199254740993,18446744073709551615,123456789012345678901234567890]`,
		"other numbers":          `[0,-0,1.0,1e3,0.1,-1.5E-7]`,
		"not a number":           `[NaN,Infinity,-Infinity]`,
		"nested":                 `{"a":{"b":{"c":[[[{"d":{}}]]]}},"":[]}`,
		"words that oslo uses":   `{"method":"x","args":{"oslo.version":"2.0"},"_context_a":1,"failure":null,"ending":false}`,
		"nothing between braces": `{}`,
	} {
		value := json.RawMessage(text)
		object := json.RawMessage(`{"v":` + text + `}`)
		request := transport.Message{Method: "x", Args: object, Context: object, UniqueID: newID()}
		f.send(client, f.to("one"), &request)
		f.sameMessage(what+" in a request", f.take(l).Message, request)

		result := transport.Message{ID: newID(), UniqueID: newID(), Ending: true, Result: value}
		f.send(server, replyTo(answers.Addr()), &result)
		f.sameMessage(what+" in a result", f.take(answers).Message, result)

		failure := transport.Message{ID: newID(), UniqueID: newID(), Ending: true, Failure: json.RawMessage(`{"class":"E","module":"m","message":"","tb":[],"args":[` + text + `],"kwargs":{"v":` + text + `}}`)}
		f.send(server, replyTo(answers.Addr()), &failure)
		f.sameMessage(what+" in a failure", f.take(answers).Message, failure)
	}
}

func largeBody(f *fixture) {
	size := 4 << 20
	if limit := f.config.MaxBody; limit > 0 && limit < size {
		size = limit
	}
	// The envelope, and the escaping of quotes in it, need some room.
	body := func(n int) json.RawMessage {
		return json.RawMessage(`{"data":"` + strings.Repeat("0123456789abcdef", (n-1024)/16) + `"}`)
	}
	client := f.open()
	l, answers := f.server("one"), f.replies(client)
	m := cast("large")
	m.Args = body(size)
	f.send(client, f.to(""), m)
	if d := f.expect(l, "large"); !bytes.Equal(d.Message.Args, m.Args) {
		f.Errorf("a request of %d bytes arrived with %d, or with others", len(m.Args), len(d.Message.Args))
	}
	r := reply(newID(), string(m.Args))
	f.send(client, replyTo(answers.Addr()), r)
	if d := f.take(answers); !bytes.Equal(d.Message.Result, r.Result) {
		f.Errorf("a reply of %d bytes arrived with %d, or with others", len(r.Result), len(d.Message.Result))
	}
	if f.config.MaxBody == 0 {
		return
	}
	m.Args = body(f.config.MaxBody + 4096)
	if err := client.Send(f.patient(), f.to(""), m); !errors.Is(err, transport.ErrRejected) {
		f.Errorf("send of more than %d bytes: %v, want ErrRejected", f.config.MaxBody, err)
	}
	f.send(client, f.to(""), cast("after"))
	f.expect(l, "after")
}

func sendKeepsNothing(f *fixture) {
	l, client := f.server("one"), f.open()
	m := cast("")
	var want []transport.Message
	for _, method := range methods("m", 10) {
		m.Method, m.Args, m.UniqueID = method, json.RawMessage(`{"m":"`+method+`"}`), newID()
		want = append(want, *m)
		f.send(client, f.to("one"), m)
	}
	*m = transport.Message{}
	for _, w := range want {
		f.sameMessage("a message of which the sender reused the struct", f.take(l).Message, w)
	}
}

func deliveryIsTheReceivers(f *fixture) {
	client := f.open()
	one, two := f.listen(client, f.to("one"), 0), f.listen(client, f.to("two"), 0)
	m := cast("shared")
	sent := *m
	if err := client.Send(f.patient(), f.fanout(), m); err != nil { // m itself, which f.send does not send
		f.Fatalf("send %s to %s: %v", text(m), f.fanout(), err)
	}
	a := f.take(one)
	*a.Message = transport.Message{Method: "spoilt"}
	f.sameMessage("what the second server got", f.take(two).Message, sent)
	f.sameMessage("what the sender has", m, sent)
}
