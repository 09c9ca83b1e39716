package cli

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/goslo/goslo/internal/operator"
	"github.com/goslo/goslo/internal/probe"
	"github.com/goslo/goslo/rpc"
	"github.com/goslo/goslo/transport"
)

// A roll is the result of ping --all.
type roll struct {
	Topic   string              `json:"topic"`
	At      time.Time           `json:"at"`
	Servers []rollCall          `json:"servers"`
	Summary map[probe.State]int `json:"summary"`
	Unseen  []string            `json:"unseen"`

	timeout time.Duration
}

// A rollCall is one server's part of it.
type rollCall struct {
	Server    string          `json:"server"`
	State     probe.State     `json:"state"`
	RTTMS     float64         `json:"rtt_ms,omitempty"` // missing = there was no answer
	Exchange  string          `json:"exchange,omitempty"`
	Consumers int             `json:"consumers"`
	Ready     int             `json:"ready"`   // messages that wait in its queue
	Unacked   operator.Count  `json:"unacked"` // messages that it holds
	Expected  bool            `json:"expected,omitempty"`
	Owner     *operator.Owner `json:"owner,omitempty"`
	Objection string          `json:"objection,omitempty"` // the class of an answer other than that there is no such method

	stuck bool
	rtt   time.Duration
}

// callRoll is ping --all.
func (a *app) callRoll(ctx context.Context, topic string, request *requestFlags, flags *rollFlags) error {
	expected, err := a.expected(flags.expect)
	if err != nil {
		return err
	}
	named := append(slices.Clone(flags.servers), expected...)
	slices.Sort(named)
	return a.look(ctx, flags.at, func(ctx context.Context, bus *operator.Bus) error {
		caller := rollCaller{
			app: a, bus: bus, topic: topic, only: flags.servers, named: slices.Compact(named), endpoint: request.endpoint(),
			options: probe.Options{Timeout: cmp.Or(time.Duration(request.timeout), rollTimeout), Slow: time.Duration(flags.slow)},
		}
		defer caller.hangUp()
		return a.watching(ctx, time.Duration(flags.watch), func(ctx context.Context) error {
			r, err := caller.call(ctx)
			if err != nil {
				return err
			}
			for i := range r.Servers {
				r.Servers[i].Expected = slices.Contains(expected, r.Servers[i].Server)
			}
			return a.printRoll(r, flags.watch != 0)
		})
	})
}

// expected reads --expect.
func (a *app) expected(list string) ([]string, error) {
	var (
		text []byte
		err  error
	)
	info, statErr := os.Stat(list)
	switch {
	case list == "":
		return nil, nil
	case list == "-":
		text, err = io.ReadAll(a.In)
	case strings.ContainsRune(list, '/') || statErr == nil && info.Mode().IsRegular():
		text, err = os.ReadFile(list)
	default:
		text = []byte(strings.ReplaceAll(list, ",", "\n"))
	}
	if err != nil {
		return nil, usagef("read --expect: %w", err)
	}
	var names []string
	for line := range strings.Lines(string(text)) {
		line, _, _ = strings.Cut(line, "#")
		names = append(names, strings.Fields(line)...)
	}
	if len(names) == 0 {
		return nil, usagef("--expect %s names no server; it is a,b,c, or a file with a name on each line", list)
	}
	return names, nil
}

// A rollCaller asks all servers of a topic, as often as it is told to.
type rollCaller struct {
	app      *app
	bus      *operator.Bus
	topic    string
	only     []string // servers; none = all that have a queue, and those named
	named    []string // by --server and --expect, sorted
	endpoint probe.Endpoint
	options  probe.Options

	prober *probe.Prober // nil = not connected yet
}

// hangUp removes the reply queue.
func (r *rollCaller) hangUp() {
	if r.prober != nil {
		_ = r.prober.Close() // with the connection it goes anyway
	}
	r.prober = nil
}

