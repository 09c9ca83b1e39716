package rabbit

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/goslo/goslo/transport"
	"github.com/goslo/goslo/wire"
)

// A namer gives reply and fanout queues names that are the same after a restart: host:process:1, host:process:2
// and so on (RMQ-TOPO-20). Each is the number of a lock file, held while its listener lives, so that no two
// listeners of this machine share a queue, in one process or in several; oslo.messaging counts in a file
// instead, and counts from 1 again for a second process of the same name (RMQ-TOPO-21, 22).
type namer struct{ host, process string }

// maxNames is where looking for a free number ends.
const maxNames = 10_000

// take returns the first free name from number from on, and what gives it back.
func (n *namer) take(from int) (name string, number int, giveBack func(), err error) {
	dir := "/dev/shm" // like oslo.messaging, in memory: a restart of the machine leaves nothing behind
	if info, err := os.Stat(dir); err != nil || !info.IsDir() {
		dir = os.TempDir()
	}
	file := strings.NewReplacer("/", "_", `\`, "_").Replace(n.host + "_" + n.process)
	for number = from; number < maxNames; number++ {
		path := filepath.Join(dir, file+"_"+strconv.Itoa(number)+".goslo")
		f, ok, err := lockFile(path)
		if errors.Is(err, os.ErrPermission) {
			continue // another user's
		}
		if err != nil {
			return "", 0, nil, fmt.Errorf("use_queue_manager: %w", err)
		}
		if ok {
			return fmt.Sprintf("%s:%s:%d", n.host, n.process, number), number, func() { _ = f.Close() }, nil // nothing was written
		}
	}
	return "", 0, nil, fmt.Errorf("use_queue_manager: all %d names of %s:%s are taken", maxNames, n.host, n.process)
}

// unique returns what the name of a listener's own queue ends with, and what is to be called when it is over.
func (t *Transport) unique(ctx context.Context, from transport.Address) (string, func(), error) {
	n := t.settings.topology.names
	if n == nil || from.Kind == transport.Topic && t.settings.topology.stream {
		return wire.NewID(), func() {}, nil
	}
	for next := 1; ; next++ {
		name, number, giveBack, err := n.take(next)
		if err != nil {
			return "", nil, err
		}
		free, err := t.free(ctx, t.settings.topology.queues(from, name))
		if err == nil && free {
			return name, giveBack, nil
		}
		giveBack()
		if err != nil {
			return "", nil, err
		}
		t.log.Warn("the name is taken by a process on another machine, or of oslo.messaging; make hostname or processname different",
			"name", name)
		next = number
	}
}

// free says whether nobody consumes from those queues that are to be our own. Locks know only of this machine.
func (t *Transport) free(ctx context.Context, queues []queue) (bool, error) {
	s, err := t.out.session(ctx)
	if err != nil {
		return false, err
	}
	free := true
	err = s.do(ctx, func(su *setup) error {
		for _, q := range queues {
			if !q.own {
				continue
			}
			var state amqp.Queue
			err := su.try(func(ch *amqp.Channel) error {
				var err error
				state, err = ch.QueueDeclarePassive(q.name, q.durable, q.autoDelete, false, false, q.args)
				return err
			})
			if err != nil && !missing(err) {
				return wrap(err, "look at queue "+q.name)
			}
			free = free && state.Consumers == 0
		}
		return nil
	})
	return free, err
}
