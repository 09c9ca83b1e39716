package brokertest

import (
	"io"
	"net"
	"sync"
	"testing"
	"time"
)

// A Proxy stands between a client and a broker on TCP, and plays the broken network. Faults apply to the
// connections that are open as well as to new ones. Its methods are safe for concurrent use.
type Proxy struct {
	listener net.Listener
	target   string
	work     sync.WaitGroup

	mu      sync.Mutex
	fault   fault
	changed chan struct{} // closed when fault changes
	links   map[*link]struct{}
	closed  bool
	tap     func(connection int, toBroker bool, piece []byte)
	last    int // number of the last connection
}

// fault is what the network does at the moment. The zero value is a good network.
type fault struct {
	cut       bool          // refuse and close
	swallow   bool          // lose what is sent, keep open, let nobody in
	latency   time.Duration // added to every piece, each way
	bandwidth int           // bytes per second each way; 0 = unlimited
	drop      int           // bytes passed on at a time; 0 = as they come
	every     time.Duration // between drops
}

// A link is one client's connection and its counterpart to the broker.
type link struct {
	client, broker net.Conn
	number         int
	dead           bool // forgotten: it swallows for good; guarded by Proxy.mu
}

func (l *link) close() {
	_ = l.client.Close()
	_ = l.broker.Close()
}

// NewProxy returns a proxy to target (host and port), on a loopback port of its own, that ends with the test.
func NewProxy(t testing.TB, target string) *Proxy {
	t.Helper()
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &Proxy{listener: l, target: target, changed: make(chan struct{}), links: make(map[*link]struct{})}
	p.work.Go(p.accept)
	t.Cleanup(p.close)
	return p
}

// Addr is where clients connect, host and port.
func (p *Proxy) Addr() string { return p.listener.Addr().String() }

// Cut closes all connections and refuses new ones, as a dead broker's host does, until Restore.
func (p *Proxy) Cut() {
	p.set(func(f *fault) { f.cut = true })
	p.drop(false)
}

// Reset ends all connections with a TCP reset. New ones are taken.
func (p *Proxy) Reset() { p.drop(true) }

// HalfOpen swallows all bytes, both ways, and keeps the connections open, as a network that drops every
// packet does, until Restore or Forget. Neither side hears that the other has closed, and new connections wait.
// Bytes that were swallowed are lost: the connections cannot be used afterwards. Restore closes them, Forget does not.
func (p *Proxy) HalfOpen() { p.set(func(f *fault) { f.swallow = true }) }

// Forget ends every fault for new connections, and makes half-open for good those that are open, as a firewall
// does that has lost its table: nothing passes, and neither side hears that the other has closed. Reset ends them.
func (p *Proxy) Forget() {
	p.set(func(f *fault) {
		*f = fault{}
		for l := range p.links {
			l.dead = true
		}
	})
}

// SetLatency delays every piece by d, each way. 0 ends that.
func (p *Proxy) SetLatency(d time.Duration) { p.set(func(f *fault) { f.latency = d }) }

// SetBandwidth passes on at most so many bytes per second, each way. 0 ends that.
func (p *Proxy) SetBandwidth(bytesPerSecond int) {
	p.set(func(f *fault) { f.bandwidth = bytesPerSecond })
}

// Drip passes on so many bytes at a time, each way, with a pause before each, so that frames arrive in pieces.
// 0 bytes end that.
func (p *Proxy) Drip(bytes int, pause time.Duration) {
	p.set(func(f *fault) { f.drop, f.every = bytes, pause })
}

// Restore ends every fault.
func (p *Proxy) Restore() {
	var lossy bool
	p.set(func(f *fault) {
		lossy = f.swallow
		*f = fault{}
		for l := range p.links {
			l.dead = l.dead || lossy // until it is closed, what comes after the lost bytes is not to pass
		}
	})
	if lossy {
		p.drop(false)
	}
}

// Tap has f called with each piece before it is passed on, for the connections that come after. They are
// numbered from 1. f is called from several goroutines at once, must not keep or change the piece, and holds its
// connection up.
func (p *Proxy) Tap(f func(connection int, toBroker bool, piece []byte)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.tap = f
}

// Connections is how many connections are open.
func (p *Proxy) Connections() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.links)
}

