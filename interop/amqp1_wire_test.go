package interop_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/goslo/goslo/internal/brokertest"
	"github.com/goslo/goslo/rpc"
)

// A sent is a message as the frames show it, without what differs from run to run.
type sent struct {
	Settled    bool
	Header     map[string]any
	Properties map[string]any
	Body       any // decoded JSON; nil when there is none
}

// A link is one that a peer has attached.
type link struct {
	Name           string
	Receiver       bool
	Source, Target map[string]any
	Modes          [2]uint64 // of settlement: sender, receiver
	MaxMessageSize uint64
	Credit         uint64 // as first granted; 0 for senders
}

var hexID = regexp.MustCompile(`[0-9a-f]{32}`)

// defaults are what a field means that is not there.
var defaults = map[string]any{
	"durable": false, "priority": uint64(4), "first-acquirer": false, "delivery-count": uint64(0),
	"dynamic": false, "timeout": uint64(0), "expiry-policy": "session-end",
}

// explicit are the fields whose value is not what leaving them out means.
func explicit(fields any) map[string]any {
	out := map[string]any{}
	if d, ok := fields.(described); ok {
		fields = d.value
	}
	all, _ := fields.(map[string]any)
	for name, v := range all {
		if v == defaults[name] || name == "durable" && v == uint64(0) { // a terminus's durability is a number
			continue
		}
		out[name] = v
	}
	return out
}

// links are those that a client has attached, by their names without identifiers.
func links(t *testing.T, from []frame) map[string]link {
	t.Helper()
	all, names, sessions := map[string]link{}, map[string]string{}, map[uint16]bool{}
	for _, f := range from {
		handle := fmt.Sprint(f.channel, f.fields["handle"])
		switch f.name {
		case "attach":
			name, _ := f.fields["name"].(string)
			names[handle] = hexID.ReplaceAllString(name, "<id>")
			l := link{
				Name: names[handle], Source: explicit(f.fields["source"]), Target: explicit(f.fields["target"]),
				Modes: [2]uint64{2, 0}, // mixed, first
			}
			l.Receiver, _ = f.fields["role"].(bool)
			l.MaxMessageSize, _ = f.fields["max-message-size"].(uint64)
			for i, field := range []string{"snd-settle-mode", "rcv-settle-mode"} {
				if mode, ok := f.fields[field].(uint64); ok {
					l.Modes[i] = mode
				}
			}
			if sessions[f.channel] {
				t.Errorf("the link %s shares its session", name)
			}
			sessions[f.channel] = true
			all[l.Name] = l
		case "flow":
			l, ok := all[names[handle]]
			if credit, _ := f.fields["link-credit"].(uint64); ok && l.Receiver && l.Credit == 0 {
				l.Credit = credit
				all[l.Name] = l
			}
		}
	}
	return all
}

// messages are those that a client has sent to addresses with one of the prefixes, or to any.
func messages(t *testing.T, from []frame, replies string, prefixes ...string) []sent {
	t.Helper()
	var out []sent
	for _, f := range from {
		if f.name != "transfer" {
			continue
		}
		s := sent{Header: explicit(f.payload["header"]), Properties: explicit(f.payload["properties"])}
		to, _ := s.Properties["to"].(string)
		if len(prefixes) > 0 && !slices.ContainsFunc(prefixes, func(p string) bool { return strings.HasPrefix(to, p) }) {
			continue
		}
		s.Settled, _ = f.fields["settled"].(bool)
		if format, _ := f.fields["message-format"].(uint64); format != 0 {
			t.Errorf("message format %d", format)
		}
		for _, name := range []string{"to", "reply-to"} {
			if s.Properties[name] == replies {
				s.Properties[name] = "<reply address>"
			}
		}
		for _, name := range []string{"message-id", "correlation-id"} {
			if id, ok := s.Properties[name].(string); ok {
				s.Properties[name] = hexID.ReplaceAllString(id, "<id>")
			}
		}
		if ttl, ok := s.Header["ttl"].(uint64); ok {
			s.Header["ttl"] = math.Round(float64(ttl) / 1000) // what is left of a context's time
		}
		for section := range f.payload {
			if !slices.Contains([]string{"header", "properties", "application-properties", "amqp-value"}, section) {
				t.Errorf("a section %s", section)
			}
		}
		if body, ok := f.payload["amqp-value"].(string); ok {
			if err := json.Unmarshal([]byte(body), &s.Body); err != nil {
				t.Errorf("%s: %v", body, err)
			}
		} else if f.payload["amqp-value"] != nil {
			t.Errorf("the body is %v, no string", f.payload["amqp-value"])
		}
		out = append(out, s)
	}
	return out
}