func (r *rollCaller) call(ctx context.Context) (*roll, error) {
	view, err := r.bus.View(ctx, r.topic)
	if err != nil {
		return nil, err
	}
	result := &roll{Topic: r.topic, At: view.At, Summary: make(map[probe.State]int), Unseen: view.Unseen, timeout: r.options.Timeout}
	if result.Unseen == nil {
		result.Unseen = []string{}
	}
	if err := r.decide(ctx, view); err != nil {
		return nil, err
	}
	servers, owners := r.servers(view)
	if len(servers) == 0 {
		return nil, r.nobody(view)
	}
	if r.prober == nil {
		conn, err := r.bus.AMQP(ctx)
		if err != nil {
			return nil, err
		}
		if r.prober, err = probe.New(conn); err != nil {
			return nil, &busError{cause: err}
		}
	}
	defer r.app.whenSlow(fmt.Sprintf("waiting for the answers of %d servers", len(servers)))()
	answers, err := r.prober.Ask(ctx, servers, r.options, nil)
	if err != nil {
		r.hangUp()
		return nil, &busError{cause: err}
	}
	for _, answer := range answers {
		c := rollCall{
			Server: answer.Name, State: answer.State, RTTMS: milliseconds(answer.RTT), Exchange: answer.Exchange, Consumers: answer.Consumers,
			Ready: answer.Ready, Unacked: operator.Unknown, Objection: answer.Objection, stuck: answer.Stuck, rtt: answer.RTT,
		}
		if s, seen := owners[answer.Name]; seen {
			c.Unacked = s.Queue.Unacked
			c.Ready = max(c.Ready, int(s.Queue.Ready))
			if owner, ok := s.Owner(); ok {
				c.Owner = &owner
			}
		}
		result.Servers = append(result.Servers, c)
		result.Summary[c.State]++
	}
	slices.SortFunc(result.Servers, func(a, b rollCall) int {
		return cmp.Or(cmp.Compare(slices.Index(rollOrder, a.State), slices.Index(rollOrder, b.State)), strings.Compare(a.Server, b.Server))
	})
	return result, nil
}

// decide has the view know which servers take what they hold.
func (r *rollCaller) decide(ctx context.Context, view *operator.View) error {
	if topic := view.Topic(r.topic); topic != nil {
		defer r.app.whenSlow("watching servers that hold messages")()
		return r.bus.Decide(ctx, topic.Servers...)
	}
	return nil
}

// servers are those to ask, and what the view has of them, by name.
func (r *rollCaller) servers(view *operator.View) ([]probe.Server, map[string]operator.Server) {
	topic := view.Topic(r.topic)
	if topic == nil {
		topic = &operator.Topic{Name: r.topic}
	}
	if !view.Full { // which exchange leads there cannot be seen then
		topic.Exchange = ""
	}
	if topic.Exchange == "" {
		topic.Exchange = cmp.Or(r.app.bus.exchange, defaultExchange)
	}
	var servers []probe.Server
	seen := make(map[string]operator.Server)
	for _, s := range topic.Servers {
		if len(r.only) == 0 || slices.Contains(r.named, s.Name) {
			seen[s.Name] = s
			servers = append(servers, topic.Probe(s, r.endpoint))
		}
	}
	for _, name := range r.named {
		if _, ok := seen[name]; !ok {
			servers = append(servers, topic.Probe(operator.Server{Name: name, Queue: &operator.Queue{}}, r.endpoint))
		}
	}
	return servers, seen
}

// defaultExchange is oslo.messaging's control_exchange.
const defaultExchange = "openstack"

// nobody says that there is nobody to ask.
func (r *rollCaller) nobody(view *operator.View) error {
	if !view.Full {
		return usagef("the servers of %q cannot be listed; name them with --server or --expect (%s)", r.topic, strings.Join(view.Unseen, "; "))
	}
	return &rpc.NoServerError{
		Method: "ping", Address: transport.Address{Kind: transport.Topic, Topic: r.topic}, Nearest: view.NearestTopic(r.topic),
		Cause: fmt.Errorf("%w: no queue of virtual host %q is a server's of that topic", transport.ErrNoListener, view.Vhost),
	}
}

// rollOrder is that of the states in text, the worst last, where people look first.
var rollOrder = []probe.State{probe.OK, probe.NotAsked, probe.Slow, probe.Unbound, probe.NoConsumer, probe.NoQueue, probe.Deaf}

// stateWords are the states as people read them, in tables and in the summary.
var stateWords = map[probe.State]struct {
	word, count string
	paint       colour
}{
	probe.OK:         {"ok", "ok", green},
	probe.NotAsked:   {"not asked", "not asked", yellow},
	probe.Slow:       {"SLOW", "slow", yellow},
	probe.Unbound:    {"UNBOUND", "unbound", red},
	probe.NoConsumer: {"NO CONSUMER", "without consumer", red},
	probe.NoQueue:    {"NO QUEUE", "missing", red},
	probe.Deaf:       {"DEAF", "deaf", red},
}