func (p *Proxy) set(change func(*fault)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	change(&p.fault)
	close(p.changed)
	p.changed = make(chan struct{})
}

// state returns the fault of the moment, of one connection unless l is nil, and the channel that closes when
// it changes.
func (p *Proxy) state(l *link) (fault, <-chan struct{}) {
	p.mu.Lock()
	defer p.mu.Unlock()
	f := p.fault
	f.swallow = f.swallow || l != nil && l.dead
	return f, p.changed
}

// drop closes all connections, with a TCP reset if asked.
func (p *Proxy) drop(reset bool) {
	p.mu.Lock()
	links := make([]*link, 0, len(p.links))
	for l := range p.links {
		links = append(links, l)
	}
	p.mu.Unlock()
	for _, l := range links {
		if reset {
			for _, c := range []net.Conn{l.client, l.broker} {
				// Without linger, closing discards what is unsent and sends a reset.
				_ = c.(*net.TCPConn).SetLinger(0)
			}
		}
		l.close()
	}
}

func (p *Proxy) close() {
	p.mu.Lock()
	p.closed = true
	p.mu.Unlock()
	_ = p.listener.Close()
	p.Restore()
	p.drop(false)
	p.work.Wait()
}

func (p *Proxy) accept() {
	for {
		client, err := p.listener.Accept()
		if err != nil {
			return
		}
		p.work.Go(func() { p.admit(client) })
	}
}

// admit connects a client to the broker, once the network lets it.
func (p *Proxy) admit(client net.Conn) {
	f, changed := p.state(nil)
	for f.swallow {
		<-changed
		f, changed = p.state(nil)
	}
	if f.cut {
		_ = client.Close()
		return
	}
	broker, err := net.Dial("tcp", p.target)
	if err != nil {
		_ = client.Close()
		return
	}
	p.join(&link{client: client, broker: broker})
}

// join passes bytes both ways until either side closes.
func (p *Proxy) join(l *link) {
	p.mu.Lock()
	if p.closed || p.fault.cut {
		p.mu.Unlock()
		l.close()
		return
	}
	p.links[l] = struct{}{}
	p.last++
	l.number = p.last
	tap := p.tap
	p.mu.Unlock()

	var both sync.WaitGroup
	var toBroker, toClient io.Writer = l.broker, l.client
	if tap != nil {
		toBroker = tapped{l.broker, func(piece []byte) { tap(l.number, true, piece) }}
		toClient = tapped{l.client, func(piece []byte) { tap(l.number, false, piece) }}
	}
	both.Go(func() { p.pass(l, toBroker, l.client) })
	both.Go(func() { p.pass(l, toClient, l.broker) })
	both.Wait()
	p.mu.Lock()
	delete(p.links, l)
	p.mu.Unlock()
}

// tapped is a writer that shows what it writes.
type tapped struct {
	io.Writer
	show func(piece []byte)
}

func (w tapped) Write(piece []byte) (int, error) {
	w.show(piece)
	return w.Writer.Write(piece)
}

// pass copies from src to dst under the fault of the moment.
func (p *Proxy) pass(l *link, dst io.Writer, src net.Conn) {
	defer func() {
		if f, _ := p.state(l); f.swallow {
			_ = src.Close() // unheard by the other side
			return
		}
		l.close()
	}()
	buf := make([]byte, 32<<10)
	for {
		n, err := src.Read(buf)
		if err != nil {
			return
		}
		for rest := buf[:n]; len(rest) > 0; {
			f, changed := p.state(l)
			if f.swallow {
				break
			}
			piece, delay := rest, f.latency
			if f.drop > 0 {
				piece = rest[:min(f.drop, len(rest))]
				delay += f.every
			}
			if f.bandwidth > 0 {
				delay += time.Duration(len(piece)) * time.Second / time.Duration(f.bandwidth)
			}
			if delay > 0 && !elapsed(delay, changed) {
				continue // under another fault
			}
			if _, err := dst.Write(piece); err != nil {
				return
			}
			rest = rest[len(piece):]
		}
	}
}

// elapsed returns false when changed was closed before d had passed.
func elapsed(d time.Duration, changed <-chan struct{}) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-changed:
		return false
	}
}