// expiries takes absolute-expiry-time out of messages, in order.
func expiries(all []sent) []time.Time {
	var out []time.Time
	for _, m := range all {
		if at, ok := m.Properties["absolute-expiry-time"].(int64); ok {
			out = append(out, time.UnixMilli(at))
			delete(m.Properties, "absolute-expiry-time")
		}
	}
	return out
}

// replyAddress is the address that the broker gave to a client.
func replyAddress(t *testing.T, broker []frame) string {
	t.Helper()
	for _, f := range broker {
		if name, _ := f.fields["name"].(string); f.name == "attach" && strings.HasPrefix(name, "openstack.org/om/receiver/[rpc-response]") {
			address, _ := explicit(f.fields["source"])["address"].(string)
			return address
		}
	}
	t.Error("no reply address")
	return ""
}

var containerID = regexp.MustCompile(`^openstack\.org/om/container/[^/]+/[^/]+/[0-9]+/[0-9a-f]{32}$`)

// checkOpen checks how a client introduces itself.
func checkOpen(t *testing.T, by peer, from []frame) {
	t.Helper()
	if len(from) < 2 || from[0].fields["protocol"] != uint64(0) || from[1].name != "open" {
		t.Fatalf("%s begins with %v, not with AMQP without SASL", by, from[:min(2, len(from))])
	}
	open := from[1].fields
	if id, _ := open["container-id"].(string); !containerID.MatchString(id) {
		t.Errorf("%s: container %v", by, open["container-id"])
	}
	properties, _ := open["properties"].(map[string]any)
	for _, name := range []string{"node", "pid", "process"} {
		if properties[name] == nil {
			t.Errorf("%s: no property %s in %v", by, name, properties)
		}
	}
}

// asPython has a Go peer do as Python does by default: casts are settled by their sender, and credit is fixed.
const asPython = "&pre_settled=rpc-cast,rpc-reply&reply_link_credit=200&rpc_server_credit=100"

// TestAMQP1RequestsOnTheWire compares the frames of the two clients, message by message and link by link, in the
// two forms of addresses.
//
// conforms: AMQP1-01, AMQP1-03, AMQP1-05, AMQP1-06, AMQP1-11, AMQP1-12, AMQP1-13, AMQP1-14
func TestAMQP1RequestsOnTheWire(t *testing.T) {
	t.Parallel()
	node := brokertest.NewProton(t)
	for mode, prefixes := range map[string][]string{
		"legacy":   {"exclusive.", "unicast.", "broadcast."},
		"routable": {"openstack.org/"},
	} {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			path := "/wire?addressing_mode=" + mode
			newTown(t, "amqp://"+node.Addr()+path)
			var seen [2][]sent
			var attached [2]map[string]link
			var due [2][]time.Time
			began := time.Now()
			for i, client := range peers {
				sniffer := newSniffer(t, node.Addr())
				c := &town{url: "amqp://" + sniffer.Addr() + path}
				if client == golang {
					c.url += asPython
				}
				c.join(t, client)
				for _, r := range []struct {
					kind   string
					fanout bool
					request
				}{
					{kind: "call", request: request{method: "echo", args: `{"arg": 1}`, timeout: seconds(40)}},
					{kind: "call", request: request{method: "nothing", timeout: seconds(40)}},
					{kind: "call", request: request{method: "nothing", monitor: seconds(7), timeout: seconds(40)}},
					{kind: "call", request: request{method: "nothing", server: "one", timeout: seconds(40)}},
					{kind: "call", request: request{method: "which", namespace: "control", version: "2.0", timeout: seconds(40)}},
					{kind: "call", request: request{method: "nothing", timeout: seconds(40), context: `{"user": "ann", "": 1, "roles": ["a", {"b": null}], "msg_id": "x"}`}},
					{kind: "call", request: request{method: "echo", args: `{"arg": "` + strings.Repeat("Ä\\n", 1<<16) + `"}`, timeout: seconds(40)}},
					{kind: "cast", request: request{method: "note", args: `{"tag": "Ä\n"}`}},
					{kind: "cast", request: request{method: "note", args: `{"tag": "b"}`, version: "1.0", server: "one", context: `{"user": "ann"}`}},
					{kind: "cast", fanout: true, request: request{method: "note", args: `{"tag": "c"}`}},
				} {
					c.send(t, client, python.topic(), r.kind, r.fanout, r.request)
				}
				// What was sent without waiting has left when the answer to the next call is here.
				c.send(t, client, python.topic(), "call", false, request{method: "nothing", timeout: seconds(40)})
				said, heard := sniffer.said(1)
				checkOpen(t, client, said)
				seen[i] = messages(t, said, replyAddress(t, heard), prefixes...)
				due[i] = expiries(seen[i])
				attached[i] = links(t, said)
			}
			if len(seen[0]) != 11 {
				t.Errorf("%d messages, want 11", len(seen[0]))
			}
			if diff := gocmp.Diff(seen[0], seen[1]); diff != "" {
				t.Errorf("messages (-%s +%s)\n%s", peers[0], peers[1], diff)
			}
			if diff := gocmp.Diff(attached[0], attached[1]); diff != "" {
				t.Errorf("links (-%s +%s)\n%s", peers[0], peers[1], diff)
			}
			for i, client := range peers {
				if len(due[i]) != 8 {
					t.Errorf("%s: %d messages with a time to expire, want the 8 calls", client, len(due[i]))
				}
			}
			// Python's moment is some day in 1970: it adds the timeout to a clock that began when its machine did.
			for _, at := range due[1] {
				if at.Before(began.Add(seconds(39))) || at.After(time.Now().Add(seconds(41))) {
					t.Errorf("Go: expires at %v, want in 40 s", at)
				}
			}
		})
	}
}

