package notify

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/goslo/goslo/internal/mask"
	"github.com/goslo/goslo/transport"
)

// A Driver brings notifications to whoever wants them. It is safe for concurrent use.
type Driver interface {
	// Notify brings one, and returns when it is there or cannot be brought, within ctx. It neither changes nor keeps n.
	Notify(ctx context.Context, n *Raw, r Retry) error
}

// DefaultTopic is where notifications go when nothing else is said, and where listeners listen (NOTIFY-05).
const DefaultTopic = "notifications"

// MessagingConfig configures a Messaging driver.
type MessagingConfig struct {
	// Topics are where a notification is sent, once to each, with the priority added: "notifications.info". Default:
	// DefaultTopic. An empty list that is not nil: nowhere.
	Topics []string
	// Bare sends without an envelope, oslo.messaging's format 1.0 and driver "messaging", for listeners that read no other. Default:
	// enveloped, format 2.0 and driver "messagingv2".
	Bare bool
	// Attempt is how long one attempt may take, where they are counted: with Forever ctx alone counts. Default: 10 s.
	Attempt time.Duration
	// Logger hears of queues that nobody has read for ten minutes. Each queue that is sent to is looked at once a minute, if the bus can
	// tell. Default: nobody looks.
	Logger *slog.Logger
}

// Messaging is the driver that sends over a bus.
type Messaging struct {
	bus    transport.Transport
	config MessagingConfig
	unread unread
}

// NewMessaging returns the driver that sends over a bus, to its default exchange (NOTIFY-15). It does no I/O.
func NewMessaging(bus transport.Transport, c MessagingConfig) *Messaging {
	if c.Topics == nil {
		c.Topics = []string{DefaultTopic}
	}
	if c.Attempt <= 0 {
		c.Attempt = 10 * time.Second
	}
	return &Messaging{bus: bus, config: c}
}

// Notify sends n to each topic; see [transport.Transport].Send for what it waits for. The error joins those of all topics.
func (d *Messaging) Notify(ctx context.Context, n *Raw, r Retry) error {
	var errs []error
	for _, topic := range d.config.Topics {
		to := transport.Address{Kind: transport.Notification, Topic: topic + "." + string(n.Priority)}
		if err := d.send(ctx, to, message(n, d.config.Bare), r); err != nil {
			errs = append(errs, err)
			continue
		}
		d.unread.look(ctx, d.bus, to, d.config.Logger, time.Now())
	}
	return errors.Join(errs...)
}

const (
	// firstPause and mostPause bound the pause between attempts, half of it at random. It doubles.
	firstPause = 100 * time.Millisecond
	mostPause  = 5 * time.Second
)

// send sends m until the bus has it. All attempts have the same unique id, by which receivers, and some buses, drop duplicates.
func (d *Messaging) send(ctx context.Context, to transport.Address, m *transport.Message, r Retry) error {
	pause := firstPause
	for attempt := 1; ; attempt++ {
		err := d.attempt(ctx, to, m, r)
		if err == nil || lasting(err) || ctx.Err() != nil {
			return err
		}
		if r != Forever && attempt > max(int(r), 0) {
			if attempt > 1 {
				err = fmt.Errorf("after %d attempts: %w", attempt, err)
			}
			return err
		}
		t := time.NewTimer(pause/2 + rand.N(pause/2))
		select {
		case <-t.C:
		case <-ctx.Done():
			t.Stop()
			return fmt.Errorf("%w: %w", err, context.Cause(ctx))
		}
		pause = min(2*pause, mostPause)
	}
}

func (d *Messaging) attempt(ctx context.Context, to transport.Address, m *transport.Message, r Retry) error {
	if r != Forever {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, d.config.Attempt)
		defer cancel()
	}
	return d.bus.Send(ctx, to, m)
}

// lasting says that trying again is of no use. That nobody listens is said by a bus that keeps nothing for who may come.
func lasting(err error) bool {
	return errors.Is(err, transport.ErrNoListener) || errors.Is(err, transport.ErrRejected) || errors.Is(err, transport.ErrClosed) || errors.Is(err, errors.ErrUnsupported)
}

// Noop is the driver that does nothing.
type Noop struct{}

// Notify does nothing.
func (Noop) Notify(context.Context, *Raw, Retry) error { return nil }

// Recorder is the driver "test": it keeps what it gets. The zero value is ready.
type Recorder struct {
	mu  sync.Mutex
	all []Raw
}

// Notify keeps a copy of n.
func (r *Recorder) Notify(_ context.Context, n *Raw, _ Retry) error {
	own := *n
	own.Payload = slices.Clone(n.Payload)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.all = append(r.all, own)
	return nil
}

// Notifications are what was kept, in order.
func (r *Recorder) Notifications() []Raw {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.all)
}

// Reset forgets what was kept.
func (r *Recorder) Reset() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.all = nil
}

// Log is the driver that writes to a log.
type Log struct{ log *slog.Logger }

// NewLog returns the driver that writes each notification to a log, with the members of its message as attributes, and the level of its
// priority: critical is above error, and audit and sample, which upstream drops for want of a level, are information. Members of
// the payload that look like passwords are masked (NDRV-03, NDRV-04).
func NewLog(log *slog.Logger) *Log { return &Log{log} }

// Notify writes n.
func (d *Log) Notify(ctx context.Context, n *Raw, _ Retry) error {
	level := slog.LevelInfo
	switch n.Priority {
	case Debug:
		level = slog.LevelDebug
	case Warn:
		level = slog.LevelWarn
	case Error:
		level = slog.LevelError
	case Critical:
		level = slog.LevelError + 4
	case Audit, Info, Sample:
	}
	if d.log.Enabled(ctx, level) {
		d.log.LogAttrs(ctx, level, "oslo.messaging.notification", slog.String("event_type", n.Type), slog.String("message_id", n.ID),
			slog.String("publisher_id", n.Publisher), slog.String("priority", strings.ToUpper(string(n.Priority))),
			slog.String("timestamp", n.Timestamp), slog.String("payload", string(mask.JSON(n.Payload))))
	}
	return nil
}
