package cli

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/goslo/goslo/internal/operator"
	"github.com/goslo/goslo/internal/probe"
)

// topFlags are those of top.
type topFlags struct {
	at       lookAt
	interval seconds
	once     bool
	probes   int
	sort     string
	firehose seconds // 0 = off
}

func (a *app) top() *cobra.Command {
	flags := topFlags{interval: seconds(5 * time.Second)}
	c := &cobra.Command{
		Use:   "top [TOPIC...]",
		Short: "Watch the topics of a RabbitMQ bus: rates, queues, servers, latency",
		Long: `Show what each topic has to do, live on a terminal, and elsewhere as a table every --interval: requests a second in and out,
copies of fanouts, requests that wait (READY) and that servers hold (UNACK), servers that listen of those that have a queue, how fast they
answer (RTT, the median) and which of them do not. Rates are the broker's, of its last few seconds; the questions count among them.

Servers are asked as goslo ping --all does, in turns: --probe of each topic for each sample.

With --firehose D, for so long, also how long the calls took that ended since the last time (P50 and P95: half of them, and 95 of 100, took no longer), and
how many a second failed. It copies every message, costs throughput, and wants an administrator; a second process switches it off, see goslo tail --help.

Keys: i, o, f, r, u, s, l, p, e and t sort by rate in, out, fanouts, READY, UNACK, servers, latency, P95, errors and topic; again, the other way
round. Up, down, page up and page down move; space asks now; q ends.

` + managementHelp + ` Without it, the topics have to be named, and there are no rates.`,
		Example: `  goslo top -c /etc/nova/nova.conf
  goslo top compute conductor --interval 2s --probe 50
  goslo top --firehose 60s --sort p95
  goslo top --once --json --management http://monitor:secret@ctl-1:15672`,
		RunE: func(c *cobra.Command, args []string) error {
			if !slices.ContainsFunc(topSorts, func(s topSort) bool { return s.name == flags.sort }) {
				return usagef("--sort %q is not one of %s", flags.sort, strings.Join(topSortNames(), ", "))
			}
			if flags.probes < 0 {
				return usagef("--probe %d is below 0, which asks nobody", flags.probes)
			}
			return a.runTop(c.Context(), args, &flags)
		},
	}
	c.Flags().Var(&flags.interval, "interval", "how often to look")
	c.Flags().BoolVar(&flags.once, "once", false, "look once, and print a table")
	c.Flags().IntVar(&flags.probes, "probe", 10, "how many servers of each topic to ask each time; 0 = none")
	c.Flags().StringVar(&flags.sort, "sort", "in", "what to sort by: "+strings.Join(topSortNames(), ", "))
	c.Flags().Var(&flags.firehose, "firehose", "switch the broker's firehose on for so long, as 60s, which shows how long calls take and how many fail")
	flags.at.add(c)
	_ = c.RegisterFlagCompletionFunc("sort", cobra.FixedCompletions(topSortNames(), cobra.ShellCompDirectiveNoFileComp)) // the name is fixed
	return c
}

func (a *app) runTop(ctx context.Context, topics []string, flags *topFlags) error {
	return a.look(ctx, flags.at, func(ctx context.Context, bus *operator.Bus) error {
		live := a.terminal() != nil && !a.json && !flags.once
		s := &topSampler{app: a, bus: bus, topics: topics, probes: flags.probes, live: live, verdicts: make(map[string]topVerdict), turns: make(map[string]int)}
		defer s.close()
		order := topOrder{by: flags.sort}
		if flags.firehose > 0 {
			s.calls = a.listenForTop(ctx, flags, live)
			defer s.calls.close()
		}
		if live {
			return a.topLive(ctx, s, order, time.Duration(flags.interval))
		}
		every := time.Duration(flags.interval)
		if flags.once {
			every = 0
		}
		told := ""
		return a.watching(ctx, every, func(ctx context.Context) error {
			defer a.whenSlow("asking the broker and servers")()
			if flags.once && s.calls != nil {
				select {
				case <-s.calls.done: // it has heard all that it will
				case <-ctx.Done():
					return ctx.Err()
				}
			}
			sample, err := s.sample(ctx)
			if err != nil {
				return err
			}
			order.apply(sample.Topics)
			if a.json {
				return a.printLine(sample)
			}
			if unseen := strings.Join(sample.Unseen, "; "); unseen != told {
				told = unseen
				a.printUnseen(sample.Unseen)
			}
			var b bytes.Buffer
			for _, line := range sample.lines(a.screen(), order) {
				b.WriteString(line + "\n")
			}
			if every != 0 {
				b.WriteByte('\n')
			}
			_, err = b.WriteTo(a.Out)
			return err
		})
	})
}