// join gives the town a client of one language.
func (w *town) join(t *testing.T, p peer) {
	t.Helper()
	t.Cleanup(func() {
		if err := w.end(); err != nil {
			t.Error(err)
		}
	})
	if p == python {
		w.client = w.python(t, "client.py")
		return
	}
	w.bus = w.open(t)
	w.caller = rpc.NewClient(w.bus, rpc.ClientConfig{})
}

// TestAMQP1RepliesOnTheWire compares what the two servers send for the same requests.
//
// conforms: AMQP1-02, AMQP1-03, AMQP1-04, AMQP1-09, AMQP1-10, AMQP1-11, AMQP1-13, AMQP1-14, EXC-01
func TestAMQP1RepliesOnTheWire(t *testing.T) {
	t.Parallel()
	node := brokertest.NewProton(t)
	var seen [2][]sent
	var attached [2]map[string]link
	for i, server := range peers {
		sniffer := newSniffer(t, node.Addr())
		s := &town{url: "amqp://" + sniffer.Addr() + "/" + string(server) + "?addressing_mode=dynamic", log: &records{}}
		if server == golang {
			s.url += asPython
		}
		s.server = startPython(t, "server.py")
		if server == golang {
			s.join(t, golang)
		}
		s.serve(t, server, "shop", "one")
		w := &town{url: node.URL() + string(server)}
		w.join(t, python)
		for _, r := range []request{
			{method: "echo", args: `{"arg": {"a": [1, "ä"]}}`},
			{method: "nothing"},
			fails("allowed"),
			fails("kwargs"),
			fails("several"),
			{method: "nosuch"},
			{method: "nothing", version: "7.0"},
			{method: "nothing", server: "one"},
			{method: "slow", args: `{"seconds": 2.5}`, monitor: seconds(2)},
			{method: "echo", args: `{"arg": "` + strings.Repeat("ab", 1<<16) + `"}`},
		} {
			w.call(t, python, "shop", r)
		}
		w.cast(t, python, "shop", "note", way{})
		w.call(t, python, "shop", request{method: "nothing"})

		// The Go client of the Python server's town has a connection of its own, which stays silent.
		for connection := 1; connection <= sniffer.count(); connection++ {
			said, heard := sniffer.said(connection)
			l := links(t, said)
			if len(l) < 3 {
				continue
			}
			checkOpen(t, server, said)
			attached[i] = map[string]link{}
			for name, l := range l {
				name = strings.Replace(name, string(server), "<vhost>", 1)
				if l.Target["address"] == "rpc-response" {
					continue // Python opens it in servers as well, we when a call is made
				}
				if !l.Receiver {
					name = "replies"
					for _, terminus := range []map[string]any{l.Source, l.Target} {
						if terminus["address"] == nil {
							t.Errorf("%s: a sender without an address: %+v", server, l)
						}
					}
					l.Source, l.Target = nil, nil
				}
				l.Name = name
				for _, terminus := range []map[string]any{l.Source, l.Target} {
					if address, ok := terminus["address"].(string); ok {
						terminus["address"] = strings.Replace(address, string(server), "<vhost>", 1)
					}
				}
				attached[i][name] = l
			}
			seen[i] = replies(t, server, said)
			checkSettled(t, server, said, heard)
		}
	}
	if len(seen[0]) < 13 {
		t.Errorf("%d replies, want 11 and 2 signs of life", len(seen[0]))
	}
	if diff := gocmp.Diff(seen[0], seen[1]); diff != "" {
		t.Errorf("messages (-%s +%s)\n%s", peers[0], peers[1], diff)
	}
	if diff := gocmp.Diff(attached[0], attached[1]); diff != "" {
		t.Errorf("links (-%s +%s)\n%s", peers[0], peers[1], diff)
	}
}

