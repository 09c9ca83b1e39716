package interop_test

import (
	"context"
	"encoding/json"
	"strconv"
	"testing"

	"github.com/goslo/goslo/internal/brokertest"
	"github.com/goslo/goslo/rpc"
)

// A way is how a cast is addressed.
type way struct {
	server string
	fanout bool
}

type wayCase struct {
	name string
	way
	one, two int // how often each server of the topic runs it; -1 = either, once together
}

// cast sends note(tag) with one language's client.
func (w *town) cast(t *testing.T, by peer, topic, tag string, to way) {
	t.Helper()
	if by == python {
		order := w.order(topic, request{method: "note", args: `{"tag": "` + tag + `"}`, server: to.server})
		if to.fanout {
			order["prepare"] = map[string]any{"fanout": true}
		}
		var o outcome
		w.client.Do(t, "cast", order, &o)
		if o.Value != "null" {
			t.Fatalf("cast: %+v", o)
		}
		return
	}
	client := w.caller
	if to.server != "" {
		client = client.To(to.server)
	}
	if to.fanout {
		client = client.Fanout()
	}
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	if err := rpc.NewCast[noteArgs](rpc.Target{Topic: topic}, "note").Cast(ctx, client, noteArgs{tag}); err != nil {
		t.Fatal(err)
	}
}

// noted asks one server of a topic how often it ran note(tag).
func (w *town) noted(t *testing.T, topic, server, tag string) int {
	t.Helper()
	o := w.goCall(t, topic, request{method: "noted", server: server, args: `{"tag": "` + tag + `"}`})
	var n int
	if err := json.Unmarshal([]byte(o.Value), &n); err != nil {
		t.Fatalf("noted: %+v", o)
	}
	return n
}

func TestCastsArriveWhereTheyAreSent(t *testing.T) {
	t.Parallel()
	inTown(t).casts(t, ways)
}

// ways are the kinds of casts, and who gets them.
var ways = []wayCase{
	// conforms: RPC-CLIENT-03, RPC-SERVER-07, RPC-SERVER-10
	{name: "to any one", one: -1, two: -1},
	// conforms: TGT-10, RPC-SERVER-24
	{name: "to one server", way: way{server: "two"}, two: 1},
	// conforms: TGT-10, RPC-SERVER-24, RPC-CLIENT-09
	{name: "to all", way: way{fanout: true}, one: 1, two: 1},
	// conforms: TGT-10
	{name: "to all, with a server", way: way{fanout: true, server: "two"}, one: 1, two: 1},
}

func (w *town) casts(t *testing.T, ways []wayCase) {
	t.Helper()
	for _, c := range ways {
		for _, client := range peers {
			for _, server := range peers {
				t.Run(c.name+", "+string(client+" client and "+server+" server"), func(t *testing.T) {
					t.Parallel()
					topic, tag := server.topic(), t.Name()
					w.cast(t, client, topic, tag, c.way)
					var one, two int
					total := max(1, c.one+c.two)
					brokertest.Await(t, strconv.Itoa(total)+" runs of the cast", func() bool {
						one, two = w.noted(t, topic, "one", tag), w.noted(t, topic, "two", tag)
						return one+two >= total
					})
					if c.one < 0 {
						if one+two != 1 {
							t.Errorf("one ran it %d times and two %d times, want once together", one, two)
						}
						return
					}
					if one != c.one || two != c.two {
						t.Errorf("one ran it %d times and two %d times, want %d and %d", one, two, c.one, c.two)
					}
				})
			}
		}
	}
}

// A fanout goes to the topic's fanout exchange, which every exchange shares.
//
// conforms: RMQ-TOPO-04, ODD-33
func TestFanoutsIgnoreTheExchange(t *testing.T) {
	t.Parallel()
	w := inTown(t)
	for _, server := range peers {
		tags := map[peer]string{python: "elsewhere-python", golang: "elsewhere-go"}
		order := w.order(server.topic(), request{method: "note", args: `{"tag": "` + tags[python] + `"}`})
		order["exchange"], order["fanout"] = "elsewhere", true
		w.client.Do(t, "cast", order, nil)
		note := rpc.NewCast[noteArgs](rpc.Target{Exchange: "elsewhere", Topic: server.topic()}, "note")
		if err := note.Cast(t.Context(), w.caller.Fanout(), noteArgs{tags[golang]}); err != nil {
			t.Fatal(err)
		}
		for client, tag := range tags {
			for _, name := range []string{"one", "two"} {
				brokertest.Await(t, "the fanout of a "+string(client)+" client at a "+string(server)+" server", func() bool {
					return w.noted(t, server.topic(), name, tag) == 1
				})
			}
		}
	}
}

// conforms: RPC-CLIENT-05
func TestACallToAllIsRefused(t *testing.T) {
	t.Parallel()
	w := inTown(t)
	order := w.order(golang.topic(), request{method: "whoami"})
	order["prepare"] = map[string]any{"fanout": true}
	var o outcome
	w.client.Do(t, "call", order, &o)
	if got := o.member("class"); got != `"InvalidTarget"` {
		t.Errorf("Python: %+v", o)
	}
	_, err := rpc.NewCall[none, string](rpc.Target{Topic: golang.topic()}, "whoami").Call(t.Context(), w.caller.Fanout(), none{})
	if got := describe(t, err); got == "" || !isTargetError(err) {
		t.Errorf("Go: %v", err)
	}
}

// conforms: RPC-CLIENT-17, RPC-CLIENT-18, RPC-CLIENT-20, VER-01, VER-02, VER-04
func TestVersionCapsAgree(t *testing.T) {
	t.Parallel()
	w := inTown(t)
	for _, c := range []struct {
		pin, version string
		want         bool
	}{
		{"", "", true},
		{"", "7.1", true},
		{"1.5", "", false},
		{"1.5", "1.5", true},
		{"1.5", "1.4", true},
		{"1.5", "1.6", false},
		{"1.5", "2.0", false},
		{"2.0", "1.5", false},
		{"1.23", "1.23.1", false},
		{"1.23.1", "1.23", true},
		{"1.23.1", "1.23.2", false},
		{"1.24", "1.23.1", true},
	} {
		order := map[string]any{"url": w.url, "topic": python.topic(), "ask": nil}
		if c.pin != "" {
			order["cap"] = c.pin
		}
		if c.version != "" {
			order["ask"] = c.version
		}
		var o outcome
		w.client.Do(t, "can_send", order, &o)
		client := w.caller
		if c.pin != "" {
			client = client.Pin(c.pin)
		}
		got := map[peer]string{python: o.Value, golang: strconv.FormatBool(client.CanSend(c.version))}
		for p, g := range got {
			if g != strconv.FormatBool(c.want) {
				t.Errorf("%s: %q under the cap %q: %s, want %v", p, c.version, c.pin, g, c.want)
			}
		}
	}

	over := request{method: "whoami", version: "1.5", pin: "1.4"}
	if o := w.call(t, python, golang.topic(), over); o.member("class") != `"RPCVersionCapError"` {
		t.Errorf("Python: over the cap: %+v", o)
	}
	if o := w.goCall(t, golang.topic(), over); o.member("type") != `"*rpc.VersionError"` {
		t.Errorf("Go: over the cap: %+v", o)
	}
}