// A topSample is the bus at one moment, and the result of top.
type topSample struct {
	At          time.Time      `json:"at"`
	Broker      string         `json:"broker"`
	Vhost       string         `json:"vhost"`
	Connections operator.Count `json:"connections"`
	Blocked     int            `json:"blocked"` // connections that the broker takes nothing from
	Queues      operator.Count `json:"queues"`
	Returned    float64        `json:"returned"` // messages a second that no queue took, and that their senders have back
	Dropped     float64        `json:"dropped"`  // messages a second that no queue took, and nobody knows of
	Alarms      []string       `json:"alarms"`
	Topics      []topTopic     `json:"topics"`
	Unseen      []string       `json:"unseen"`
	Rated       bool           `json:"rated"`  // rates are known
	Traced      bool           `json:"traced"` // the firehose is on, and shows calls
}

// A topTopic is a topic's part of it.
type topTopic struct {
	operator.Load
	RTTMS float64             `json:"rtt_ms,omitempty"` // the median of the servers that answered when they were last asked
	State map[probe.State]int `json:"state"`            // of the servers that were asked
	Calls topDuration         `json:"calls,omitzero"`   // zero = none ended, or the firehose is off

	rtt time.Duration
}

// A topVerdict is what a server said when it was last asked.
type topVerdict struct {
	topic string
	state probe.State
	rtt   time.Duration
}

// A topSampler takes samples. It is for one goroutine.
type topSampler struct {
	app    *app
	bus    *operator.Bus
	topics []string // none = all
	probes int
	live   bool // a screen, which does not wait for anybody

	calls    *topCalls             // nil = the firehose is not wanted
	prober   *probe.Prober         // nil = not connected
	verdicts map[string]topVerdict // by queue
	turns    map[string]int        // how many servers of a topic were asked
}

func (s *topSampler) close() {
	if s.prober != nil {
		_ = s.prober.Close() // with the connection it goes anyway
	}
	s.prober = nil
}

func (s *topSampler) sample(ctx context.Context) (*topSample, error) {
	view, err := s.bus.View(ctx, s.topics...)
	if err != nil {
		return nil, err
	}
	sample := &topSample{
		At: view.At, Broker: strings.TrimSpace(view.Broker.Product + " " + view.Broker.Version), Vhost: view.Vhost, Connections: operator.Unknown, Queues: operator.Unknown,
		Returned: view.Broker.Unroutable.Returned.Rate, Dropped: view.Broker.Unroutable.Dropped.Rate, Alarms: []string{}, Topics: []topTopic{}, Unseen: view.Unseen,
		Rated: view.Full && view.Broker.RatesMode != "none",
	}
	if sample.Unseen == nil {
		sample.Unseen = []string{}
	}
	if view.Full {
		sample.Queues = operator.Count(len(view.Queues))
	}
	if view.Everybody {
		sample.Connections = operator.Count(len(view.Connections))
	}
	for _, c := range view.Connections {
		if c.State == "blocked" || c.State == "blocking" {
			sample.Blocked++
		}
	}
	for _, n := range view.Broker.Nodes {
		if n.MemoryAlarm {
			sample.Alarms = append(sample.Alarms, "memory of "+n.Name)
		}
		if n.DiskAlarm {
			sample.Alarms = append(sample.Alarms, "disk of "+n.Name)
		}
		if !n.Running {
			sample.Alarms = append(sample.Alarms, n.Name+" is down")
		}
	}
	topics := slices.DeleteFunc(slices.Clone(view.Topics), func(t operator.Topic) bool { return len(s.topics) > 0 && !slices.Contains(s.topics, t.Name) })
	if err := s.ask(ctx, topics); err != nil {
		return nil, err
	}
	var calls map[string]topDuration
	if s.calls != nil {
		var problem error
		if calls, sample.Traced, problem = s.calls.take(); problem != nil {
			sample.Unseen = append(sample.Unseen, "how long calls take: "+problem.Error())
		}
	}
	for _, t := range topics {
		row := s.topic(&t)
		row.Calls = calls[t.Name]
		sample.Topics = append(sample.Topics, row)
	}
	return sample, nil
}

