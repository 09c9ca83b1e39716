package kafka

import (
	"fmt"
	"strings"

	"github.com/goslo/goslo/transport"
)

// longestTopic is Kafka's limit.
const longestTopic = 249

// topicName is the topic of notifications: topic.priority, and .vhost where the URL has one, when sending (KAFKA-02) and, other than upstream
// and as its documentation says, when listening (KAFKA-03). Exchanges do not count, as upstream. The error wraps transport.ErrRejected.
func (s *settings) topicName(a transport.Address) (string, error) {
	if a.Topic == "" {
		return "", fmt.Errorf("%w: the address names no topic", transport.ErrRejected)
	}
	name := a.Topic
	if s.vhost != "" {
		name += "." + s.vhost
	}
	bad := strings.IndexFunc(name, func(r rune) bool {
		switch {
		case 'a' <= r && r <= 'z', 'A' <= r && r <= 'Z', '0' <= r && r <= '9', r == '.', r == '_', r == '-':
			return false
		}
		return true
	})
	switch {
	case bad >= 0:
		return "", fmt.Errorf("%w: Kafka has no topic %q: it may have letters, digits, '.', '_' and '-'", transport.ErrRejected, name)
	case len(name) > longestTopic:
		return "", fmt.Errorf("%w: topic %q has %d characters, and Kafka's have %d at most", transport.ErrRejected, name, len(name), longestTopic)
	case name == "." || name == "..":
		return "", fmt.Errorf("%w: Kafka has no topic %q", transport.ErrRejected, name)
	}
	return name, nil
}

// address is where a record of a topic was sent to.
func (s *settings) address(topic string) transport.Address {
	if s.vhost != "" {
		topic = strings.TrimSuffix(topic, "."+s.vhost)
	}
	return transport.Address{Kind: transport.Notification, Topic: topic}
}