func (a *app) printRoll(r *roll, again bool) error {
	if a.json {
		if err := a.printLine(r); err != nil {
			return err
		}
	} else {
		a.printUnseen(r.Unseen)
		var b bytes.Buffer
		if again {
			if a.terminal() != nil {
				b.WriteString(clear)
			}
			fmt.Fprintf(&b, "%s  %s\n", r.At.Local().Format(time.TimeOnly), r.Topic)
		}
		r.write(&b, a.screen())
		if _, err := b.WriteTo(a.Out); err != nil {
			return err
		}
	}
	bad := false
	for state := range r.Summary {
		bad = bad || state.Bad()
	}
	switch {
	case bad:
		return errFound
	case r.Summary[probe.NotAsked] > 0:
		return usagef("%d of the servers were not asked, as it is not known what version they speak; give it with --version (and --namespace), as in their RPC API: a server of "+
			"another major version answers too, and logs an error", r.Summary[probe.NotAsked])
	}
	return nil
}

// write is the table, and the summary.
func (r *roll) write(b *bytes.Buffer, s screen) {
	const gap = 2
	servers, rtts, states := len("SERVER"), len("RTT"), len("STATE")
	for _, c := range r.Servers {
		servers = max(servers, len(plain(c.Server)))
		rtts = max(rtts, len(c.time()))
		states = max(states, len(stateWords[c.State].word))
	}
	servers = min(servers, max(s.width/2, len("SERVER")))
	indent := servers + rtts + states + 3*gap
	fmt.Fprintf(b, "%-*s  %*s  %-*s  %s\n", servers, "SERVER", rtts, "RTT", states, "STATE", "OWNER")
	for _, c := range r.Servers {
		word := stateWords[c.State]
		state := s.paint(word.paint, fmt.Sprintf("%-*s", states, word.word))
		line := fmt.Sprintf("%-*s  %*s  %s  %s", servers, plain(c.Server), rtts, c.time(), state, s.wrap(c.about(r), indent))
		b.WriteString(strings.TrimRight(line, " ") + "\n")
	}
	b.WriteString(r.summary() + "\n")
}

func (c rollCall) time() string {
	if c.rtt == 0 {
		return "-"
	}
	return shown(c.rtt).String()
}

// about is whose the server is, and what is wrong with it.
func (c rollCall) about(r *roll) string {
	var parts []string
	if c.Owner != nil {
		parts = append(parts, c.Owner.String())
	}
	switch {
	case c.Objection == rpc.ClassUnsupportedVersion.Name:
		parts = append(parts, "it speaks another version, and has logged that it was asked for this one: see --version")
	case c.Objection != "":
		parts = append(parts, "it answered with "+c.Objection)
	}
	switch c.State {
	case probe.OK, probe.Slow, probe.NotAsked:
	case probe.Deaf:
		if c.stuck {
			parts = append(parts, fmt.Sprintf("holds %s requests and takes none", c.Unacked))
		} else {
			parts = append(parts, fmt.Sprintf("its queue has a consumer, and there was no answer in %s", r.timeout))
		}
	case probe.Unbound:
		parts = append(parts, fmt.Sprintf("its queue is there, and exchange %q does not lead to it", c.Exchange))
	case probe.NoConsumer:
		parts = append(parts, "its queue is there, and nobody consumes from it")
	case probe.NoQueue:
		parts = append(parts, "it has not connected since the broker started, or its queue was deleted")
	}
	if c.Ready > 0 {
		parts = append(parts, fmt.Sprintf("%d wait", c.Ready))
	}
	return strings.Join(parts, "; ")
}

// summary counts the states.
func (r *roll) summary() string {
	parts := []string{fmt.Sprintf("%d ok", r.Summary[probe.OK])}
	for _, state := range []probe.State{probe.Slow, probe.Deaf, probe.Unbound, probe.NoConsumer, probe.NoQueue, probe.NotAsked} {
		if n := r.Summary[state]; n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n, stateWords[state].count))
		}
	}
	return strings.Join(parts, ", ")
}
