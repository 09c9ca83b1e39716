//go:build zmq

package zmq

import "sync"

// An inbox takes what goroutines want of the loop, which alone may touch the sockets. Whoever puts something in rings when
// the loop is asleep.
type inbox struct {
	mu     sync.Mutex
	work   work
	asleep bool
	closed bool

	ring func() // wakes the loop
}

// work is what the loop has to do.
type work struct {
	requests []*request
	answers  []answer
	replies  []outgoing
	orders   []func()   // carried out first
	givenUp  []*request // looked at last
}

// An answer is what we say to a request.
type answer struct {
	to     *session
	id     uint64
	code   byte
	load   int // how full the listener is, in percent
	reason string
}

// An outgoing reply is one that takes the way on which its request came.
type outgoing struct {
	to     *session
	number uint64  // of the reply listener
	body   *[]byte // to be given back to buffers
}

func (w *work) empty() bool {
	return len(w.requests)+len(w.answers)+len(w.replies)+len(w.orders)+len(w.givenUp) == 0
}

// put has add note what is to be done. It returns false when the loop has ended: nothing will be done then.
func (i *inbox) put(add func(w *work)) bool {
	i.mu.Lock()
	if i.closed {
		i.mu.Unlock()
		return false
	}
	add(&i.work)
	asleep := i.asleep
	i.asleep = false
	i.mu.Unlock()
	if asleep {
		i.ring()
	}
	return true
}

// putLazily is put for what may wait for up to a tick of a loop that ticks.
func (i *inbox) putLazily(add func(w *work)) bool {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.closed {
		return false
	}
	add(&i.work)
	return true
}

func (i *inbox) order(f func()) bool {
	return i.put(func(w *work) { w.orders = append(w.orders, f) })
}

// take exchanges the work gathered for done, which is empty.
func (i *inbox) take(done work) work {
	clear(done.requests)
	clear(done.answers)
	clear(done.replies)
	clear(done.orders)
	clear(done.givenUp)
	done = work{done.requests[:0], done.answers[:0], done.replies[:0], done.orders[:0], done.givenUp[:0]}
	i.mu.Lock()
	defer i.mu.Unlock()
	done, i.work = i.work, done
	return done
}

// sleep says that the loop is about to wait for its sockets alone; false when there is work.
func (i *inbox) sleep() bool {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.asleep = i.work.empty()
	return i.asleep
}

func (i *inbox) awake() {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.asleep = false
}

// close lets nothing in any more. It returns what is left to be done.
func (i *inbox) close() work {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.closed = true
	w := i.work
	i.work = work{}
	return w
}
