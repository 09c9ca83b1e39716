package kafka

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

const (
	// commitTimeout is how long the broker may take over a commit.
	commitTimeout = 5 * time.Second
	// commitPause is the pause after a commit that was refused.
	commitPause = time.Second
	// lazyCommit is how often there is a commit with enable_auto_commit: as often as upstream's library commits by itself.
	lazyCommit = 5 * time.Second
	// leaveTimeout is how long leaving a group may take, the last commit included.
	leaveTimeout = 10 * time.Second
)

// A committer tells the broker what is settled: one commit at a time, of all that was settled meanwhile.
type committer struct {
	changed chan struct{} // holds one
	turn    chan struct{} // holds one while somebody commits
}

// commits commits what is settled, until ctx ends.
func (l *listener) commits(ctx context.Context) {
	silent := false
	for {
		select {
		case <-l.unsettled.changed:
		case <-ctx.Done():
			return
		}
		if l.conn.settings.consumer.lazy && !rest(ctx, lazyCommit) {
			return
		}
		l.unsettled.turn <- struct{}{}
		err := l.commit(ctx, nil, false)
		<-l.unsettled.turn
		switch {
		case ctx.Err() != nil:
			return
		case err == nil:
			silent = false
			continue
		case !silent && !rebalancing(err):
			silent = true
			l.conn.log.Warn("kafka: what was acknowledged is not committed, will try on", "listener", l.at.String(), "group", l.group, "error", err)
		}
		if !rest(ctx, commitPause) {
			return
		}
		signal(l.unsettled.changed)
	}
}

// rebalancing says that a commit was refused because the group is being rebalanced, which ends by itself.
func rebalancing(err error) bool {
	return errors.Is(err, kerr.RebalanceInProgress) || errors.Is(err, kerr.IllegalGeneration) || errors.Is(err, kerr.UnknownMemberID)
}

// rest waits, and reports whether ctx has not ended.
func rest(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// commit commits the positions of the partitions given, of all without any, that the broker does not know; with all, also where only what was handed
// over has changed. It needs the turn.
func (l *listener) commit(ctx context.Context, only []int32, all bool) error {
	positions, handed := map[int32]kgo.EpochOffset{}, map[int32]int64{}
	l.mu.Lock()
	for p, g := range l.account.ledgers {
		if g.dirty(all) && (only == nil || slices.Contains(only, p)) {
			positions[p] = kgo.EpochOffset{Epoch: unknown, Offset: g.position()}
			handed[p] = g.delivered
		}
	}
	l.mu.Unlock()
	if len(positions) == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, commitTimeout)
	defer cancel()
	ctx = kgo.PreCommitFnContext(ctx, func(r *kmsg.OffsetCommitRequest) error {
		for i := range r.Topics {
			for j := range r.Topics[i].Partitions {
				p := &r.Topics[i].Partitions[j]
				if n := handed[p.Partition]; n != unknown {
					p.Metadata = kmsg.StringPtr(handedMark + strconv.FormatInt(n, 10))
				}
			}
		}
		return nil
	})
	var problem error
	l.client.CommitOffsetsSync(ctx, map[string]map[int32]kgo.EpochOffset{l.topic: positions}, func(_ *kgo.Client, _ *kmsg.OffsetCommitRequest, answer *kmsg.OffsetCommitResponse, err error) {
		if err != nil {
			problem = err
			return
		}
		l.mu.Lock()
		defer l.mu.Unlock()
		for _, t := range answer.Topics {
			for _, p := range t.Partitions {
				if err := kerr.ErrorForCode(p.ErrorCode); err != nil {
					problem = err
					continue
				}
				if g := l.account.ledgers[p.Partition]; g != nil {
					g.committed, g.known = positions[p.Partition].Offset, handed[p.Partition]
				}
			}
		}
	})
	return problem
}

// revoked implements [kgo.OnPartitionsRevoked]: what is settled is committed while the partitions are still ours.
func (l *listener) revoked(ctx context.Context, _ *kgo.Client, gone map[string][]int32) {
	list := gone[l.topic]
	if len(list) == 0 {
		return
	}
	l.unsettled.turn <- struct{}{}
	err := l.commit(ctx, list, true)
	l.give(list)
	<-l.unsettled.turn
	l.conn.log.Info("kafka: partitions given up", "listener", l.at.String(), "group", l.group, "partitions", list)
	if err != nil {
		l.conn.log.Warn("kafka: what was acknowledged is not committed, and comes again", "listener", l.at.String(), "group", l.group, "error", err)
	}
}

// partitionsLost implements [kgo.OnPartitionsLost]: others may have them already.
func (l *listener) partitionsLost(_ context.Context, _ *kgo.Client, gone map[string][]int32) {
	if list := gone[l.topic]; len(list) > 0 {
		l.give(list)
		l.conn.log.Warn("kafka: partitions lost; what was not committed comes again", "listener", l.at.String(), "group", l.group, "partitions", list)
	}
}

// give takes partitions off the account. What waits for Next goes with them.
func (l *listener) give(list []int32) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, p := range list {
		l.account.give(p)
	}
	signal(l.room)
}

// give takes a partition off the account. The mutex is held.
func (a *account) give(partition int32) {
	if g := a.ledgers[partition]; g != nil {
		before := len(g.entries)
		g.give()
		a.held -= before - len(g.entries)
		a.sweep()
	}
}
