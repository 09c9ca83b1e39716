//go:build zmq

package zmq

import "github.com/goslo/goslo/internal/fifo"

// window is how many bytes of frames a peer may have that it has not acknowledged. More waits.
const window = 32 << 20

// frameSize is about how many bytes of records go into one frame. A larger record has a frame of its own.
const frameSize = 64 << 10

// A stream carries records between two members, each exactly once and in order for as long as both live, whatever happens to
// connections between them: frames are numbered, kept until acknowledged, and sent again on the next connection.
// It belongs to the goroutine of its loop.
type stream struct {
	frames fifo.Queue[[]byte] // not acknowledged yet; their numbers are consecutive
	last   uint64             // number of the newest frame
	sent   int                // how many of frames were sent on this connection
	bytes  int                // in frames
	in     uint64             // number of the last frame received
	told   uint64             // what the peer knows of in
	up     bool               // the peer knows us on this connection
	spare  [][]byte           // for frames to come
}

// receive takes a data frame's header. It returns whether the records are new; frames that are not, or that come after a gap,
// are dropped: the peer sends again what is missing when the connection is next set up.
func (s *stream) receive(h header) bool {
	s.acknowledged(h.ack)
	if h.number != s.in+1 {
		return false
	}
	s.in = h.number
	return true
}

// acknowledged forgets frames that the peer has.
func (s *stream) acknowledged(number uint64) {
	for s.frames.Len() > 0 && numberOf(s.frames.First()) <= number {
		f := s.frames.Pop()
		s.bytes -= len(f)
		s.sent = max(s.sent-1, 0)
		if cap(f) <= 2*frameSize && len(s.spare) < 8 {
			s.spare = append(s.spare, f[:0])
		}
	}
}

// resume begins a connection on which the peer has everything up to number. It returns how many records are sent again.
func (s *stream) resume(number uint64) (again uint64) {
	s.acknowledged(number)
	for i := range s.sent {
		r := newReader(s.frames.At(i)[frameHead:])
		for ; len(r.rest) > 0; again++ {
			r.record()
		}
	}
	s.sent, s.told, s.up = 0, s.in, true
	return again
}

// restart begins a connection to a peer that remembers nothing of the stream, or has begun a new one. With again set, what
// it did not acknowledge is sent again under new numbers; otherwise it is forgotten.
func (s *stream) restart(again bool) {
	if !again {
		s.frames, s.bytes = fifo.Queue[[]byte]{}, 0
	}
	s.in, s.told, s.last = 0, 0, 0
	for i := range s.frames.Len() {
		s.last++
		setNumber(s.frames.At(i), s.last)
	}
	s.sent, s.up = 0, true
}

// room says whether another frame may be made.
func (s *stream) room() bool { return s.up && s.bytes < window }

// frame returns an empty frame, to be filled and given to add.
func (s *stream) frame() []byte {
	var b []byte
	if n := len(s.spare); n > 0 {
		b, s.spare = s.spare[n-1], s.spare[:n-1]
	}
	return appendHeader(b, header{kind: kindData})
}

// add takes a frame that was filled.
func (s *stream) add(frame []byte) {
	s.last++
	setNumber(frame, s.last)
	s.bytes += len(frame)
	s.frames.Push(frame)
}

// flush sends what was not sent on this connection. It returns send's error, after which that frame is still to be sent.
func (s *stream) flush(send func(frame []byte) error) error {
	if !s.up {
		return nil
	}
	for s.sent < s.frames.Len() {
		f := s.frames.At(s.sent)
		setAck(f, s.in)
		if err := send(f); err != nil {
			return err
		}
		s.sent++
		s.told = s.in
	}
	return nil
}

// owes says whether the peer should be told what was received.
func (s *stream) owes() bool { return s.up && s.told != s.in }

// ackFrame is a frame that tells nothing else.
func (s *stream) ackFrame() []byte {
	s.told = s.in
	return appendHeader(nil, header{kind: kindData, ack: s.in})
}
