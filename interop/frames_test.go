package interop_test

import (
	"encoding/binary"
	"fmt"
	"math"
	"sync"
	"testing"

	"github.com/goslo/goslo/internal/brokertest"
)

// A frame is one frame of AMQP 1.0, or the header of the protocol, whose name is "header".
type frame struct {
	name    string
	channel uint16
	fields  map[string]any // those that are not null
	payload map[string]any // of a transfer: sections by name, those with fields as map[string]any
}

// The performatives by descriptor, and their fields in order (AMQP 1.0, 2.7 and 5.3.3).
var performatives = map[uint64]struct {
	name   string
	fields []string
}{
	0x10: {"open", []string{"container-id", "hostname", "max-frame-size", "channel-max", "idle-time-out", "outgoing-locales", "incoming-locales", "offered-capabilities", "desired-capabilities", "properties"}},
	0x11: {"begin", []string{"remote-channel", "next-outgoing-id", "incoming-window", "outgoing-window", "handle-max", "offered-capabilities", "desired-capabilities", "properties"}},
	0x12: {"attach", []string{"name", "handle", "role", "snd-settle-mode", "rcv-settle-mode", "source", "target", "unsettled", "incomplete-unsettled", "initial-delivery-count", "max-message-size", "offered-capabilities", "desired-capabilities", "properties"}},
	0x13: {"flow", []string{"next-incoming-id", "incoming-window", "next-outgoing-id", "outgoing-window", "handle", "delivery-count", "link-credit", "available", "drain", "echo", "properties"}},
	0x14: {"transfer", []string{"handle", "delivery-id", "delivery-tag", "message-format", "settled", "more", "rcv-settle-mode", "state", "resume", "aborted", "batchable"}},
	0x15: {"disposition", []string{"role", "first", "last", "settled", "state", "batchable"}},
	0x16: {"detach", []string{"handle", "closed", "error"}},
	0x17: {"end", []string{"error"}},
	0x18: {"close", []string{"error"}},
	0x23: {"received", []string{"section-number", "section-offset"}},
	0x24: {"accepted", nil},
	0x25: {"rejected", []string{"error"}},
	0x26: {"released", nil},
	0x27: {"modified", []string{"delivery-failed", "undeliverable-here", "message-annotations"}},
	0x28: {"source", []string{"address", "durable", "expiry-policy", "timeout", "dynamic", "dynamic-node-properties", "distribution-mode", "filter", "default-outcome", "outcomes", "capabilities"}},
	0x29: {"target", []string{"address", "durable", "expiry-policy", "timeout", "dynamic", "dynamic-node-properties", "capabilities"}},
	0x40: {"sasl-mechanisms", []string{"mechanisms"}},
	0x41: {"sasl-init", []string{"mechanism", "initial-response", "hostname"}},
	0x42: {"sasl-challenge", []string{"challenge"}},
	0x43: {"sasl-response", []string{"response"}},
	0x44: {"sasl-outcome", []string{"code", "additional-data"}},
	0x70: {"header", []string{"durable", "priority", "ttl", "first-acquirer", "delivery-count"}},
	0x71: {"delivery-annotations", nil},
	0x72: {"message-annotations", nil},
	0x73: {"properties", []string{"message-id", "user-id", "to", "subject", "reply-to", "correlation-id", "content-type", "content-encoding", "absolute-expiry-time", "creation-time", "group-id", "group-sequence", "reply-to-group-id"}},
	0x74: {"application-properties", nil},
	0x75: {"data", nil},
	0x76: {"amqp-sequence", nil},
	0x77: {"amqp-value", nil},
	0x78: {"footer", nil},
}

// A described is a value with a descriptor: the name of a performative, section or terminus, or the descriptor itself.
type described struct {
	name  string
	value any // a list with known fields as map[string]any
}

// A reader decodes AMQP 1.0 types (part 1 of the specification). A malformed text is an error of the peer, and panics.
type reader []byte

func (r *reader) take(n int) []byte {
	b := (*r)[:n]
	*r = (*r)[n:]
	return b
}

func (r *reader) uint(width int) uint64 {
	var n uint64
	for _, b := range r.take(width) {
		n = n<<8 | uint64(b)
	}
	return n
}

// value reads a value with its constructor.
func (r *reader) value() any {
	code := r.take(1)[0]
	if code != 0 {
		return r.valueOf(code)
	}
	descriptor := r.value()
	value := r.value()
	number, _ := descriptor.(uint64)
	known, ok := performatives[number]
	if !ok {
		return described{fmt.Sprint(descriptor), value}
	}
	list, ok := value.([]any)
	if !ok || known.fields == nil {
		return described{known.name, value}
	}
	fields := map[string]any{}
	for i, v := range list {
		if v != nil {
			fields[known.fields[i]] = v
		}
	}
	return described{known.name, fields}
}

