package nats

import (
	"bytes"
	"fmt"
	"io"
)

const (
	// firstRead is how much a socket reads at once; a longer line makes its buffer grow, up to maxInfo.
	firstRead = 32 << 10
	// maxMessage is twice what servers can be configured to take (MAX_PAYLOAD_MAX_SIZE of nats-server).
	maxMessage = 128 << 20
	pong       = "PONG\r\n"
)

// A reader keeps the messages for subscriptions of ours from nats.go, which gets everything else. It runs in the goroutine in which nats.go
// reads, and so do those whose subscriptions they are.
type reader struct {
	socket        *socket
	subscriptions *subscriptions
	admitted      bool // the server has answered the first PING, with which nats.go says who we are

	buf    []byte
	r, w   int    // between them buf holds what was read and not looked at
	pass   int    // so many bytes more are the rest of a message for nats.go
	theirs []byte // nats.go has yet to take it
}

// read returns what is next for nats.go.
func (r *reader) read(p []byte) (int, error) {
	for len(r.theirs) == 0 {
		if err := r.next(); err != nil {
			r.socket.fail(err)
			return 0, err
		}
	}
	n := copy(p, r.theirs)
	r.theirs = r.theirs[n:]
	return n, nil
}

// next deals with the next line and its message, or reads on where the line is not whole.
func (r *reader) next() error {
	ahead := r.buf[r.r:r.w]
	if r.pass > 0 && len(ahead) > 0 {
		n := min(r.pass, len(ahead))
		r.theirs, r.pass, r.r = ahead[:n], r.pass-n, r.r+n
		return nil
	}
	n := bytes.IndexByte(ahead, '\n') + 1
	if n == 0 {
		return r.fill()
	}
	line := ahead[:n]
	r.r += n
	if !announces(line) {
		if !r.admitted && string(line) == pong {
			r.admitted = true
			r.subscriptions.renew(r.socket)
		}
		if bytes.HasPrefix(line, []byte(infoStart)) {
			r.socket.learn(line)
		}
		r.theirs = line
		return nil
	}
	a, err := parseAnnouncement(line)
	switch {
	case err != nil:
		return err
	case a.sid < firstSID:
		r.theirs, r.pass = line, a.size+len("\r\n")
		return nil
	case a.size > maxMessage:
		return fmt.Errorf("%w: a message of %d bytes", errProtocol, a.size)
	}
	m, err := r.message(a)
	if err != nil {
		return err
	}
	r.subscriptions.deliver(a.sid, m)
	return nil
}

// message reads the rest of one.
func (r *reader) message(a announcement) (m message, err error) {
	subject, reply := len(a.subject), len(a.subject)+len(a.reply)
	all := make([]byte, reply+a.size)
	copy(all, a.subject)
	copy(all[subject:], a.reply)
	if err := r.full(all[reply:]); err != nil {
		return m, err
	}
	var end [2]byte
	if err := r.full(end[:]); err != nil {
		return m, err
	}
	if string(end[:]) != "\r\n" {
		return m, fmt.Errorf("%w: a message does not end where it should", errProtocol)
	}
	m = message{subject: all[:subject:subject], reply: all[subject:reply:reply], data: all[reply+a.header:]}
	if a.header > 0 {
		m.header = header(all[reply : reply+a.header : reply+a.header])
	}
	return m, nil
}

// full fills p, with what is there first.
func (r *reader) full(p []byte) error {
	n := copy(p, r.buf[r.r:r.w])
	r.r += n
	_, err := io.ReadFull(r.socket.Conn, p[n:])
	return err
}

// fill reads once, into a larger buffer where a line fills this one.
func (r *reader) fill() error {
	switch {
	case r.buf == nil:
		r.buf = make([]byte, firstRead)
	case r.r == r.w:
		r.r, r.w = 0, 0
	case r.r > 0:
		r.r, r.w = 0, copy(r.buf, r.buf[r.r:r.w])
	case r.w == len(r.buf) && r.w >= maxInfo:
		return fmt.Errorf("%w: a line does not end", errProtocol)
	case r.w == len(r.buf):
		r.buf = append(r.buf, make([]byte, len(r.buf))...)
	}
	n, err := r.socket.Conn.Read(r.buf[r.w:])
	r.w += n
	if n > 0 {
		return nil // an error comes again
	}
	return err
}
