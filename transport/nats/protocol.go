package nats

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"math"
	"strconv"
)

// errProtocol: the server has sent what is not NATS's protocol.
var errProtocol = errors.New("not the protocol of a NATS server")

// A message is one that came in. It belongs to the receiver.
type message struct {
	subject, reply []byte
	header         header
	data           []byte
}

// A serverInfo is what concerns us of what a server says of itself, at first and when that changes.
type serverInfo struct {
	TLSRequired  bool  `json:"tls_required"`
	TLSAvailable bool  `json:"tls_available"`
	Headers      bool  `json:"headers"`
	MaxPayload   int64 `json:"max_payload"`
}

const infoStart = "INFO "

// parseInfo reads such a line.
func parseInfo(line []byte) (info serverInfo, ok bool) {
	text, ok := bytes.CutPrefix(line, []byte(infoStart))
	return info, ok && json.Unmarshal(text, &info) == nil
}

// An announcement is the line before a message: MSG subject sid [reply] size, or HMSG subject sid [reply] headers size.
type announcement struct {
	subject, reply []byte // parts of the line
	sid            uint64
	header, size   int // the size of the header block, and of it and the data
}

// announces says that a line is an announcement.
func announces(line []byte) bool {
	return len(line) > 4 && (line[0] == 'M' && line[3] == ' ' || line[0] == 'H' && line[4] == ' ')
}

// parseAnnouncement reads a line that announces, its end included.
func parseAnnouncement(line []byte) (a announcement, err error) {
	var room [6][]byte
	fields := room[:0]
	rest := bytes.TrimRight(line, "\r\n")
	for len(rest) > 0 && len(fields) < len(room) {
		var field []byte
		field, rest, _ = bytes.Cut(rest, []byte(" "))
		fields = append(fields, field)
	}
	headed := 0
	if line[0] == 'H' {
		headed = 1
	}
	switch len(fields) - headed {
	case 5:
		a.reply = fields[3]
	case 4:
	default:
		return a, fmt.Errorf("%w: %.200q", errProtocol, line)
	}
	a.subject = fields[1]
	sid, okSID := number(fields[2])
	sizes := fields[len(fields)-1-headed:]
	head, okHead := number(sizes[0]) // both are the size, without headers
	size, okSize := number(sizes[headed])
	if headed == 0 {
		head = 0
	}
	if !okSID || !okSize || !okHead || head > size || len(a.subject) == 0 || len(rest) > 0 {
		return a, fmt.Errorf("%w: %.200q", errProtocol, line)
	}
	a.sid, a.header, a.size = uint64(sid), head, size
	return a, nil
}

// number reads digits, up to what an int32 holds.
func number(digits []byte) (n int, ok bool) {
	if len(digits) == 0 || len(digits) > len("2147483647") {
		return 0, false
	}
	for _, d := range digits {
		if d < '0' || d > '9' {
			return 0, false
		}
		n = n*10 + int(d-'0')
	}
	return n, n <= math.MaxInt32
}

// appendPublication writes PUB or HPUB.
func appendPublication(b, subject, reply []byte, h header, body []byte) []byte {
	if h != nil {
		b = append(b, 'H')
	}
	b = append(append(b, "PUB "...), subject...)
	b = append(b, ' ')
	if len(reply) > 0 {
		b = append(append(b, reply...), ' ')
	}
	if h != nil {
		b = append(strconv.AppendInt(b, int64(len(h)), 10), ' ')
	}
	b = append(strconv.AppendInt(b, int64(len(h)+len(body)), 10), "\r\n"...)
	b = append(append(b, h...), body...)
	return append(b, "\r\n"...)
}

// A header is the block of a message's headers, as it travels; nil = none.
type header []byte

const headerVersion = "NATS/1.0"

// nobodyThere is what the server says to a request that nobody listens to.
const nobodyThere = headerVersion + " 503\r\n\r\n"

// add returns the block with one more. Ends of lines in a value become blanks.
func (h header) add(name, value string) header {
	if len(h) == 0 {
		h = append(h, headerVersion+"\r\n"...)
	} else {
		h = h[:len(h)-2]
	}
	h = append(append(h, name...), ": "...)
	for i := range len(value) {
		c := value[i]
		if c == '\r' || c == '\n' {
			c = ' '
		}
		h = append(h, c)
	}
	return append(h, "\r\n\r\n"...)
}

// addNumber is add with a number.
func (h header) addNumber(name string, n int64) header {
	var room [20]byte
	return h.add(name, string(strconv.AppendInt(room[:0], n, 10)))
}

// all are the names and values, without blanks around them.
func (h header) all() iter.Seq2[[]byte, []byte] {
	return func(yield func(name, value []byte) bool) {
		_, rest, _ := bytes.Cut(h, []byte("\n"))
		for len(rest) > 0 {
			var line []byte
			line, rest, _ = bytes.Cut(rest, []byte("\n"))
			if name, value, ok := bytes.Cut(line, []byte(":")); ok && len(name) > 0 && !yield(name, bytes.Trim(value, " \t\r")) {
				return
			}
		}
	}
}

// get is the value of the first of that name; "" without one.
func (h header) get(name string) string {
	for n, value := range h.all() {
		if string(n) == name {
			return string(value)
		}
	}
	return ""
}

// status is what stands beside the version, in messages of the server's own.
func (h header) status() (code, description string) {
	line, _, _ := bytes.Cut(h, []byte("\r\n"))
	first, rest, _ := bytes.Cut(bytes.TrimSpace(bytes.TrimPrefix(line, []byte(headerVersion))), []byte(" "))
	return string(first), string(bytes.TrimSpace(rest))
}

// noResponders says whether m is the server's word that nobody listens.
func noResponders(m message) bool {
	if len(m.data) > 0 || m.header == nil {
		return false
	}
	code, _ := m.header.status()
	return code == "503"
}
