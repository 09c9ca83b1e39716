package operator

import (
	"slices"
	"strings"

	"github.com/goslo/goslo/internal/management"
)

// priorities are those of notifications, which end the names of their queues (oslo_messaging/notify/notifier.py).
var priorities = []string{"audit", "debug", "info", "warn", "error", "critical", "sample"}

// ownArguments are those that oslo.messaging gives queues (RMQ-TOPO-11 to 15). Queues with others are somebody else's.
var ownArguments = []string{
	"x-expires", "x-ha-policy", "x-queue-type", "x-delivery-limit", "x-max-in-memory-length", "x-max-in-memory-bytes", "x-max-age",
}

const (
	replyPrefix  = "reply_"
	fanoutSuffix = "_fanout"
)

// isUnique says whether a text is what oslo.messaging ends the names of a process's own queues with: 32 hexadecimal digits,
// or host:process:number of its queue manager (RMQ-TOPO-05, 20).
func isUnique(text string) bool {
	if len(text) == 32 && strings.Trim(text, "0123456789abcdef") == "" {
		return true
	}
	host, rest, ok := strings.Cut(text, ":")
	if !ok || host == "" {
		return false
	}
	last := strings.LastIndexByte(rest, ':')
	return last > 0 && last < len(rest)-1 && strings.Trim(rest[last+1:], "0123456789") == ""
}

// fanoutTopic takes the topic out of the name of a server's own fanout queue.
func fanoutTopic(queue string) (topic string, ok bool) {
	for rest := queue; ; {
		i := strings.LastIndex(rest, fanoutSuffix+"_")
		if i <= 0 {
			return "", false
		}
		if isUnique(queue[i+len(fanoutSuffix)+1:]) {
			return queue[:i], true
		}
		rest = rest[:i]
	}
}

// A classifier tells what queues are for, by their names, arguments and bindings.
type classifier struct {
	exchanges map[string]string               // names to types
	bindings  map[string][]management.Binding // of queues
	topics    map[string]bool                 // those that have a fanout
	named     map[string]string               // queues that are bound by their own name, to the exchange
	rpc       map[string]bool                 // exchanges that surely carry oslo.messaging's
}

func newClassifier(queues []management.Queue, exchanges []management.Exchange, bindings []management.Binding) *classifier {
	c := &classifier{
		exchanges: make(map[string]string), bindings: make(map[string][]management.Binding),
		topics: make(map[string]bool), named: make(map[string]string), rpc: make(map[string]bool),
	}
	for _, x := range exchanges {
		c.exchanges[x.Name] = x.Type
		if topic, ok := strings.CutSuffix(x.Name, fanoutSuffix); ok && x.Type == "fanout" && topic != "" {
			c.topics[topic] = true
		}
	}
	for _, b := range bindings {
		if b.Kind == "queue" {
			c.bindings[b.Destination] = append(c.bindings[b.Destination], b)
		}
	}
	for _, q := range queues {
		if topic, ok := fanoutTopic(q.Name); ok {
			c.topics[topic] = true
		}
		if !isOwn(q) {
			continue
		}
		for _, b := range c.bindings[q.Name] {
			if b.RoutingKey == q.Name && c.exchanges[b.Source] == "topic" {
				c.named[q.Name] = b.Source
			}
		}
	}
	for queue, exchange := range c.named {
		if _, _, ok := c.serverOf(queue); ok || c.topics[queue] {
			c.rpc[exchange] = true
		}
	}
	return c
}

// isOwn says whether a queue is declared as oslo.messaging would.
func isOwn(q management.Queue) bool {
	for name := range q.Arguments {
		if !slices.Contains(ownArguments, name) {
			return false
		}
	}
	return !q.Exclusive
}

