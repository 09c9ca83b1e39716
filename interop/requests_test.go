package interop_test

import (
	"cmp"
	"slices"
	"strconv"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
)

// A failure is the exception that a server raises, and Python's clients show as the class that they may raise.
type failure struct {
	module, class string
	args          string // JSON array
	kwargs        string // JSON object; default {}
	last          string // the last line of the traceback
	rebuilt       string // JSON array; the arguments after Python called the class with args; default args
}

type requestCase struct {
	name string
	request
	value   string // what must come back, or
	failure *failure
}

var cases = []requestCase{
	// conforms: RPC-CLIENT-04, RPC-SERVER-11
	{name: "a value", request: request{method: "echo", args: `{"arg": "hello"}`}, value: `"hello"`},
	{name: "several arguments", request: request{method: "add", args: `{"left": 2, "right": 0.5}`}, value: `2.5`},
	{name: "no result", request: request{method: "nothing"}, value: `null`},
	// conforms: TGT-10, RPC-SERVER-24
	{name: "to one server", request: request{method: "whoami", server: "two"}, value: `"two"`},
	// conforms: DISP-25
	{name: "ping", request: request{method: "oslo_rpc_server_ping"}, value: `"pong"`},

	// conforms: RPC-CLIENT-37
	{name: "null", request: request{method: "echo", args: `{"arg": null}`}, value: `null`},
	{name: "zero", request: request{method: "echo", args: `{"arg": 0}`}, value: `0`},
	{name: "false", request: request{method: "echo", args: `{"arg": false}`}, value: `false`},
	{name: "empty string", request: request{method: "echo", args: `{"arg": ""}`}, value: `""`},
	{name: "empty list", request: request{method: "echo", args: `{"arg": []}`}, value: `[]`},
	{name: "empty map", request: request{method: "echo", args: `{"arg": {}}`}, value: `{}`},

	// conforms: ENV-17, ENV-23
	{name: "unicode", request: request{method: "echo", args: `{"arg": "Grüße, 櫛 \ud83d\udce6 \u0000 \u2028 \"\\\/ \u001f"}`}, value: `"Grüße, 櫛 \ud83d\udce6 \u0000 \u2028 \"\\/ \u001f"`},
	{name: "half a surrogate pair", request: request{method: "echo", args: `{"arg": {"in": "a\\ud83d"}}`}, value: `{"in": "a\\ud83d"}`},
	{name: "nested", request: request{method: "echo", args: `{"arg": {"a": [{"b": [[], {}, [null, true]]}], "": {"": ""}}}`}, value: `{"": {"": ""}, "a": [{"b": [[], {}, [null, true]]}]}`},
	// conforms: ENV-18
	{name: "big integer", request: request{method: "echo", args: `{"arg": 1180591620717411303424}`}, value: `1180591620717411303424`},
	{name: "big negative integer", request: request{method: "echo", args: `{"arg": [-1180591620717411303424, 9007199254740993]}`}, value: `[-1180591620717411303424, 9007199254740993]`},
	{name: "floats", request: request{method: "echo", args: `{"arg": [1.5, -0.25, 1e+300, 5e-324]}`}, value: `[1.5, -0.25, 1e+300, 5e-324]`},
	{name: "not a number", request: request{method: "mirror", args: `{"arg": NaN}`}, value: `{"arg": NaN}`},
	{name: "infinity", request: request{method: "mirror", args: `{"arg": [-Infinity, Infinity]}`}, value: `{"arg": [-Infinity, Infinity]}`},

	// conforms: DISP-02, DISP-05, VER-02, VER-04
	{name: "no version", request: request{method: "whoami", server: "one"}, value: `"one"`},
	{name: "older minor version", request: request{method: "whoami", server: "one", version: "1.2"}, value: `"one"`},
	{name: "same version", request: request{method: "whoami", server: "one", version: "1.5"}, value: `"one"`},
	{name: "revision of an older minor version", request: request{method: "whoami", server: "one", version: "1.4.9"}, value: `"one"`},
	// conforms: DISP-06, RPC-CLIENT-31, EXC-15, ERR-04
	{name: "newer minor version", request: request{method: "whoami", version: "1.6"}, failure: unsupported("1.6", "whoami")},
	{name: "newer revision", request: request{method: "whoami", version: "1.5.1"}, failure: unsupported("1.5.1", "whoami")},
	{name: "other major version", request: request{method: "whoami", version: "2.0"}, failure: unsupported("2.0", "whoami")},

	// conforms: DISP-04, DISP-01, TGT-02
	{name: "namespace", request: request{method: "which", namespace: "control", version: "2.0"}, value: `"control 2.0"`},
	{name: "legacy namespace", request: request{method: "which", namespace: "inventory", version: "3.1"}, value: `"stock 3.1"`},
	{name: "own namespace of an endpoint with legacy ones", request: request{method: "which", namespace: "stock", version: "3.0"}, value: `"stock 3.1"`},
	{name: "none as a legacy namespace", request: request{method: "which", version: "3.0"}, value: `"stock 3.1"`},
	{name: "the first endpoint that fits", request: request{method: "which", namespace: "twice", version: "1.0"}, value: `"first"`},
	{name: "the first endpoint that has the method", request: request{method: "only", namespace: "twice", version: "1.0"}, value: `"second only"`},
	{name: "the first endpoint of the version", request: request{method: "which", namespace: "twice", version: "1.1"}, value: `"second"`},
	// conforms: DISP-06
	{name: "unknown namespace", request: request{method: "whoami", namespace: "nosuch"}, failure: unsupported("1.0", "whoami")},
	{name: "method of another namespace", request: request{method: "whoami", namespace: "control", version: "2.0"}, failure: noMethod("whoami")},
	// conforms: DISP-07, DISP-08, DISP-09
	{name: "unknown method", request: request{method: "nosuch"}, failure: noMethod("nosuch")},
	{name: "private method", request: request{method: "_secret"}, failure: noMethod("_secret")},
	{name: "unknown method, caller allows the dispatcher's errors", request: request{method: "nosuch", allowed: []string{"oslo_messaging.rpc.dispatcher"}}, failure: noMethod("nosuch")},
	{name: "other version, caller allows the dispatcher's errors", request: request{method: "whoami", version: "7.0", allowed: []string{"oslo_messaging.rpc.dispatcher"}}, failure: unsupported("7.0", "whoami")},

	// conforms: RPC-CLIENT-17
	{name: "under the version cap", request: request{method: "whoami", server: "one", version: "1.3", pin: "1.4"}, value: `"one"`},

	// conforms: EXC-01, EXC-04, EXC-05, EXC-08, EXC-11, EXC-12
	{name: "failure of an allowed module", request: fails("allowed"), failure: &failure{module: "shop.errors", class: "OutOfStock", args: `["none left"]`, last: "shop.errors.OutOfStock: none left"}},
	{name: "failure with unicode", request: fails("unicode"), failure: &failure{module: "shop.errors", class: "OutOfStock", args: `["nichts mehr übrig: 櫛 \ud83d\udce6"]`, last: "shop.errors.OutOfStock: nichts mehr übrig: 櫛 \U0001f4e6"}},
	{name: "failure of two lines", request: fails("newlines"), failure: &failure{module: "shop.errors", class: "OutOfStock", args: `["one\ntwo"]`, last: "two"}},
	// conforms: EXC-03
	{name: "failure with keyword arguments", request: fails("kwargs"), failure: &failure{module: "shop.errors", class: "NoSpace", args: `["no space for 7 on b2"]`, kwargs: `{"shelf": "b2", "sku": 7}`, last: "shop.errors.NoSpace: no space for 7 on b2"}},
	// conforms: EXC-09, EXC-10
	{name: "failure of a foreign module", request: fails("foreign"), failure: &failure{module: "shop.internal", class: "LedgerBroken", args: `["page missing"]`, last: "shop.internal.LedgerBroken: page missing"}},
	{name: "failure of a caller that allows nothing", request: request{method: "fail", args: `{"kind": "allowed"}`, allowed: []string{}}, failure: &failure{module: "shop.errors", class: "OutOfStock", args: `["none left"]`, last: "shop.errors.OutOfStock: none left"}},
	// conforms: EXC-08, EXC-13
	{name: "builtin failure with several arguments", request: fails("several"), failure: &failure{module: "builtins", class: "ValueError", args: `["bad quantity", 7]`, last: "ValueError: ('bad quantity', 7)"}},
	{name: "builtin failure without arguments", request: fails("no_args"), failure: &failure{module: "builtins", class: "ValueError", args: `[]`, last: "ValueError"}},
	{name: "builtin failure whose text is not its argument", request: fails("lookup"), failure: &failure{module: "builtins", class: "KeyError", args: `["sku"]`, last: "KeyError: 'sku'"}},
	// conforms: DISP-19, EXC-17
	{name: "expected failure", request: request{method: "expected"}, failure: &failure{module: "shop.errors", class: "OutOfStock", args: `["as usual"]`, last: "shop.errors.OutOfStock: as usual"}},

	// conforms: RPC-CLIENT-22, DISP-21
	{name: "monitored and slow", request: request{method: "slow", args: `{"seconds": 7}`, monitor: seconds(4)}, value: `7`},
}

