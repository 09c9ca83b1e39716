package wire_test

import (
	"encoding/json"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/goslo/goslo/transport"
	"github.com/goslo/goslo/wire"
)

const (
	requestContext = `{"user":"7d1bb4a4c4a54e0d8f4d8a3f3a8c1f10","project_id":"0c2a9ad5f7bc4f3a8a2d6b3d9c3c8a55","system_scope":null,` +
		`"domain":null,"user_domain":"default","is_admin":true,"read_only":false,"auth_token":"gAAAAABl-not-a-token",` +
		`"request_id":"req-3f1d7a0e-4a5e-4d0e-9c39-2f3c2a3b1d77","resource_uuid":null,"roles":["member","reader"],` +
		`"timestamp":"2026-05-01T10:11:12.131415","service_catalog":[{"type":"volumev3","endpoints":[{"region":"r1"}]}],` +
		`"quota":12345678901234567890123}`
	oddContext = `{"":"empty key","café 😀":"unicode key","with \"quotes\" and \\":null,` +
		`"nested":{"a":[{"b":null},[]],"_context_c":{}},"nan":NaN,"_context_again":1}`
	numbers   = `[9223372036854775808,-1208925819614629174706176,1e+22,1e-07,-0.0,0.1]`
	nonFinite = `[NaN,Infinity,{"low":-Infinity}]`
	dates     = `["2020-01-02T03:04:05.000000","2020-01-02T03:04:05.000006"]`
	values    = `["00000000-0000-0000-0000-000000000001",[1,2],["only"],"café","192.0.2.1","ValueError('as a value')"]`
	text      = `"café 😀 \"quoted\" back\\slash / tab\t newline\n del` + "\x7f" + `"`
	unicode   = `{"text":` + text + `,"café":"\u2028 \ufeff \uffff",` +
		`"control":"\u0000\u0001\u0002\u0003\u0004\u0005\u0006\u0007\b\t\n\u000b\f\r\u000e\u000f\u0010\u0011\u0012\u0013\u0014\u0015\u0016\u0017\u0018\u0019\u001a\u001b\u001c\u001d\u001e\u001f",` +
		`"lone":"high \ud83d low \ude00 swapped \ude00\ud83d"}`
)

// A goldenRequest is what a golden request says, ids apart.
type goldenRequest struct {
	file string
	call bool
	want transport.Message
	// hidden members of the context travel, but do not reach a receiver.
	hidden string
}

func goldenRequests() []goldenRequest {
	request := func(file, args, context string) goldenRequest {
		m := transport.Message{Method: "restock", Version: "1.0", Args: json.RawMessage(args)}
		if context != "" {
			m.Context = json.RawMessage(context)
		}
		return goldenRequest{file: file, call: strings.HasPrefix(file, "call-"), want: m}
	}
	targeted := func(r goldenRequest) goldenRequest {
		r.want.Namespace, r.want.Version = "stock", "2.1"
		return r
	}
	monitored := func(r goldenRequest, d time.Duration) goldenRequest {
		r.want.Monitor = d
		return r
	}
	odd := request("call-odd-context", `{}`, oddContext)
	odd.hidden = `"msg_id":"hidden","reply_q":"hidden","client_timeout":"hidden"`
	return []goldenRequest{
		// conforms: ENV-06
		request("cast-plain", `{}`, ""),
		targeted(request("cast-version", `{"sku":7}`, `{"user":"ann"}`)),
		request("cast-fanout", `{"sku":7}`, `{"user":"ann"}`),
		request("cast-null-values", `{"sku":null}`, `{"user":null}`),
		// conforms: ENV-17
		request("cast-unicode", unicode, ""),
		// conforms: ENV-18
		request("cast-numbers", `{"numbers":`+numbers+`,"non_finite":`+nonFinite+`}`, ""),
		// conforms: ENV-19, ENV-21
		request("cast-values", `{"dates":`+dates+`,"values":`+values+`,"keys":{"1":"true","null":"null","2.5":"float"}}`, ""),
		request("call-plain", `{}`, ""),
		// conforms: CTX-01
		targeted(request("call-context", `{"sku":7}`, requestContext)),
		// conforms: CTX-03, CTX-05
		odd,
		// conforms: ENV-07
		monitored(request("call-monitor", `{}`, ""), 10*time.Second),
		monitored(request("call-monitor-fraction", `{}`, ""), 2500*time.Millisecond),
	}
}

// A goldenReply is what a golden reply says, ids apart. Failures stand in goldenFailures.
type goldenReply struct {
	file, result string
	beat         bool
}

func goldenReplies() []goldenReply {
	return []goldenReply{
		// conforms: ENV-09
		{file: "reply-null"},
		{file: "reply-zero", result: `0`},
		{file: "reply-false", result: `false`},
		{file: "reply-empty-list", result: `[]`},
		{file: "reply-empty-object", result: `{}`},
		{file: "reply-empty-string", result: `""`},
		{file: "reply-text", result: text},
		{file: "reply-nested", result: `{"left":3,"rows":[[1,2.5,null],{"deep":{"er":[true]}}]}`},
		{file: "reply-numbers", result: numbers},
		{file: "reply-non-finite", result: nonFinite},
		{file: "reply-dates", result: dates},
		{file: "reply-values", result: values},
		// conforms: ENV-10
		{file: "heartbeat", beat: true},
	}
}

