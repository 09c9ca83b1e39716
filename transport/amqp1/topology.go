package amqp1

import (
	"fmt"
	"strings"

	"github.com/goslo/goslo/transport"
)

// addresses are the parts that addresses are made of, as options name them (AMQP1-05, AMQP1-06).
type addresses struct {
	mode                        string // dynamic, legacy, routable
	vhost                       string // "" = not part of addresses
	exchange                    string // the default one
	rpcExchange, notifyExchange string // those of routable addresses
	server, broadcast, group    string // legacy
	rpc, notify                 string // routable
	multicast, unicast, anycast string // within these
}

// An addresser makes addresses for one broker.
type addresser interface {
	// to is where a message to a Topic, Fanout or Notification address goes.
	to(transport.Address) (string, error)
	// from is where a listener at that address hears it.
	from(transport.Address) (string, error)
	// reply is a reply address of a listener that cannot have a dynamic one: where it listens, and where replies go.
	reply(id string) (listen, send string)
}

// addresser chooses by the broker's product (AMQP1-07): what upstream does for those that it knows, and for RabbitMQ,
// where upstream does not work, addresses that its plugin understands.
func (a addresses) addresser(p product) addresser {
	switch {
	case a.mode == "dynamic" && p.rabbit():
		return rabbitAddresser{a}
	case a.mode == "legacy", a.mode == "dynamic" && p.legacy():
		return legacyAddresser{a}
	}
	return routableAddresser{a}
}

// join leaves empty parts out.
func join(separator string, parts ...string) string {
	var b strings.Builder
	for _, p := range parts {
		if p == "" {
			continue
		}
		if b.Len() > 0 {
			b.WriteString(separator)
		}
		b.WriteString(p)
	}
	return b.String()
}

func or(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}

// A legacyAddresser makes the addresses for qpidd (AMQP1-05). Those of a notification and of a topic of its name are the same.
type legacyAddresser struct{ addresses }

func (a legacyAddresser) to(to transport.Address) (string, error) {
	exchange := or(to.Exchange, a.exchange)
	switch {
	case to.Kind == transport.Fanout:
		return join(".", a.broadcast, a.vhost, exchange, to.Topic, "all"), nil
	case to.Server != "":
		return join(".", a.server, a.vhost, exchange, to.Topic, to.Server), nil
	}
	return join(".", a.group, a.vhost, exchange, to.Topic), nil
}

func (a legacyAddresser) from(at transport.Address) (string, error) { return a.to(at) }

func (a legacyAddresser) reply(id string) (listen, send string) {
	address := join(".", a.server, a.vhost, "reply", id)
	return address, address
}

// A routableAddresser makes the addresses for routers (AMQP1-06, AMQP1-08).
type routableAddresser struct{ addresses }

func (a routableAddresser) to(to transport.Address) (string, error) {
	if to.Kind == transport.Notification {
		return join("/", a.notify+"/"+a.anycast, a.vhost, or(to.Exchange, or(a.notifyExchange, a.exchange)), to.Topic), nil
	}
	exchange := or(to.Exchange, or(a.rpcExchange, a.exchange))
	switch {
	case to.Kind == transport.Fanout:
		return join("/", a.rpc+"/"+a.multicast, a.vhost, exchange, to.Topic), nil
	case to.Server != "":
		return join("/", a.rpc+"/"+a.unicast, a.vhost, exchange, to.Topic, to.Server), nil
	}
	return join("/", a.rpc+"/"+a.anycast, a.vhost, exchange, to.Topic), nil
}

func (a routableAddresser) from(at transport.Address) (string, error) { return a.to(at) }

func (a routableAddresser) reply(id string) (listen, send string) {
	address := join("/", a.rpc+"/"+a.unicast, a.vhost, "reply", id)
	return address, address
}

// A rabbitAddresser makes addresses for RabbitMQ's plugin: queues by name, which listeners declare and senders do not, and
// fanouts by routing keys of amq.direct. The names are the legacy ones, each part escaped, as the plugin takes only
// ASCII and reads a slash.
type rabbitAddresser struct{ addresses }

// maxRabbitName is the most bytes of a queue's name or a routing key on RabbitMQ.
const maxRabbitName = 255

func (a rabbitAddresser) name(to transport.Address) (string, error) {
	exchange := or(to.Exchange, a.exchange)
	first, last := a.group, ""
	switch {
	case to.Kind == transport.Fanout:
		first = a.broadcast
	case to.Server != "":
		first, last = a.server, to.Server
	}
	parts := []string{first, escape(a.vhost), escape(exchange), escape(to.Topic), escape(last)}
	name := join(".", parts...)
	if len(name) > maxRabbitName {
		return "", fmt.Errorf("the name %s has %d bytes, and RabbitMQ takes %d", name, len(name), maxRabbitName)
	}
	return name, nil
}

func (a rabbitAddresser) to(to transport.Address) (string, error) {
	name, err := a.name(to)
	if to.Kind == transport.Fanout {
		return "/exchange/amq.direct/" + name, err
	}
	return "/amq/queue/" + name, err
}

func (a rabbitAddresser) from(at transport.Address) (string, error) {
	name, err := a.name(at)
	if at.Kind == transport.Fanout {
		return "/exchange/amq.direct/" + name, err
	}
	return "/queue/" + name, err
}

func (a rabbitAddresser) reply(id string) (listen, send string) {
	return "/queue/reply_" + id, "/amq/queue/reply_" + id
}

// escape writes a name as one part: all but ASCII letters, digits, - and _ becomes %XX.
func escape(name string) string {
	const hexDigits = "0123456789ABCDEF"
	var b strings.Builder
	for i := range len(name) {
		c := name[i]
		if 'a' <= c|0x20 && c|0x20 <= 'z' || '0' <= c && c <= '9' || c == '-' || c == '_' {
			b.WriteByte(c)
		} else {
			b.Write([]byte{'%', hexDigits[c>>4], hexDigits[c&15]})
		}
	}
	return b.String()
}