// valueOf reads a value whose constructor is code. Symbols and strings are both strings; a test that must tell
// them apart looks at the bytes.
func (r *reader) valueOf(code byte) any {
	switch code {
	case 0x40:
		return nil
	case 0x41, 0x42:
		return code == 0x41
	case 0x56:
		return r.uint(1) == 1
	case 0x43, 0x44:
		return uint64(0)
	case 0x50, 0x52, 0x53:
		return r.uint(1)
	case 0x51, 0x54, 0x55:
		return int64(int8(r.uint(1)))
	case 0x60:
		return r.uint(2)
	case 0x61:
		return int64(int16(r.uint(2)))
	case 0x70, 0x73:
		return r.uint(4)
	case 0x71:
		return int64(int32(r.uint(4)))
	case 0x72:
		return math.Float32frombits(uint32(r.uint(4)))
	case 0x80:
		return r.uint(8)
	case 0x81, 0x83: // long, timestamp in ms
		return int64(r.uint(8))
	case 0x82:
		return math.Float64frombits(r.uint(8))
	case 0x98:
		return fmt.Sprintf("%x", r.take(16))
	case 0xa0:
		return r.take(int(r.uint(1)))
	case 0xb0:
		return r.take(int(r.uint(4)))
	case 0xa1, 0xa3:
		return string(r.take(int(r.uint(1))))
	case 0xb1, 0xb3:
		return string(r.take(int(r.uint(4))))
	case 0x45:
		return []any{}
	case 0xc0, 0xc1, 0xe0:
		r.uint(1)
		return r.compound(code, int(r.uint(1)))
	case 0xd0, 0xd1, 0xf0:
		r.uint(4)
		return r.compound(code, int(r.uint(4)))
	}
	panic(fmt.Sprintf("constructor 0x%02x", code))
}

// compound reads n values of a list (0xc0, 0xd0), map (0xc1, 0xd1) or array.
func (r *reader) compound(code byte, n int) any {
	values := make([]any, 0, n)
	if code == 0xe0 || code == 0xf0 {
		element := r.take(1)[0]
		for range n {
			values = append(values, r.valueOf(element))
		}
		return values
	}
	for range n {
		values = append(values, r.value())
	}
	if code == 0xc0 || code == 0xd0 {
		return values
	}
	all := map[string]any{}
	for i := 0; i < n; i += 2 {
		all[fmt.Sprint(values[i])] = values[i+1]
	}
	return all
}

// frames decodes what one side of a connection sent, as far as it is complete. Transfers of several frames are
// put together in the first one's place.
func frames(stream []byte) []frame {
	var out []frame
	parts := map[string]*frame{} // of unfinished transfers by channel and handle
	bodies := map[string]reader{}
	for len(stream) >= 8 {
		if string(stream[:4]) == "AMQP" {
			out = append(out, frame{name: "header", fields: map[string]any{"protocol": uint64(stream[4])}})
			stream = stream[8:]
			continue
		}
		size := int(binary.BigEndian.Uint32(stream))
		if len(stream) < size {
			break
		}
		r := reader(stream[4*int(stream[4]) : size])
		f := frame{channel: binary.BigEndian.Uint16(stream[6:])}
		stream = stream[size:]
		if len(r) == 0 {
			out = append(out, frame{name: "empty"})
			continue
		}
		performative := r.value().(described)
		f.name = performative.name
		f.fields, _ = performative.value.(map[string]any)
		if f.name != "transfer" {
			out = append(out, f)
			continue
		}
		link := fmt.Sprint(f.channel, f.fields["handle"])
		if parts[link] == nil {
			parts[link] = &f
		}
		bodies[link] = append(bodies[link], r...)
		if f.fields["more"] == true {
			continue
		}
		first, body := parts[link], bodies[link]
		delete(parts, link)
		delete(bodies, link)
		first.payload = map[string]any{}
		for len(body) > 0 {
			section := body.value().(described)
			first.payload[section.name] = section.value
		}
		out = append(out, *first)
	}
	return out
}

// A sniffer stands between clients and a broker, and keeps what they say.
type sniffer struct {
	*brokertest.Proxy

	mu      sync.Mutex
	streams map[int]*[2][]byte // by connection: what the broker sent, what the client sent
}

func newSniffer(t *testing.T, target string) *sniffer {
	t.Helper()
	s := &sniffer{Proxy: brokertest.NewProxy(t, target), streams: map[int]*[2][]byte{}}
	s.Tap(func(connection int, toBroker bool, piece []byte) {
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.streams[connection] == nil {
			s.streams[connection] = &[2][]byte{}
		}
		side := &s.streams[connection][0]
		if toBroker {
			side = &s.streams[connection][1]
		}
		*side = append(*side, piece...)
	})
	return s
}

// said returns what the client of a connection and the broker have sent to each other so far.
func (s *sniffer) said(connection int) (client, broker []frame) {
	s.mu.Lock()
	defer s.mu.Unlock()
	both := s.streams[connection]
	if both == nil {
		return nil, nil
	}
	return frames(both[1]), frames(both[0])
}
