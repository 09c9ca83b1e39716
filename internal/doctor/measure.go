package doctor

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/goslo/goslo/internal/management"
	"github.com/goslo/goslo/internal/operator"
	"github.com/goslo/goslo/internal/probe"
)

// Options say what to measure.
type Options struct {
	// Choose picks the checks to measure for. It is needed.
	Choose func(Check) bool
	// Settings are those of the configuration, or nil.
	Settings Settings
	// Names are topics and queues to ask about where the management API does not answer. Default: none.
	Names []string
	// Namespace and Version are what to ask servers for of whose service no version is known. Default: they are not asked.
	Namespace, Version string
	// Timeout is how long to wait for servers' answers. Default: 3 s.
	Timeout time.Duration
	// NoProbes says that servers are not to be asked.
	NoProbes bool
	// Progress is told what is done next. Default: nobody is.
	Progress func(what string)
}

const defaultTimeout = 3 * time.Second

// Measure looks at the bus: the view of it, what the checks want beyond that, and a probe to each server. What cannot be measured
// is left out, and Facts.Why says why. The error is that of a broker that cannot be reached at all.
func Measure(ctx context.Context, bus *operator.Bus, o Options) (*Facts, error) {
	m := &measuring{bus: bus, options: o, needs: make(map[string]bool), facts: &Facts{Settings: o.Settings, Why: map[string]string{
		whySettings: "no configuration was given; name it with -c /etc/nova/nova.conf",
	}}}
	for _, c := range Checks() {
		if o.Choose(c) {
			for _, need := range c.needs {
				m.needs[need] = true
			}
		}
	}
	if err := m.view(ctx); err != nil {
		return nil, err
	}
	api, err := bus.Management(ctx)
	switch {
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case err != nil:
		for _, what := range []string{whyChannels, whyPolicies, whyClock} {
			m.facts.Why[what] = needsAPI
		}
	default:
		m.ask(ctx, api)
	}
	m.probe(ctx)
	return m.facts, ctx.Err()
}

// needsAPI is why what only the management API tells is not known; why it does not answer is in View.Unseen.
const needsAPI = "the management API is needed for it, and does not answer"

// measuring is one Measure.
type measuring struct {
	bus     *operator.Bus
	options Options
	needs   map[string]bool
	facts   *Facts
}

func (m *measuring) progress(format string, args ...any) {
	if m.options.Progress != nil {
		m.options.Progress(fmt.Sprintf(format, args...))
	}
}

// view looks at the virtual host, as far as that is possible.
func (m *measuring) view(ctx context.Context) error {
	m.progress("reading the virtual host")
	v, err := m.bus.View(ctx, m.options.Names...)
	var access *operator.AccessError
	switch {
	case errors.As(err, &access) && access.Blind:
		conn, connErr := m.bus.AMQP(ctx)
		if connErr != nil {
			return connErr
		}
		v = &operator.View{Vhost: m.bus.Vhost(), At: time.Now(), Unseen: []string{err.Error()}}
		v.Broker.Product, _ = conn.Properties["product"].(string)
		v.Broker.Version, _ = conn.Properties["version"].(string)
		m.facts.Why[whyView] = needsAPI
	case err != nil:
		return err
	case !v.Full:
		m.facts.Why[whyView] = needsAPI
	case !v.Everybody:
		m.facts.Why[whyNodes] = lacksTag
	}
	m.facts.View = v
	return nil
}

// ask reads what the checks want beyond the view. Old brokers and humble users do not get all of it.
func (m *measuring) ask(ctx context.Context, api *management.Client) {
	f := m.facts
	note := func(what string, err error) {
		if err != nil {
			f.Why[what] = err.Error()
		}
	}
	if m.needs[whyChannels] {
		all, err := api.Channels(ctx)
		note(whyChannels, err)
		f.Channels = listed(all, err)
	}
	if m.needs[whyPolicies] {
		all, err := api.Policies(ctx)
		note(whyPolicies, err)
		f.Policies = listed(all, err)
	}
	if m.needs[whyClock] {
		ahead, within, err := api.Clock(ctx)
		if note(whyClock, err); err == nil {
			f.Clock = &Clock{Ahead: ahead, Error: within}
		}
	}
	if m.needs[whyView] {
		// Brokers before 3.13 have no such list, and then the version tells.
		f.Deprecated, _ = api.DeprecatedFeatures(ctx)
	}
}

// listed is a list as it was read: nil where it was not, and not nil where nothing is on it.
func listed[T any](all []T, err error) []T {
	if err != nil {
		return nil
	}
	return append([]T{}, all...)
}

// probe asks all servers that the view knows.
func (m *measuring) probe(ctx context.Context) {
	f := m.facts
	switch {
	case !m.needs[whyProbes]:
		return
	case m.options.NoProbes:
		f.Why[whyProbes] = "servers were not to be asked"
		return
	}
	var undecided []operator.Server
	for _, t := range f.View.Topics {
		undecided = append(undecided, slices.DeleteFunc(slices.Clone(t.Servers), func(s operator.Server) bool { return !s.Undecided() })...)
	}
	if len(undecided) > 0 {
		m.progress("watching %s that hold messages", counted(len(undecided), "server"))
		if err := m.bus.Decide(ctx, undecided...); err != nil {
			f.Why[whyProbes] = err.Error()
			return
		}
	}
	servers := m.servers()
	if len(servers) == 0 {
		f.Probes = []probe.Answer{}
		if !f.View.Full {
			f.Probes, f.Why[whyProbes] = nil, "it is not known which servers there are; name them as TOPIC.SERVER"
		}
		return
	}
	m.progress("asking %s", counted(len(servers), "server"))
	answers, err := m.answers(ctx, servers)
	if err != nil {
		f.Why[whyProbes] = err.Error()
		return
	}
	f.Probes = answers
}

// waited is how long servers have for their answers.
func (o Options) waited() time.Duration {
	if o.Timeout > 0 {
		return o.Timeout
	}
	return defaultTimeout
}

func (m *measuring) answers(ctx context.Context, servers []probe.Server) ([]probe.Answer, error) {
	conn, err := m.bus.AMQP(ctx)
	if err != nil {
		return nil, err
	}
	p, err := probe.New(conn)
	if err != nil {
		return nil, err
	}
	m.facts.Waited = m.options.waited()
	answers, err := p.Ask(ctx, servers, probe.Options{Timeout: m.facts.Waited}, nil)
	return answers, errors.Join(err, p.Close())
}

// servers are those to ask, with what to ask them for.
func (m *measuring) servers() []probe.Server {
	var all []probe.Server
	for _, t := range m.facts.View.Topics {
		for _, s := range t.Servers {
			if s.Queue.Consumers == 0 {
				continue
			}
			p := t.Probe(s, probe.Endpoint{})
			if p.Endpoint == (probe.Endpoint{}) && m.options.Version != "" {
				p.Endpoint = probe.Endpoint{Namespace: m.options.Namespace, Version: m.options.Version}
			}
			all = append(all, p)
		}
	}
	return all
}
