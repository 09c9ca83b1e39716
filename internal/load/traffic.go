package load

import (
	"errors"
	"fmt"
)

// Carried is how many bytes connections have carried: what TCP carries, TLS included, without what was sent again and without headers of packets.
type Carried struct {
	Sent     int64 `json:"sent"`
	Received int64 `json:"received"`
}

// A Connection is one that a process has, and what it has carried since it was opened.
type Connection struct {
	Carried
	Accepted bool `json:"accepted,omitempty"` // another has dialled it
	Inside   bool `json:"inside,omitempty"`   // its other end is in this process, too
}

// A Traffic is what all TCP connections of a process have carried so far. It is read from the kernel, so that it does not matter who dialled
// them and what they speak.
type Traffic struct {
	// Connections are by the kernel's name of the socket.
	Connections map[string]Connection `json:"connections,omitempty"`
	// Unknown is why nothing is known; "" = it is.
	Unknown string `json:"unknown,omitempty"`
	// Hosting says that the process is itself the broker: then what others have dialled is the broker's, and not counted.
	Hosting bool `json:"hosting,omitempty"`
}

// ReadTraffic reads that of this process, which may be the bus's host.
func ReadTraffic(hosting bool) Traffic {
	all, err := connections()
	if err != nil {
		return Traffic{Unknown: err.Error()}
	}
	return Traffic{Connections: all, Hosting: hosting}
}

// Since is what was carried after before, or an error that says why that is not known: the machine does not tell, there is no connection that could have
// carried anything, or one was lost meanwhile, and its counters with it.
func (t Traffic) Since(before Traffic) (Carried, error) {
	var sum Carried
	for _, why := range []string{before.Unknown, t.Unknown} {
		if why != "" {
			return sum, fmt.Errorf("load: bytes on the wire: %s", why)
		}
	}
	counted := 0
	for name, c := range t.Connections {
		if c.Accepted && (t.Hosting || c.Inside) {
			continue
		}
		counted++
		was := before.Connections[name]
		sum.Sent += c.Sent - was.Sent
		sum.Received += c.Received - was.Received
	}
	for name := range before.Connections {
		if _, there := t.Connections[name]; !there {
			return Carried{}, errors.New("load: bytes on the wire: a connection was closed meanwhile")
		}
	}
	if counted == 0 {
		return Carried{}, errors.New("load: bytes on the wire: the process has no connections")
	}
	return sum, nil
}
