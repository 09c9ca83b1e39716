package rabbit

import amqp "github.com/rabbitmq/amqp091-go"

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
	if next := l.offset.Load(); next > 0 {
		return amqp.Table{streamOffset: next}
	}
	return amqp.Table{streamOffset: "last"}
}

// room is how much a consumer may be given that it has not settled.
func (l *listener) room(q queue) int {
	if q.stream {
		return l.prefetch + streamChunk
	}
	return l.prefetch
}

// streamed notes where a stream is.
func (l *listener) streamed(d *amqp.Delivery) {
	if at, ok := d.Headers[streamOffset].(int64); ok {
		l.offset.Store(at + 1)
	}
}

// rewound notes that a stream was made anew, with offsets that start again (RMQ-TOPO-18).
func (l *listener) rewound(q queue) {
	if q.stream {
		l.offset.Store(0)
	}
}