// ask asks those servers whose turn it is.
func (s *topSampler) ask(ctx context.Context, topics []operator.Topic) error {
	var servers []probe.Server
	there := make(map[string]bool)
	for _, t := range topics {
		n := len(t.Servers)
		if !s.live && s.probes > 0 {
			if err := s.bus.Decide(ctx, t.Servers...); err != nil {
				return err
			}
		}
		for _, server := range t.Servers {
			there[server.Queue.Name] = true
		}
		for i := range min(n, s.probes) {
			if server := t.Servers[(s.turns[t.Name]+i)%n]; !server.Undecided() { // else it is looked at again the next time
				servers = append(servers, t.Probe(server, probe.Endpoint{}))
			}
		}
		s.turns[t.Name] += min(n, s.probes)
	}
	for name := range s.verdicts {
		if !there[name] {
			delete(s.verdicts, name)
		}
	}
	if len(servers) == 0 {
		return nil
	}
	if s.prober == nil {
		conn, err := s.bus.AMQP(ctx)
		if err != nil {
			return err
		}
		if s.prober, err = probe.New(conn); err != nil {
			return &busError{cause: err}
		}
	}
	answers, err := s.prober.Ask(ctx, servers, probe.Options{Timeout: time.Second}, nil)
	if err != nil {
		s.close()
		return &busError{cause: err}
	}
	for _, a := range answers {
		s.verdicts[a.Queue()] = topVerdict{topic: a.Topic, state: a.State, rtt: a.RTT}
	}
	return nil
}

func (s *topSampler) topic(t *operator.Topic) topTopic {
	row := topTopic{Load: t.Load(), State: make(map[probe.State]int)}
	var rtts []time.Duration
	for _, server := range t.Servers {
		v, asked := s.verdicts[server.Queue.Name]
		if !asked {
			continue
		}
		row.State[v.state]++
		if v.rtt > 0 {
			rtts = append(rtts, v.rtt)
		}
	}
	if len(rtts) > 0 {
		slices.Sort(rtts)
		row.rtt = rtts[len(rtts)/2]
		row.RTTMS = milliseconds(row.rtt)
	}
	return row
}

// A topSort is a way to sort topics.
type topSort struct {
	key    byte
	name   string
	column string
	by     func(a, b topTopic) int // the first comes first
}

func more[T cmp.Ordered](of func(topTopic) T) func(a, b topTopic) int {
	return func(a, b topTopic) int { return cmp.Compare(of(b), of(a)) }
}

var topSorts = []topSort{
	{'i', "in", "IN/s", more(func(t topTopic) float64 { return t.In })},
	{'o', "out", "OUT/s", more(func(t topTopic) float64 { return t.Out })},
	{'f', "fanout", "FAN/s", more(func(t topTopic) float64 { return t.Fanout })},
	{'r', "ready", "READY", more(func(t topTopic) operator.Count { return t.Ready })},
	{'u', "unacked", "UNACK", more(func(t topTopic) operator.Count { return t.Unacked })},
	{'s', "servers", "SERVERS", more(func(t topTopic) int { return t.Servers })},
	{'l', "latency", "RTT", more(func(t topTopic) time.Duration { return t.rtt })},
	{'p', "p95", "P95", more(func(t topTopic) time.Duration { return t.Calls.p95 })},
	{'e', "errors", "ERR/s", more(func(t topTopic) float64 { return t.Calls.FailedPerSecond })},
	{'t', "topic", "TOPIC", func(a, b topTopic) int { return strings.Compare(a.Topic, b.Topic) }},
}

func topSortNames() []string {
	names := make([]string, len(topSorts))
	for i, s := range topSorts {
		names[i] = s.name
	}
	return names
}

// A topOrder is the order of topics: by one thing, and those that are alike in that by name.
type topOrder struct {
	by      string
	reverse bool
}

func (o topOrder) sort() topSort {
	return topSorts[slices.IndexFunc(topSorts, func(s topSort) bool { return s.name == o.by })]
}

func (o topOrder) apply(topics []topTopic) {
	by := o.sort().by
	slices.SortFunc(topics, func(a, b topTopic) int {
		order := by(a, b)
		if o.reverse {
			order = -order
		}
		return cmp.Or(order, strings.Compare(a.Topic, b.Topic))
	})
}

// pressed is the order after a key, and whether it is one that sorts.
func (o topOrder) pressed(key byte) (topOrder, bool) {
	for _, s := range topSorts {
		if s.key == key {
			return topOrder{by: s.name, reverse: o.by == s.name && !o.reverse}, true
		}
	}
	return o, false
}

// state is what is wrong with the topic's servers, in words, and how it is painted; "" = nothing is.
func (t topTopic) state() (string, colour) {
	var (
		parts []string
		paint colour
	)
	for _, state := range []probe.State{probe.Slow, probe.NotAsked, probe.Unbound, probe.NoConsumer, probe.NoQueue, probe.Deaf} {
		if n := t.State[state]; n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n, stateWords[state].count))
			paint = stateWords[state].paint
		}
	}
	return strings.Join(parts, ", "), paint
}
