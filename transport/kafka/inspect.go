package kafka

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"

	"github.com/goslo/goslo/transport"
)

// Inspect implements [transport.Inspector], for addresses of notifications. Waiting is what the topic holds and the group of the address has not
// acknowledged; how many listen can be told where the login may describe groups.
func (c *Conn) Inspect(ctx context.Context, at transport.Address) (transport.AddressState, error) {
	s, err := c.inspect(ctx, at)
	if err != nil {
		return s, fmt.Errorf("kafka: inspect %s: %w", at, err)
	}
	return s, nil
}

func (c *Conn) inspect(ctx context.Context, at transport.Address) (transport.AddressState, error) {
	s := transport.AddressState{Listeners: -1, Waiting: -1}
	if at.Kind != transport.Notification {
		return s, errNoRPC
	}
	topic, err := c.settings.topicName(at)
	if err != nil {
		return s, err
	}
	if err := c.await(ctx); err != nil {
		return s, err
	}
	topics, err := c.admin.ListTopics(ctx, topic)
	if err != nil {
		return s, err
	}
	if err := topics[topic].Err; errors.Is(err, kerr.UnknownTopicOrPartition) || !topics.Has(topic) {
		return transport.AddressState{}, nil
	}
	s.Exists = true
	group := cmp.Or(at.Pool, c.settings.group)
	if s.Waiting, err = c.waiting(ctx, group, topic); err != nil {
		return s, err
	}
	groups, err := c.admin.DescribeGroups(ctx, group)
	if err == nil {
		err = groups[group].Err
	}
	if err != nil && !errors.Is(err, kerr.GroupIDNotFound) {
		return s, nil // it is more than sending needs, and may be forbidden
	}
	s.Listeners = 0
	for _, m := range groups[group].Members {
		if joined, ok := m.Join.AsConsumer(); ok && slices.Contains(joined.Topics, topic) {
			s.Listeners++
		}
	}
	return s, nil
}

// waiting is how many records lie after the group's positions.
func (c *Conn) waiting(ctx context.Context, group, topic string) (int, error) {
	begins, err := c.admin.ListStartOffsets(ctx, topic)
	if err != nil {
		return -1, err
	}
	ends, err := c.admin.ListEndOffsets(ctx, topic)
	if err != nil {
		return -1, err
	}
	positions, err := c.positions(ctx, group, topic)
	if err != nil {
		return -1, err
	}
	n := 0
	ends.Each(func(end kadm.ListedOffset) {
		begin, _ := begins.Lookup(topic, end.Partition)
		from := begin.Offset
		if o, ok := positions.Lookup(topic, end.Partition); ok && o.Err == nil {
			from = max(from, o.At)
		}
		n += int(max(end.Offset-from, 0))
	})
	return n, nil
}
