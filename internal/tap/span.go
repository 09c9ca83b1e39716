package tap

import (
	"container/list"
	"time"

	"github.com/goslo/goslo/wire"
)

// A Span is the way of one request, as the firehose tells of it. Times are those at which the tap heard; all are of one clock.
type Span struct {
	Request
	Caller string   // the connection on which it was sent, by the broker's name
	Queues []string // that it was put into; none = nobody will have it
	Sent   int      // how often; more than once when a sender was in doubt
	Taken  []Taken
	Reply  *Reply // nil = none so far
	// Received is when the reply was handed to the caller, and ReceivedBy on which connection. Zero = not so far.
	Received   time.Time
	ReceivedBy string
}

// Taken is a request that was handed to a process.
type Taken struct {
	Time  time.Time
	Queue string
	By    string // the connection
	Again bool   // the broker had handed it out before
}

// A Reply is the end of a call.
type Reply struct {
	Time    time.Time
	By      string // the connection on which it was sent
	Size    int
	Failure *wire.Failure // nil = success
	Lost    bool          // the caller's queue was gone
}

// Done says that nothing more is to be heard of the request: of a call its reply was delivered, of others all that were to have them have them. What
// becomes of a cast then nobody on the bus is told.
func (s *Span) Done() bool {
	switch {
	case len(s.Queues) == 0 && len(s.Taken) == 0:
		return true
	case s.Kind != Call:
		return len(s.Taken) >= len(s.Queues)
	}
	return !s.Received.IsZero() || s.Reply != nil && s.Reply.Lost
}

// Wait is how long the request was in its queue, until now where it still is; and whether it was taken.
func (s *Span) Wait(now time.Time) (d time.Duration, taken bool) {
	if len(s.Taken) == 0 {
		return now.Sub(s.Time), false
	}
	return s.Taken[0].Time.Sub(s.Time), true
}

// Run is how long the server had it before it answered, until now where it has not; and whether it has. That is what the handler took, and what it
// waited for a worker within the process. Of what is no call it is not known: 0 and false.
func (s *Span) Run(now time.Time) (d time.Duration, answered bool) {
	if s.Kind != Call || len(s.Taken) == 0 {
		return 0, false
	}
	taken := s.Taken[len(s.Taken)-1].Time
	if s.Reply == nil {
		return now.Sub(taken), false
	}
	return max(0, s.Reply.Time.Sub(taken)), true
}

// Return is how long the reply was on its way, and whether it has arrived.
func (s *Span) Return() (d time.Duration, arrived bool) {
	if s.Reply == nil || s.Received.IsZero() {
		return 0, false
	}
	return s.Received.Sub(s.Reply.Time), true
}

// Took is how long all of it took, until now where it is not over.
func (s *Span) Took(now time.Time) time.Duration {
	switch {
	case !s.Received.IsZero():
		now = s.Received
	case s.Reply != nil && s.Reply.Lost:
		now = s.Reply.Time
	case s.Done() && len(s.Taken) > 0:
		now = s.Taken[len(s.Taken)-1].Time
	case s.Done():
		now = s.Time
	}
	return now.Sub(s.Time)
}

// Late says that the reply came when the caller had given up.
func (s *Span) Late() bool {
	return s.Reply != nil && s.Within > 0 && s.Reply.Time.Sub(s.Time) > s.Within
}

// DefaultOpen bounds how many spans a Collector keeps.
const DefaultOpen = 10_000

// A Collector makes spans of events. It is for one goroutine. The zero value keeps [DefaultOpen] of all requests.
type Collector struct {
	// Want chooses requests. Default: all.
	Want func(Request) bool
	// Split takes a routing key apart, see [Tap.Topic].
	Split func(key string) (topic, server string)

	spans   list.List // of *Span, the oldest first
	unique  map[string]*list.Element
	replies map[string]*list.Element // by the id that pairs them
	Dropped int                      // spans that were too many
}

// Add takes an event in. It returns the span that it changed, nil for none.
func (c *Collector) Add(e Event) *Span {
	if c.unique == nil {
		c.unique, c.replies = map[string]*list.Element{}, map[string]*list.Element{}
	}
	if e.Message.Method == "" {
		return c.reply(e)
	}
	at := c.unique[e.Message.UniqueID]
	switch {
	case e.Queue != "" && at != nil:
		s := at.Value.(*Span) //nolint:forcetypeassert // it is a list of these
		s.Taken = append(s.Taken, Taken{Time: e.Time, Queue: e.Queue, By: e.Connection, Again: e.Redelivery})
		return s
	case e.Queue != "": // it was sent before we listened, and no more is known than that it waited
		return nil
	case at != nil:
		s := at.Value.(*Span) //nolint:forcetypeassert // it is a list of these
		s.Sent++
		s.Queues = append(s.Queues, e.Queues...)
		return s
	}
	r := requestOf(e.Message, e.at, e.Size, c.split)
	r.Time = e.Time
	if c.Want != nil && !c.Want(r) {
		return nil
	}
	s := &Span{Request: r, Caller: e.Connection, Queues: e.Queues, Sent: 1}
	at = c.spans.PushBack(s)
	c.unique[s.IDs.Unique] = at
	if s.IDs.Message != "" {
		c.replies[s.IDs.Message] = at
	}
	for c.spans.Len() > DefaultOpen {
		c.Dropped++
		c.Forget(c.spans.Front().Value.(*Span)) //nolint:forcetypeassert // it is a list of these
	}
	return s
}

func (c *Collector) split(key string) (topic, server string) {
	if c.Split == nil {
		return topics(nil).split(key)
	}
	return c.Split(key)
}

func (c *Collector) reply(e Event) *Span {
	at := c.replies[e.Message.ID]
	if at == nil || !e.Message.Ending {
		return nil
	}
	s := at.Value.(*Span) //nolint:forcetypeassert // it is a list of these
	if e.Queue != "" {
		if s.Received.IsZero() {
			s.Received, s.ReceivedBy = e.Time, e.Connection
		}
		return s
	}
	if s.Reply != nil && !s.Reply.Lost {
		return nil // sent again
	}
	s.Reply = &Reply{Time: e.Time, By: e.Connection, Size: e.Size, Lost: len(e.Queues) == 0}
	if e.Message.Failure != nil {
		var err error
		if s.Reply.Failure, err = wire.ParseFailure(e.Message.Failure); err != nil {
			s.Reply.Failure = &wire.Failure{Message: err.Error()}
		}
	}
	return s
}

// Forget drops a span. What is heard of it later is as of a request before our time.
func (c *Collector) Forget(s *Span) {
	if at := c.unique[s.IDs.Unique]; at != nil {
		c.spans.Remove(at)
	}
	delete(c.unique, s.IDs.Unique)
	delete(c.replies, s.IDs.Message)
}

// Spans are those that there are, the oldest first.
func (c *Collector) Spans() []*Span {
	all := make([]*Span, 0, c.spans.Len())
	for at := c.spans.Front(); at != nil; at = at.Next() {
		all = append(all, at.Value.(*Span)) //nolint:forcetypeassert // it is a list of these
	}
	return all
}