// contextCases are for RabbitMQ: on AMQP 1.0 Python's servers do not say how the call is monitored.
var contextCases = []requestCase{
	// conforms: CTX-01, CTX-03, CTX-04, CTX-05
	{name: "no context", request: request{method: "context"}, value: `{"client_timeout": null}`},
	{name: "context", request: request{
		method:  "context",
		context: `{"user": "Anné 櫛", "project": null, "roles": ["member", "reader"], "request_id": "req-1", "nested": {"a": [1, {"b": null}]}, "is_admin": false, "": "empty key", "n": 1180591620717411303424}`,
	}, value: `{"": "empty key", "client_timeout": null, "is_admin": false, "n": 1180591620717411303424, "nested": {"a": [1, {"b": null}]}, "project": null, "request_id": "req-1", "roles": ["member", "reader"], "user": "Anné 櫛"}`},
	{name: "context of a monitored call", request: request{method: "context", monitor: seconds(30), context: `{"client_timeout": "mine", "msg_id": "x", "reply_q": "y", "user": "ann"}`}, value: `{"client_timeout": 30, "user": "ann"}`},
}

func fails(kind string) request { return request{method: "fail", args: `{"kind": "` + kind + `"}`} }

func unsupported(version, method string) *failure {
	text := "Endpoint does not support RPC version " + version + ". Attempted method: " + method
	return &failure{
		module: "oslo_messaging.rpc.dispatcher", class: "UnsupportedVersion", args: `["` + text + `"]`,
		rebuilt: `["Endpoint does not support RPC version ` + text + `"]`,
		last:    "oslo_messaging.rpc.dispatcher.UnsupportedVersion: " + text,
	}
}

