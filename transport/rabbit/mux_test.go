package rabbit

import (
	"bytes"
	"encoding/hex"
	"io"
	"net"
	"os/exec"
	"strings"
	"testing"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"
)

// A chunked connection hands out what it has, so many bytes at a time.
type chunked struct {
	net.Conn
	left []byte
	size int
}

func (c *chunked) Read(p []byte) (int, error) {
	if len(c.left) == 0 {
		return 0, io.EOF
	}
	n := copy(p, c.left[:min(c.size, len(c.left))])
	c.left = c.left[n:]
	return n, nil
}

// FuzzMux has anything come from a broker: the library gets it as it is, except for what is of our channel, and
// nothing of it makes the reader panic or wait.
func FuzzMux(f *testing.F) {
	content := appendDelivery(nil, 1, "1", []byte("body"))
	f.Add(content, uint8(0))
	f.Add(append(content, content...), uint8(3))
	f.Add(appendAck(nil, 1, 1, true), uint8(5))
	f.Add(append(appendAck(nil, 2, 1, true), frameHeartbeat, 0, 0, 0, 0, 0, 0, frameEnd), uint8(1))
	f.Add([]byte("HTTP/1.1 400 Bad Request\r\n\r\n"), uint8(7))
	f.Add([]byte("AMQP\x00\x00\x09\x01"), uint8(7))
	f.Fuzz(func(t *testing.T, input []byte, chunk uint8) {
		through := func(ours bool) []byte {
			m := newMux(&socket{Conn: &chunked{left: input, size: int(chunk) + 1}})
			m.beat = time.Now().Add(time.Hour) // no heartbeats of its own
			if ours {
				c := &channel{mux: m, number: 1, returned: func(amqp.Return) {}, confirming: true, published: 1, waiting: make([]confirmer, 1)}
				c.consumers = map[string]*consumer{"1": {tag: "1", in: make(chan *amqp.Delivery, 2)}}
				m.channels[1] = c
			}
			out, _ := io.ReadAll(m) // whether and how it ends is the input's affair
			return out
		}
		if out := through(false); !bytes.HasPrefix(input, out) {
			t.Errorf("the library reads %q of %q", out, input)
		}
		if got, want := others(through(true)), others(input); !bytes.HasPrefix(want, got) {
			t.Errorf("of other channels the library reads %q of %q", got, want)
		}
	})
}

// others are the bytes but for whole frames of channel 1, up to what is no frame, where the library gives up.
func others(b []byte) []byte {
	var out []byte
	for len(b) > 0 {
		n := frameSize(b)
		if !known(b[0]) || n > len(b) {
			break
		}
		if frame(b[:n]).channel() != 1 {
			out = append(out, b[:n]...)
		}
		b = b[n:]
	}
	return out
}

// appendDelivery appends what a broker delivers.
func appendDelivery(dst []byte, channel uint16, tag string, body []byte) []byte {
	dst, start := openFrame(dst, frameMethod, channel)
	dst = append(dst, 0, classBasic, 0, 60)
	dst = appendShort(dst, tag)
	dst = append(dst, 0, 0, 0, 0, 0, 0, 0, 1, 0)
	dst = appendShort(dst, "exchange")
	dst = appendShort(dst, "key")
	dst = closeFrame(dst, start)
	published := appendPublish(nil, channel, 0, &publication{body: body})
	return append(dst, published[frameSize(published):]...) // header and body are alike both ways
}

// A delivery reaches its consumer whole however it is cut.
func TestDeliveryInPieces(t *testing.T) {
	t.Parallel()
	body := bytes.Repeat([]byte("0123456789"), 5000)
	for _, size := range []int{1, 7, 8, 1000, 1 << 20} {
		m := newMux(&socket{Conn: &chunked{left: appendDelivery(nil, 1, "1", body), size: size}})
		m.beat = time.Now().Add(time.Hour) // no heartbeats for the library
		in := make(chan *amqp.Delivery, 1)
		m.channels[1] = &channel{mux: m, number: 1, consumers: map[string]*consumer{"1": {tag: "1", in: in}}}
		if left, err := io.ReadAll(m); len(left) > 0 || err != nil {
			t.Errorf("in pieces of %d: %d bytes left for the library, %v", size, len(left), err)
		}
		if d := receive(t, in, "the delivery"); !bytes.Equal(d.Body, body) || d.RoutingKey != "key" || d.ContentType != "application/json" {
			t.Errorf("in pieces of %d: %d bytes, key %q, content type %q", size, len(d.Body), d.RoutingKey, d.ContentType)
		}
	}
}

// The library's frames leave whole, however it cuts them.
func TestOnlyWholeFramesLeave(t *testing.T) {
	t.Parallel()
	s := &socket{wake: make(chan struct{}, 1)}
	m := newMux(s)
	all := append([]byte("AMQP\x00\x00\x09\x01"), appendAck(nil, 3, 1, false)...)
	all = append(all, appendAck(nil, 4, 2, true)...)
	whole := map[int]bool{0: true, protocolHeader: true, protocolHeader + frameSize(all[protocolHeader:]): true, len(all): true}
	for i := range all {
		if _, err := m.Write(all[i : i+1]); err != nil {
			t.Fatal(err)
		}
		if n := len(s.pending); !whole[n] {
			t.Fatalf("after %d bytes %d are on their way; no frame ends there", i+1, n)
		}
	}
	if !bytes.Equal(s.pending, all) {
		t.Errorf("%q was written, %q leaves", all, s.pending)
	}
}

// What a receiver sees of a message is the same bytes as when kombu's client publishes it with the arguments that
// oslo.messaging gives it.
//
// conforms: RMQ-PUB-02
func TestPropertiesAreUpstreams(t *testing.T) {
	t.Parallel()
	const program = `
import sys
from amqp.basic_message import Message
for headers, more in (({}, {}), ({}, {"expiration": "60000"}), ({"compression": "gzip"}, {}), ({"traceparent": "00-1-2-01"}, {})):
    m = Message("", content_type="application/json", content_encoding="utf-8", application_headers=headers,
                delivery_mode=2, priority=0, **more)
    print(m._serialize_properties().hex())
`
	out, err := exec.CommandContext(t.Context(), "/usr/bin/python3", "-c", program).Output()
	if err != nil {
		t.Fatalf("%v; install it with: apt-get install python3-oslo.messaging", err)
	}
	lines := strings.Fields(string(out))
	publications := []publication{{}, {expires: time.Minute}, {compression: "gzip"}, {headers: map[string]string{"traceparent": "00-1-2-01"}}}
	if len(lines) != len(publications) {
		t.Fatalf("python printed %q", out)
	}
	for i := range publications {
		if got := hex.EncodeToString(appendProperties(nil, &publications[i])); got != lines[i] {
			t.Errorf("%+v is written %s, by upstream %s", publications[i], got, lines[i])
		}
	}
}
