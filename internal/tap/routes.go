package tap

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/goslo/goslo/internal/management"
)

// A Route is a way by which messages reach a queue.
type Route struct {
	Exchange string
	Key      string
	// Queue is what the route leads to, beside the tap; while it is gone the route is not bound. "" = nobody looks, and what is published as
	// mandatory, and by this route reaches the tap alone, is not returned to its sender.
	Queue string
	// Served says that the route ends as well when nobody consumes from Queue: it leads to what such a consumer has besides.
	Served bool
}

// A Looker looks at queues by plain AMQP.
type Looker interface {
	// Queue says how many consume from a queue, -1 = it is not told, and whether there is one.
	Queue(name string) (consumers int, exists bool, err error)
}

// A Finder says which routes there are now. It must keep to what look can do, or use a connection of its own.
type Finder func(ctx context.Context, look Looker) ([]Route, error)

// fanoutSuffix ends the names of exchanges of fanouts (RMQ-TOPO-04).
const fanoutSuffix = "_fanout"

// priorities end the names of queues of notifications, which are no requests.
var priorities = []string{".audit", ".debug", ".info", ".warn", ".error", ".critical", ".sample"}

// Listed finds all routes of the patterns' topics, their servers and fanouts included, by the management API, in one request. A pattern is a topic,
// or a queue's name, in which * stands for any text (compute, compute.cmp-1, cinder-*); without any, every topic counts.
func Listed(api *management.Client, patterns []string) Finder {
	return func(ctx context.Context, _ Looker) ([]Route, error) {
		bindings, err := api.Bindings(ctx)
		if err != nil {
			return nil, err
		}
		return routesOf(bindings, patterns), nil
	}
}

// Topics tells how to take routing keys apart, by the topics that the virtual host has now.
func Topics(ctx context.Context, api *management.Client) (split func(key string) (topic, server string), err error) {
	bindings, err := api.Bindings(ctx)
	if err != nil {
		return nil, err
	}
	return topicsOf(bindings).split, nil
}

func topicsOf(bindings []management.Binding) topics {
	known := topics{}
	for _, b := range bindings {
		if isRequests(b) {
			known.add(b.RoutingKey)
		}
	}
	return known
}

func routesOf(bindings []management.Binding, patterns []string) []Route {
	known := topicsOf(bindings)
	found := map[binding]Route{}
	for _, b := range bindings {
		at := binding{b.Source, b.RoutingKey}
		topic, isFanout := strings.CutSuffix(b.Source, fanoutSuffix)
		switch {
		case strings.HasPrefix(b.Destination, QueuePrefix):
		case isFanout && Means(patterns, Target{Topic: topic}):
			found[at] = Route{Exchange: b.Source, Key: b.RoutingKey} // of many queues, which come and go
		case isRequests(b):
			if topic, server := known.split(b.RoutingKey); Means(patterns, Target{Topic: topic, Server: server}) {
				found[at] = Route{Exchange: b.Source, Key: b.RoutingKey, Queue: b.Destination}
			}
		}
	}
	return slices.SortedFunc(maps.Values(found), func(a, b Route) int {
		return cmp.Or(cmp.Compare(a.Exchange, b.Exchange), cmp.Compare(a.Key, b.Key))
	})
}

// isRequests says that requests go this way: to a queue that is named as the key, and is none of notifications.
func isRequests(b management.Binding) bool {
	return b.Kind == "queue" && b.Destination == b.RoutingKey && !strings.HasSuffix(b.Source, fanoutSuffix) && !strings.HasPrefix(b.Source, "amq.") &&
		!slices.ContainsFunc(priorities, func(p string) bool { return strings.HasSuffix(b.RoutingKey, p) })
}

// Means says whether one of the patterns means a target, as for [Listed].
func Means(patterns []string, to Target) bool {
	queue := to.Topic
	if to.Server != "" {
		queue += "." + to.Server
	}
	return len(patterns) == 0 || slices.ContainsFunc(patterns, func(p string) bool {
		p = queueName(strings.ReplaceAll(p, "#", "*"))
		ofTopic, _ := path.Match(p, to.Topic)
		ofQueue, _ := path.Match(p, queue)
		return ofTopic || ofQueue
	})
}

// queueName is what the queue of topic/server is called.
func queueName(target string) string { return strings.Replace(target, "/", ".", 1) }

