package kafka

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/goslo/goslo/transport"
)

const (
	// sessionTimeout is after how long without a sign of life the group takes a member's partitions from it.
	sessionTimeout = 10 * time.Second
	// heartbeat is how often a member gives one, and learns that others have come or gone.
	heartbeat = time.Second
	// defaultPrefetch is that of transport.ListenOptions.
	defaultPrefetch = 64
	// topicPause is how long to wait for the leaders of a topic that was just made.
	topicPause = 100 * time.Millisecond
)

// Listen implements [transport.Transport]. A listener is a member of the consumer group of its pool, or of consumer_group. That group begins with what
// the topic still holds, other than upstream, and a pool with what comes after its first Listen.
func (c *Conn) Listen(ctx context.Context, from transport.Address, o transport.ListenOptions) (transport.Listener, error) {
	l, err := c.listen(ctx, from, o)
	if err != nil {
		return nil, fmt.Errorf("kafka: listen at %s: %w", from, err)
	}
	return l, nil
}

func (c *Conn) listen(ctx context.Context, from transport.Address, o transport.ListenOptions) (*listener, error) {
	if from.Kind != transport.Notification {
		return nil, errNoRPC
	}
	topic, err := c.settings.topicName(from)
	if err != nil {
		return nil, err
	}
	if err := o.Check(from); err != nil {
		return nil, err
	}
	if err := c.await(ctx); err != nil {
		return nil, err
	}
	m := membership{at: from, topic: topic, group: cmp.Or(from.Pool, c.settings.group), prefetch: cmp.Or(o.Prefetch, defaultPrefetch), temporary: o.Temporary}
	var partitions []int32
	if partitions, m.id, err = c.ensureTopic(ctx, topic); err != nil {
		return nil, err
	}
	if m.temporary {
		c.forget(ctx, m.group) // what one that was killed has left
	}
	if m.starts, err = c.anchor(ctx, m, partitions); err != nil {
		return nil, err
	}
	l := newListener(c, m)
	whole, abort := context.WithCancel(context.WithoutCancel(ctx))
	l.life.abort = abort
	client, err := kgo.NewClient(append(c.settings.client(c.log),
		kgo.WithContext(whole),
		kgo.WithHooks(l, hooks{c}),
		kgo.ConsumerGroup(l.group),
		kgo.ConsumeTopics(topic),
		kgo.ConsumeStartOffset(kgo.NewOffset().AtStart()),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), // rather twice than never
		// Python's members know range and roundrobin alone; ours keep, among themselves, what they have when others come and go.
		kgo.Balancers(kgo.CooperativeStickyBalancer(), kgo.RoundRobinBalancer(), kgo.RangeBalancer()),
		kgo.SessionTimeout(sessionTimeout),
		kgo.HeartbeatInterval(heartbeat),
		kgo.FetchMaxPartitionBytes(int32(c.settings.consumer.bytes)),
		kgo.FetchMaxWait(c.settings.consumer.wait),
		kgo.DisableAutoCommit(),
		kgo.BlockRebalanceOnPoll(), // so that what was fetched is in the ledgers before its partition can go
		kgo.OnOffsetsFetched(l.fetched),
		kgo.AdjustFetchOffsetsFn(l.begin),
		kgo.OnPartitionsAssigned(l.assigned),
		kgo.OnPartitionsRevoked(l.revoked),
		kgo.OnPartitionsLost(l.partitionsLost),
	)...)
	if err != nil {
		abort()
		return nil, err
	}
	l.client = client
	c.mu.Lock()
	open := c.listeners != nil
	if open {
		c.listeners[l] = struct{}{}
		l.start(ctx)
	}
	c.mu.Unlock()
	if !open {
		abort()
		client.Close()
		return nil, transport.ErrClosed
	}
	return l, nil
}

// ensureTopic has the broker make the topic, if it does so by itself, and returns its partitions once they have leaders, and its id, where the broker has
// such.
func (c *Conn) ensureTopic(ctx context.Context, topic string) (partitions []int32, id [16]byte, err error) {
	for {
		request := kmsg.NewPtrMetadataRequest()
		request.AllowAutoTopicCreation = true
		wanted := kmsg.NewMetadataRequestTopic()
		wanted.Topic = kmsg.StringPtr(topic)
		request.Topics = append(request.Topics, wanted)
		answer, err := request.RequestWith(ctx, c.client)
		if err != nil {
			return nil, id, err
		}
		partitions, err := leaders(answer)
		switch {
		case err == nil:
			return partitions, answer.Topics[0].TopicID, nil
		case errors.Is(err, kerr.UnknownTopicOrPartition):
			return nil, id, noTopic(topic, err)
		case !kerr.IsRetriable(err):
			return nil, id, fmt.Errorf("topic %s: %w", topic, err)
		}
		if !rest(ctx, topicPause) {
			return nil, id, fmt.Errorf("%w: topic %s: %w", context.Cause(ctx), topic, err)
		}
	}
}