var (
	id32  = regexp.MustCompile(`^[0-9a-f]{32}$`)
	reply = regexp.MustCompile(`^reply_[0-9a-f]{32}$`)
)

func TestGoldenRequests(t *testing.T) {
	t.Parallel()
	for _, g := range goldenRequests() {
		t.Run(g.file, func(t *testing.T) {
			t.Parallel()
			body := golden(t, g.file)
			m, err := wire.Parse(body)
			if err != nil {
				t.Fatal(err)
			}
			// conforms: ENV-08
			if !id32.MatchString(m.UniqueID) {
				t.Errorf("unique id %q is not 32 hexadecimal digits", m.UniqueID)
			}
			// conforms: ENV-07
			if g.call != id32.MatchString(m.ID) || g.call != reply.MatchString(m.ReplyTo) {
				t.Errorf("ids of a call: %q, %q, want them: %t", m.ID, m.ReplyTo, g.call)
			}
			want := g.want
			want.ID, want.ReplyTo, want.UniqueID = m.ID, m.ReplyTo, m.UniqueID
			if diff := cmp.Diff(&want, m, sameJSON(t)); diff != "" {
				t.Errorf("-want +parsed:\n%s", diff)
			}
			sameText(t, body, sent(g, m))
		})
	}
}

// sent is the message that a Go program would send to get g's body.
func sent(g goldenRequest, ids *transport.Message) *transport.Message {
	m := g.want
	m.ID, m.ReplyTo, m.UniqueID = ids.ID, ids.ReplyTo, ids.UniqueID
	if m.Version == "1.0" {
		m.Version = ""
	}
	if g.hidden != "" {
		m.Context = append(slices.Clone(m.Context[:len(m.Context)-1]), ","+g.hidden+"}"...)
	}
	return &m
}

// sameText checks that m is written as Python wrote it, separators apart: the same keys in the same order,
// the same escapes.
//
// conforms: ENV-01, ENV-06, ENV-07, ENV-08, ENV-09, ENV-17, ENV-23, CTX-01
func sameText(t *testing.T, python []byte, m *transport.Message) {
	t.Helper()
	body, err := wire.AppendEnvelope(nil, m)
	if err != nil {
		t.Fatal(err)
	}
	want, got := short(inner(t, python)), inner(t, body)
	if m.Failure != nil {
		// A failure is text inside the text, where the separators differ too.
		want, got = shortFailure(t, want), shortFailure(t, got)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-Python's text +ours:\n%s", diff)
	}
	bare, err := wire.AppendMessage(nil, m)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(inner(t, body), string(bare)); diff != "" {
		t.Errorf("-in the envelope +without:\n%s", diff)
	}
}

func shortFailure(t *testing.T, text string) string {
	t.Helper()
	var r struct{ Failure string }
	if err := json.Unmarshal([]byte(text), &r); err != nil {
		t.Fatal(err)
	}
	before, _, ok := strings.Cut(text, `"failure":`)
	_, after, ok2 := strings.Cut(text, `,"ending":`)
	if !ok || !ok2 {
		t.Fatalf("no failure and ending in their places: %s", text)
	}
	return before + "\n" + short(r.Failure) + "\n" + after
}

func TestGoldenReplies(t *testing.T) {
	t.Parallel()
	for _, g := range goldenReplies() {
		t.Run(g.file, func(t *testing.T) {
			t.Parallel()
			body := golden(t, g.file)
			m, err := wire.Parse(body)
			if err != nil {
				t.Fatal(err)
			}
			want := transport.Message{Ending: !g.beat, ID: m.ID, UniqueID: m.UniqueID}
			if g.result != "" {
				want.Result = json.RawMessage(g.result)
			}
			if diff := cmp.Diff(&want, m, sameJSON(t)); diff != "" {
				t.Errorf("-want +parsed:\n%s", diff)
			}
			if !id32.MatchString(m.ID) || !id32.MatchString(m.UniqueID) {
				t.Errorf("ids %q and %q are not 32 hexadecimal digits", m.ID, m.UniqueID)
			}
			sameText(t, body, &want)
		})
	}
}

// conforms: ENV-20
func TestGoldenTimes(t *testing.T) {
	t.Parallel()
	m, err := wire.Parse(golden(t, "reply-dates"))
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	if err := wire.Unmarshal(m.Result, &got); err != nil {
		t.Fatal(err)
	}
	sent := time.Date(2020, 1, 2, 3, 4, 5, 0, time.UTC)
	var want []string
	for i, at := range []time.Time{sent, sent.Add(6 * time.Microsecond)} {
		want = append(want, at.Format(wire.TimeLayout))
		if read, err := time.Parse(wire.TimeLayout, got[i]); err != nil || !read.Equal(at) {
			t.Errorf("%q reads %v, %v, want %v", got[i], read, err, at)
		}
	}
	if diff := cmp.Diff(got, want); diff != "" {
		t.Errorf("-Python's +ours:\n%s", diff)
	}
}

// Every golden file has its expectation.
func TestGoldenFilesAreAllUsed(t *testing.T) {
	t.Parallel()
	var used []string
	for _, g := range goldenRequests() {
		used = append(used, g.file)
	}
	for _, g := range goldenReplies() {
		used = append(used, g.file)
	}
	for file := range goldenFailures() {
		used = append(used, file)
	}
	slices.Sort(used)
	if diff := cmp.Diff(goldens(t), used); diff != "" {
		t.Errorf("-files +expectations:\n%s", diff)
	}
}
