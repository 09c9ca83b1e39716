package rabbit

import (
	"sync/atomic"

	amqp "github.com/rabbitmq/amqp091-go"
)

// A position is where a listener is in a stream. One that subscribes again begins with the message that it heard last:
// that it comes, or a later one, says that the stream is the same. If somebody has made it anew, with less in it, nothing
// would come until there is as much.
type position struct {
	next   atomic.Int64 // offset; 0 = none was heard yet
	again  atomic.Int64 // offset+1 of the message that is to come once more; 0 = none is
	awaits atomic.Bool  // since the subscription began anew, none has come
}

// streamOffset is both the argument that says where to begin in a stream, and the header that says where one is.
const streamOffset = "x-stream-offset"

// streamChunk is how many messages of a stream the broker may deliver beyond the prefetch count: it ends a chunk
// that it has begun, and writes up to 8192 messages into one.
const streamChunk = 8192

// arguments are those of a consumer of the nth subscription. One of a stream starts where the last one was, at first
// with the last that is in it (RMQ-TOPO-17).
func (l *listener) arguments(q queue, nth int) amqp.Table {
	if !q.stream {
		return q.preferring(nth)
	}
	next := l.position.next.Load()
	l.position.again.Store(next)
	l.position.awaits.Store(next > 0)
	if next > 0 {
		return amqp.Table{streamOffset: next - 1}
	}
	return amqp.Table{streamOffset: "last"}
}

// room is how much a consumer may be given that it has not settled. A quorum queue, as which any may exist, gives it the
// prefetch count anew when its leader has lost sight of our node for a moment, and we have not.
func (l *listener) room(q queue) int {
	if q.stream {
		return l.prefetch + streamChunk
	}
	return 4 * l.prefetch
}

// streamed notes where a stream is, and returns whether the message was heard before.
func (l *listener) streamed(d *amqp.Delivery) (again bool) {
	l.position.awaits.Store(false)
	at, ok := d.Headers[streamOffset].(int64)
	if !ok {
		return false
	}
	l.position.next.Store(at + 1)
	return l.position.again.CompareAndSwap(at+1, 0)
}

// rewound notes that a stream was made anew, with offsets that start again (RMQ-TOPO-18).
func (l *listener) rewound(q queue) {
	if q.stream {
		l.position.next.Store(0)
	}
}
