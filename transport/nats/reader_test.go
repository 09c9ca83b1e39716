package nats

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	natsgo "github.com/nats-io/nats.go"
)

// A chunked connection hands out what it has, at most so many bytes at a time.
type chunked struct {
	net.Conn
	left []byte
	size func() int
}

func (c *chunked) Read(p []byte) (int, error) {
	if len(c.left) == 0 {
		return 0, io.EOF
	}
	n := copy(p, c.left[:min(c.size(), len(c.left))])
	c.left = c.left[n:]
	return n, nil
}

// told is a message, to be compared.
type told struct{ subject, reply, header, data string }

// readAll returns what nats.go reads of the input, and what the one subscription of ours receives.
func readAll(input []byte, size func() int) (theirs []byte, ours []told, _ error) {
	var s subscriptions
	s.add(&subscription{subject: "a.>", receive: func(m message) {
		ours = append(ours, told{string(m.subject), string(m.reply), string(m.header), string(m.data)})
	}})
	k := &socket{Conn: &chunked{left: input, size: size}, wake: make(chan struct{}, 1)}
	k.in = reader{socket: k, subscriptions: &s}
	theirs, err := io.ReadAll(k)
	return theirs, ours, err
}

// However the bytes come, ours are received whole and nats.go reads the others as they are.
func TestMessagesAreToldApart(t *testing.T) {
	t.Parallel()
	large := strings.Repeat("x", 3*firstRead)
	sid := fmt.Sprint(firstSID + 1)
	theirs := []string{
		"PONG\r\n", "PING\r\n", "-ERR 'Permissions Violation'\r\n", "MSG js.info 7 5\r\nhello\r\n", "MSG js.large 7 reply." + "1 " + fmt.Sprint(len(large)) + "\r\n" + large + "\r\n",
		"HMSG js.info 8 12 17\r\nNATS/1.0\r\n\r\nMSG a\r\n", "MSG gone " + fmt.Sprint(firstSID+9) + " 2\r\nhi\r\n", `INFO {"max_payload":1,"connect_urls":["` + large[:firstRead] + `"]}` + "\r\n",
	}
	gone := 6 // a subscription of ours that has ended
	ours := []string{
		"MSG a.1 " + sid + " 0\r\n\r\n", "MSG a.2 " + sid + " om.reply.1 4\r\nPING\r\n", "HMSG a.3 " + sid + " r 16 16\r\nNATS/1.0 503\r\n\r\n\r\n",
		"HMSG a.4 " + sid + " 20 22\r\nNATS/1.0\r\nK: v w\r\n\r\n{}\r\n", "MSG a.5 " + sid + " " + fmt.Sprint(len(large)) + "\r\n" + large + "\r\n",
	}
	want := []told{
		{subject: "a.1"},
		{subject: "a.2", reply: "om.reply.1", data: "PING"},
		{subject: "a.3", reply: "r", header: "NATS/1.0 503\r\n\r\n"},
		{subject: "a.4", header: string(header(nil).add("K", "v w")), data: "{}"},
		{subject: "a.5", data: large},
	}
	for seed := range uint64(20) {
		random := rand.New(rand.NewPCG(seed, 1))
		var input, others []byte
		var expected []told
		for range 30 {
			if i := random.IntN(len(theirs)); random.IntN(2) == 0 {
				input = append(input, theirs[i]...)
				if i != gone {
					others = append(others, theirs[i]...)
				}
			} else {
				i %= len(ours)
				input = append(input, ours[i]...)
				expected = append(expected, want[i])
			}
		}
		most := []int{20, 100, firstRead}[random.IntN(3)]
		got, received, err := readAll(input, func() int { return 1 + random.IntN(most) })
		if err != nil || !bytes.Equal(got, others) {
			t.Fatalf("seed %d: nats.go reads %d bytes, want %d; error %v", seed, len(got), len(others), err)
		}
		if diff := cmp.Diff(expected, received, cmp.AllowUnexported(told{})); diff != "" {
			t.Fatalf("seed %d: %s", seed, diff)
		}
	}
}

// FuzzReader has anything come from a server: nothing makes the reader panic or wait, and it invents nothing.
func FuzzReader(f *testing.F) {
	f.Add([]byte("MSG a.b 1073741825 om.reply.1 2\r\n{}\r\nPING\r\n"), uint8(3))
	f.Add([]byte("HMSG a.b 1073741825 16 18\r\nNATS/1.0 503\r\n\r\n{}\r\n"), uint8(200))
	f.Add([]byte("MSG a.b 7 2\r\n{}\r\nMSG a.b 1073741825 99999999999 2\r\n"), uint8(0))
	f.Add([]byte("MSG\r\nHMSG 1\r\n"), uint8(9))
	f.Fuzz(func(t *testing.T, input []byte, chunk uint8) {
		if bytes.Contains(input, []byte("000000")) {
			return // a message of a hundred million bytes that never come is a matter of memory
		}
		theirs, ours, _ := readAll(input, func() int { return int(chunk) + 1 }) // whether and how it ends is the input's affair
		n := len(theirs)
		for _, m := range ours {
			if !bytes.Contains(input, []byte(m.data)) || !bytes.Contains(input, []byte(m.subject)) {
				t.Errorf("%q is not in %q", m.data, input)
			}
			n += len(m.subject) + len(m.reply) + len(m.header) + len(m.data)
		}
		if n > len(input) {
			t.Errorf("%d bytes were read of %d", n, len(input))
		}
	})
}

// FuzzHeader reads what we write, and has nats.go do so.
func FuzzHeader(f *testing.F) {
	f.Add("Nats-Msg-Id", "1", "traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
	f.Add("a", "two\r\nlines: b", "c", "")
	f.Fuzz(func(t *testing.T, name1, value1, name2, value2 string) {
		h := header(nil).add(name1, value1).add(name2, value2)
		_, _ = h.status()
		for name := range h.all() {
			_ = h.get(string(name))
		}
		theirs, err := natsgo.DecodeHeadersMsg(h)
		if err != nil {
			return
		}
		for name, values := range theirs {
			if got := h.get(name); got != strings.Trim(values[0], " \t\r") {
				t.Errorf("%q is %q, and nats.go reads %q of %q", name, got, values[0], h)
			}
		}
	})
}

// A server that was learned of, and has no name, has to have the certificate of the one that told.
func TestNameInACertificate(t *testing.T) {
	t.Parallel()
	d := &dialer{conn: &Conn{cfg: Config{Servers: []string{"10.0.0.1:4222", "bus.example:4222"}}}}
	for _, c := range []struct{ address, want string }{
		{"10.0.0.2:4222", "10.0.0.2"},
		{"bus.example:4222", "bus.example"},
		{"10.0.0.2:4222", "bus.example"},
		{"10.0.0.1:4222", "10.0.0.1"},
		{"[::1]:4222", "bus.example"},
	} {
		if got := d.name(c.address); got != c.want {
			t.Errorf("%s: %s, want %s", c.address, got, c.want)
		}
	}
}