func noMethod(method string) *failure {
	text := "Endpoint does not support RPC method " + method
	return &failure{
		module: "oslo_messaging.rpc.dispatcher", class: "NoSuchMethod", args: `["` + text + `"]`,
		rebuilt: `["Endpoint does not support RPC method ` + text + `"]`,
		last:    "oslo_messaging.rpc.dispatcher.NoSuchMethod: " + text,
	}
}

// TestNeitherClientCanTellTheServersApart has both clients make each request of both servers. What the
// client sees is what the case says, and all that it sees is the same from either server.
//
// conforms: DEB-01
func TestNeitherClientCanTellTheServersApart(t *testing.T) {
	t.Parallel()
	inTown(t).requests(t, slices.Concat(cases, contextCases))
}

func (w *town) requests(t *testing.T, cases []requestCase) {
	t.Helper()
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			var seen [2][2]outcome
			t.Run("with", func(t *testing.T) {
				for i, client := range peers {
					for j, server := range peers {
						t.Run(string(client+" client and "+server+" server"), func(t *testing.T) {
							t.Parallel()
							seen[i][j] = w.call(t, client, server.topic(), c.request).tidy(t)
							c.check(t, client, seen[i][j])
						})
					}
				}
			})
			for i, client := range peers {
				if diff := gocmp.Diff(seen[i][0], seen[i][1]); diff != "" {
					t.Errorf("%s client: the servers differ (-%s +%s)\n%s", client, peers[0], peers[1], diff)
				}
			}
		})
	}
}

// check compares what a client saw with what the case says.
func (c requestCase) check(t *testing.T, client peer, got outcome) {
	t.Helper()
	switch {
	case c.failure != nil:
		c.failure.check(t, client, c.allowed, got)
	case got.Error != "":
		t.Error(got.Error)
	case got.Value != canonical(t, []byte(c.value)):
		t.Errorf("got %s, want %s", got.Value, c.value)
	}
}

// check compares what a client saw with what the failure makes of it there.
func (f *failure) check(t *testing.T, client peer, allowed []string, got outcome) {
	t.Helper()
	want := map[string]string{"last": quoted(f.last), "traced": "true"}
	switch {
	case client == golang:
		want["module"], want["class"], want["args"] = quoted(f.module), quoted(f.class), f.args
		if f.kwargs != "" {
			want["kwargs"] = f.kwargs
		}
	case f.module == "builtins":
		want["module"], want["class"] = quoted(f.module), quoted(f.class)
	case f.raised(allowed):
		want["module"], want["class"], want["args"] = quoted(f.module+"_Remote"), quoted(f.class+"_Remote"), cmp.Or(f.rebuilt, f.args)
		if f.kwargs != "" {
			want["kwargs"] = f.kwargs
		}
	default:
		want["module"], want["class"], want["exc_type"] = quoted("oslo_messaging.rpc.client"), quoted("RemoteError"), quoted(f.class)
	}
	for name, value := range want {
		have := got.member(name)
		if have == "" {
			t.Errorf("the error has no %s: %+v", name, got)
			continue
		}
		if diff := gocmp.Diff(canonical(t, []byte(value)), canonical(t, []byte(have))); diff != "" {
			t.Errorf("%s (-want +got)\n%s", name, diff)
		}
	}
}

// raised says whether a Python client raises the failure's own class.
func (f *failure) raised(allowed []string) bool {
	if allowed == nil {
		allowed = []string{"shop.errors"}
	}
	return slices.Contains(allowed, f.module)
}

func quoted(s string) string { return strconv.Quote(s) }

func seconds(n int) time.Duration { return time.Duration(n) * time.Second }
