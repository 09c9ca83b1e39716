package notify

import (
	"sync"

	"github.com/goslo/goslo/transport"
)

// inHand is what a listener has and has not settled, by unique id. What comes again meanwhile, because a connection was lost or a sender was
// in doubt, waits for the verdict on the first. It is safe for concurrent use.
type inHand struct {
	mu  sync.Mutex
	all map[string]*heard
}

// take says whether h is the first of its id. Else the first keeps its delivery.
func (i *inHand) take(h *heard) bool {
	id := h.Message.UniqueID
	if id == "" {
		return true
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	if first := i.all[id]; first != nil {
		first.again = append(first.again, h.Delivery)
		return false
	}
	if i.all == nil {
		i.all = map[string]*heard{}
	}
	i.all[id] = h
	return true
}

// leave forgets h and returns all its deliveries, to be settled alike.
func (i *inHand) leave(h *heard) []*transport.Delivery {
	i.mu.Lock()
	defer i.mu.Unlock()
	if id := h.Message.UniqueID; i.all[id] == h {
		delete(i.all, id)
	}
	return append([]*transport.Delivery{h.Delivery}, h.again...)
}

// counted is how often the bus has handed h over, as far as it counts, and whether that was the last time. What came again meanwhile counts.
func (i *inHand) counted(h *heard) (deliveries int, last bool) {
	i.mu.Lock()
	defer i.mu.Unlock()
	deliveries, last = h.Deliveries, h.Last
	for _, d := range h.again {
		deliveries, last = max(deliveries, d.Deliveries), last || d.Last
	}
	return deliveries, last
}