// replies are the messages of a server, without what the languages themselves word.
func replies(t *testing.T, server peer, said []frame) []sent {
	t.Helper()
	all := messages(t, said, "")
	for _, m := range all {
		if to, _ := m.Properties["to"].(string); to == "" {
			t.Errorf("%s: a reply to nobody: %+v", server, m)
		}
		delete(m.Properties, "to")
		body, ok := m.Body.(map[string]any)
		if !ok {
			continue
		}
		text, ok := body["failure"].(string)
		if !ok {
			continue
		}
		var f map[string]any
		if err := json.Unmarshal([]byte(text), &f); err != nil {
			t.Errorf("%s: failure %s: %v", server, text, err)
			continue
		}
		if trace, ok := f["tb"].([]any); !ok || len(trace) == 0 {
			t.Errorf("%s: traceback %v", server, f["tb"])
		}
		delete(f, "tb")
		body["failure"] = f
	}
	return all
}

// checkSettled checks that a server accepts each request that it got, and settles it.
func checkSettled(t *testing.T, server peer, said, heard []frame) {
	t.Helper()
	deliveries, settled := 0, 0
	for _, f := range heard {
		if f.name == "transfer" {
			deliveries++
		}
	}
	for _, f := range said {
		if f.name != "disposition" {
			continue
		}
		first, _ := f.fields["first"].(uint64)
		last, ok := f.fields["last"].(uint64)
		if !ok {
			last = first
		}
		settled += int(last - first + 1)
		if state, _ := f.fields["state"].(described); state.name != "accepted" || f.fields["settled"] != true || f.fields["role"] != true {
			t.Errorf("%s: disposition %v", server, f.fields)
		}
	}
	if deliveries == 0 || settled != deliveries {
		t.Errorf("%s: %d of %d requests were settled", server, settled, deliveries)
	}
}

// A sender that was not used for the time of the option goes, and comes back with the next message.
//
// conforms: AMQP1-15
func TestAMQP1UnusedSendersAreDetached(t *testing.T) {
	t.Parallel()
	node := brokertest.NewProton(t)
	server := startPython(t, "server.py")
	server.Do(t, "start", map[string]any{"url": node.URL(), "topic": "shop", "server": "one"}, nil)
	sniffer := newSniffer(t, node.Addr())
	w := &town{url: "amqp://" + sniffer.Addr() + "/?default_sender_link_timeout=1"}
	w.join(t, golang)
	ofSender := func(name string, closing bool) (n int) {
		said, _ := sniffer.said(1)
		for _, f := range said {
			sender, _ := f.fields["role"].(bool)
			closed, _ := f.fields["closed"].(bool)
			if f.name == name && !sender && closed == closing {
				n++
			}
		}
		return n
	}
	for round := 1; round <= 2; round++ {
		if o := w.call(t, golang, "shop", request{method: "nothing"}); o.Value != "null" {
			t.Fatalf("%+v", o)
		}
		if got := ofSender("attach", false); got != round {
			t.Errorf("round %d: %d senders were attached, want %d", round, got, round)
		}
		brokertest.Await(t, "the sender to go", func() bool { return ofSender("detach", true) == round })
	}
}

// count is how many connections there were.
func (s *sniffer) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(slices.Collect(maps.Keys(s.streams)))
}