// leaders are the partitions of the topic in an answer, or why one cannot be used.
func leaders(answer *kmsg.MetadataResponse) ([]int32, error) {
	if len(answer.Topics) != 1 {
		return nil, kerr.LeaderNotAvailable
	}
	t := answer.Topics[0]
	if err := kerr.ErrorForCode(t.ErrorCode); err != nil {
		return nil, err
	}
	var partitions []int32
	for _, p := range t.Partitions {
		if err := kerr.ErrorForCode(p.ErrorCode); errors.Is(err, kerr.LeaderNotAvailable) {
			return nil, err
		}
		partitions = append(partitions, p.Partition)
	}
	if len(partitions) == 0 {
		return nil, kerr.LeaderNotAvailable
	}
	return partitions, nil
}

// anchor makes sure that a group that has never been at a topic begins where Listen promises, also when its first member has read nothing yet: without
// a pool at the beginning, and in a pool at the end as it is now. It returns those offsets, for partitions that come without a position all the
// same, because a Python member that has none yet is in the group.
//
// They are asked for before the position: when somebody else anchors the group meanwhile, ours are none that lie after its.
func (c *Conn) anchor(ctx context.Context, m membership, partitions []int32) (map[int32]int64, error) {
	group, topic := m.group, m.topic
	list := c.admin.ListStartOffsets
	if m.at.Pool != "" {
		list = c.admin.ListEndOffsets
	}
	listed, err := list(ctx, topic)
	if err == nil {
		err = listed.Error()
	}
	if err != nil {
		return nil, fmt.Errorf("ask for the offsets of topic %s: %w", topic, err)
	}
	known, err := c.positions(ctx, group, topic)
	if err != nil {
		return nil, err
	}
	been := slices.ContainsFunc(partitions, func(p int32) bool {
		o, ok := known.Lookup(topic, p)
		return ok && o.At >= 0
	})
	if been { // a partition without a position is newer than the group, and belongs to it from its beginning
		return nil, nil
	}
	starts, offsets := map[int32]int64{}, kadm.Offsets{}
	listed.Each(func(o kadm.ListedOffset) {
		starts[o.Partition] = o.Offset
		offsets.AddOffset(topic, o.Partition, o.Offset, unknown)
	})
	answer, err := c.admin.CommitOffsets(ctx, group, offsets)
	if err == nil {
		err = answer.Error()
	}
	if err != nil && !errors.Is(err, kerr.UnknownMemberID) && !errors.Is(err, kerr.IllegalGeneration) && !errors.Is(err, kerr.RebalanceInProgress) { // those say that the group has members
		return nil, fmt.Errorf("note the position of group %s: %w", group, err)
	}
	return starts, nil
}

// forget deletes a group, unless it has members. The broker does so by itself, some days after the last one has left; until then it keeps a few
// numbers, and no notifications for it.
func (c *Conn) forget(ctx context.Context, group string) {
	if _, err := c.admin.DeleteGroup(ctx, group); err != nil && !errors.Is(err, kerr.NonEmptyGroup) && !errors.Is(err, kerr.GroupIDNotFound) {
		c.log.Debug("kafka: group of a temporary pool not deleted", "group", group, "error", err)
	}
}

// positions are those of a group at a topic. A group that there is not has none.
func (c *Conn) positions(ctx context.Context, group, topic string) (kadm.OffsetResponses, error) {
	known, err := c.admin.FetchOffsetsForTopics(ctx, group, topic)
	if err == nil {
		err = known.Error()
	}
	switch {
	case errors.Is(err, kerr.GroupIDNotFound):
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("ask for the position of group %s: %w", group, err)
	}
	return known, nil
}

// handedMark begins the metadata of our commits: how far records were handed over, so that who has the partition next knows which of them come
// again. Others' members write none.
const handedMark = "goslo handed="

func parseHanded(metadata *string) int64 {
	if metadata == nil {
		return unknown
	}
	text, ok := strings.CutPrefix(*metadata, handedMark)
	n, err := strconv.ParseInt(text, 10, 64)
	if !ok || err != nil {
		return unknown
	}
	return n
}