// Named finds the routes of what is named, a topic, topic.server or topic/server, by plain AMQP: the queues of these names in one exchange, and the fanouts of those that
// are served. A name with * in it is a key of the exchange, as [Route] without a queue. Servers of a topic that are not named are not found.
func Named(exchange string, names []string) Finder {
	return func(_ context.Context, look Looker) ([]Route, error) {
		var routes []Route
		for _, name := range names {
			name = queueName(name)
			if strings.ContainsAny(name, "*#") {
				routes = append(routes, Route{Exchange: exchange, Key: name})
				continue
			}
			consumers, exists, err := look.Queue(name)
			if err != nil {
				return nil, fmt.Errorf("look at queue %s: %w", name, err)
			}
			if exists {
				routes = append(routes, Route{Exchange: exchange, Key: name, Queue: name})
			}
			if consumers > 0 {
				routes = append(routes, Route{Exchange: name + fanoutSuffix, Queue: name, Served: true})
			}
		}
		return routes, nil
	}
}

// follow binds what routes name, and unbinds what they no longer do.
func (t *Tap) follow(routes []Route) error {
	want := map[binding]Route{}
	known := topics{}
	for _, r := range routes {
		want[binding{r.Exchange, r.Key}] = r
		if r.Queue != "" && !strings.HasSuffix(r.Exchange, fanoutSuffix) {
			known.add(r.Key)
		}
	}
	t.mu.Lock()
	t.topics = known
	have := maps.Clone(t.bound)
	t.mu.Unlock()
	for at, r := range want {
		if have[at] != nil {
			continue
		}
		if err := t.bind(at, r); err != nil {
			return err
		}
	}
	for at, b := range have {
		if _, ok := want[at]; !ok {
			if err := t.unbind(at, b); err != nil {
				return err
			}
		}
	}
	return nil
}

func (t *Tap) bind(at binding, r Route) error {
	err := t.tending.do(func(ch *amqp.Channel) error { return ch.QueueBind(t.own.messages, at.key, at.exchange, false, nil) })
	if refusedWith(err) == amqp.NotFound {
		return nil // the exchange has gone meanwhile
	}
	if err != nil {
		return fmt.Errorf("bind to exchange %s with key %q: %w", at.exchange, at.key, err)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.bound[at] = &bound{Route: r, seen: time.Now()}
	delete(t.gone, at)
	return nil
}

// unbind takes back a route whose queue has gone, and tells what came by it since that was last there.
func (t *Tap) unbind(at binding, b *bound) error {
	err := t.tending.do(func(ch *amqp.Channel) error { return ch.QueueUnbind(t.own.messages, at.key, at.exchange, nil) })
	if err != nil && refusedWith(err) != amqp.NotFound {
		return fmt.Errorf("unbind from exchange %s with key %q: %w", at.exchange, at.key, err)
	}
	t.mu.Lock()
	delete(t.bound, at)
	n := Notice{Time: time.Now(), Since: b.seen, Route: b.Route, Unanswered: b.came}
	recent := b.recent
	fanout := strings.HasSuffix(at.exchange, fanoutSuffix)
	if !fanout {
		t.gone[at] = true
	}
	t.mu.Unlock()
	if fanout {
		return nil // nobody is told of a fanout that reaches nobody
	}
	n.Text = fmt.Sprintf("queue %s has gone; its key is no longer tapped", b.Queue)
	if n.Unanswered > 0 {
		names := make([]string, len(recent))
		for i, d := range recent {
			names[i] = nameOf(d)
		}
		n.Text += fmt.Sprintf(". %d came by it since %s, when it was last there, and perhaps to nobody but this tap; if so, senders that count on their "+
			"return (Goslo's, and oslo.messaging's with at_least_once) wait for their timeout instead: %s",
			n.Unanswered, n.Since.Format(time.TimeOnly), strings.Join(names, ", "))
	}
	t.config.Notice(n)
	return nil
}

// topics are the routing keys that lead to queues.
type topics map[string]bool

func (k topics) add(key string) { k[key] = true }

// split takes a key apart: the server is what follows the longest of the other keys and a dot. Of a key that has none, and is not known itself, it is
// what follows the first dot.
func (k topics) split(key string) (topic, server string) {
	for end := len(key) - 1; end > 0; end-- {
		if key[end] == '.' && k[key[:end]] {
			return key[:end], key[end+1:]
		}
	}
	if k[key] {
		return key, ""
	}
	topic, server, _ = strings.Cut(key, ".")
	return topic, server
}
