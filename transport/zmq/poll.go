//go:build zmq

package zmq

import (
	"errors"
	"fmt"
	"os"
	"syscall"
	"time"

	zmq4 "github.com/pebbe/zmq4"
)

// A poller waits until one of some sockets may have something. It does so in Go's network poller, by an epoll instance of its own, so that no
// thread waits with it; Linux alone has that. It belongs to the loop, but for wake.
//
// A socket's descriptor (ZMQ_FD) tells once that libzmq has something for the socket to look at, which it does whenever it is used, also to
// send. So whoever has used a socket receives from it until there is nothing before waiting.
type poller struct {
	file    *os.File // the epoll instance
	epoll   int
	raw     syscall.RawConn
	look    func(uintptr) bool
	sources map[int32]*source
	events  [64]syscall.EpollEvent
	found   int       // of events
	ends    time.Time // when a wait ends at the latest; zero = none is set
}

// A source is a socket that messages come from.
type source struct {
	socket *zmq4.Socket
	fd     int32
	link   *link // nil = the ROUTER
	hot    bool  // the loop will receive from it
	closed bool
}

func newPoller() (*poller, error) {
	fd, err := syscall.EpollCreate1(syscall.EPOLL_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("epoll_create1: %w", err)
	}
	if err := syscall.SetNonblock(fd, true); err != nil { // what os.NewFile gives to the network poller
		return nil, errors.Join(err, syscall.Close(fd))
	}
	p := &poller{file: os.NewFile(uintptr(fd), "epoll"), epoll: fd, sources: map[int32]*source{}}
	if p.raw, err = p.file.SyscallConn(); err == nil {
		err = p.file.SetReadDeadline(time.Time{})
	}
	if err != nil {
		return nil, errors.Join(err, p.file.Close())
	}
	p.look = func(uintptr) bool {
		p.now()
		return p.found > 0
	}
	return p, nil
}

// edge is EPOLLET, which package syscall has as a negative number.
const edge = 1 << 31

// add watches a socket of a link.
func (p *poller) add(s *zmq4.Socket, k *link) (*source, error) {
	fd, err := s.GetFd()
	if err != nil {
		return nil, err
	}
	added := &source{socket: s, fd: int32(fd), link: k}
	if err := syscall.EpollCtl(p.epoll, syscall.EPOLL_CTL_ADD, fd, &syscall.EpollEvent{Events: syscall.EPOLLIN | edge, Fd: added.fd}); err != nil {
		return nil, fmt.Errorf("epoll_ctl: %w", err)
	}
	p.sources[added.fd] = added
	return added, nil
}

// remove ends that. The socket is to be closed.
func (p *poller) remove(s *source) error {
	s.closed = true
	delete(p.sources, s.fd)
	return syscall.EpollCtl(p.epoll, syscall.EPOLL_CTL_DEL, int(s.fd), nil)
}

// now looks which sockets may have something.
func (p *poller) now() {
	for {
		n, err := syscall.EpollWait(p.epoll, p.events[:], 0)
		if !errors.Is(err, syscall.EINTR) {
			p.found = max(n, 0)
			return
		}
	}
}

// by has waits end at t or before.
func (p *poller) by(t time.Time) {
	if p.ends.IsZero() || t.Before(p.ends) {
		p.ends = t
		_ = p.file.SetReadDeadline(t) // it fails after close only
	}
}

// wait waits until a socket may have something, until the time that was set, or until it is woken.
func (p *poller) wait() {
	p.found = 0
	if err := p.raw.Read(p.look); err != nil {
		p.ends = time.Time{} // it has come
	}
}

// wake ends the wait that is going on or, unless another time is set, the next one.
func (p *poller) wake() { _ = p.file.SetReadDeadline(time.Unix(1, 0)) }

func (p *poller) close() error { return p.file.Close() }
