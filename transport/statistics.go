package transport

import "time"

// A Meter is a Transport that counts what it does.
type Meter interface {
	// Statistics returns the counts as they are now. It does no I/O and takes next to no time: it is asked at every scrape of metrics.
	Statistics() Statistics
}

// Statistics are what a transport has done since it was opened. What a bus has no notion of stays 0.
type Statistics struct {
	Published uint64 // messages handed to the bus: requests, replies, signs of life, probes, each time that they were
	Confirmed uint64 // those of them that the bus said to have
	Returned  uint64 // those that the bus gave back, because nobody listened
	Refused   uint64 // those that the bus refused otherwise
	Resent    uint64 // those that were handed over once more, because a connection or channel broke before the bus's word

	Connections int           // that the transport keeps up
	Connected   int           // those of them that are up now
	Reconnects  uint64        // connections made in place of one that was lost
	Away        time.Duration // for how long a connection was lost, the sum over all; including one that is lost now
	Blocked     time.Duration // for how long the bus, reachable, took no messages; including now
	Blocking    string        // why it takes none at this moment, in its own words; "" = it does, or cannot tell

	Deaf     uint64        // checks that found a listener, whose connection was up, to miss what was sent to it
	Loopback time.Duration // how long the last message to ourselves took, there and back; 0 = none has been sent
}