// serverOf divides the name of a server's queue. Topics and servers may both hold dots; the longest topic that is one counts.
func (c *classifier) serverOf(queue string) (topic, server string, ok bool) {
	for i := strings.LastIndexByte(queue, '.'); i > 0; i = strings.LastIndexByte(queue[:i], '.') {
		if c.topics[queue[:i]] {
			return queue[:i], queue[i+1:], i+1 < len(queue)
		}
	}
	// Fanout exchanges go with their last queue; the queues of topic and server stay.
	for i := strings.LastIndexByte(queue, '.'); i > 0; i = strings.LastIndexByte(queue[:i], '.') {
		if exchange, is := c.named[queue[:i]]; is && exchange == c.named[queue] {
			return queue[:i], queue[i+1:], i+1 < len(queue)
		}
	}
	return "", "", false
}

// priorityOf divides the name of a notification queue, or the key of a pool's.
func priorityOf(name string) (topic, priority string, ok bool) {
	i := strings.LastIndexByte(name, '.')
	if i <= 0 || !slices.Contains(priorities, name[i+1:]) {
		return "", "", false
	}
	return name[:i], name[i+1:], true
}

// classify fills in what the queue is for.
func (c *classifier) classify(q *Queue, row management.Queue) {
	q.Kind = KindOther
	bindings := c.bindings[q.Name]
	if len(bindings) > 0 {
		q.Exchange = bindings[0].Source
	}
	switch {
	case c.isReply(q.Name):
		q.Kind = KindReply
		return
	case c.isFanout(q):
		q.Kind = KindFanout
		return
	case !isOwn(row):
		return
	}
	if exchange, ok := c.named[q.Name]; ok {
		q.Exchange = exchange
		c.classifyNamed(q)
		return
	}
	c.classifyPool(q, bindings)
}

func (c *classifier) isReply(name string) bool {
	unique, ok := strings.CutPrefix(name, replyPrefix)
	return ok && isUnique(unique) && len(c.bindings[name]) == 0
}

// isFanout recognizes a server's own fanout queue, and the stream that servers share, and fills in the topic.
func (c *classifier) isFanout(q *Queue) bool {
	for _, b := range c.bindings[q.Name] {
		topic, ok := strings.CutSuffix(b.Source, fanoutSuffix)
		if ok && c.exchanges[b.Source] == "fanout" && topic != "" && (q.Name == b.Source || strings.HasPrefix(q.Name, b.Source+"_")) {
			q.Topic, q.Exchange = topic, b.Source
			return true
		}
	}
	topic, ok := fanoutTopic(q.Name)
	if ok && len(c.bindings[q.Name]) == 0 {
		q.Topic = topic // somebody deleted the binding, or the exchange
		return true
	}
	return false
}

// classifyNamed is about queues that are bound by their own name to a topic exchange: those of topics, servers and notifications.
func (c *classifier) classifyNamed(q *Queue) {
	if c.topics[q.Name] {
		q.Kind, q.Topic = KindTopic, q.Name
		return
	}
	if topic, server, ok := c.serverOf(q.Name); ok {
		q.Kind, q.Topic, q.Server = KindServer, topic, server
		return
	}
	if topic, priority, ok := priorityOf(q.Name); ok {
		q.Kind, q.Topic, q.Priority = KindNotification, topic, priority
		return
	}
	for other, exchange := range c.named {
		if strings.HasPrefix(other, q.Name+".") && exchange == q.Exchange {
			if _, _, notification := priorityOf(other); !notification {
				q.Kind, q.Topic = KindTopic, q.Name
				return
			}
		}
	}
	if c.rpc[q.Exchange] {
		q.Kind, q.Topic = KindTopic, q.Name // of whose servers nothing is left
	}
}

// classifyPool is about queues with another name than their keys: those of pools of listeners.
func (c *classifier) classifyPool(q *Queue, bindings []management.Binding) {
	topic := ""
	for _, b := range bindings {
		t, _, ok := priorityOf(b.RoutingKey)
		if !ok || c.exchanges[b.Source] != "topic" || strings.ContainsAny(b.RoutingKey, "*#") {
			return
		}
		topic = t
	}
	if topic != "" {
		q.Kind, q.Topic = KindNotification, topic
	}
}
