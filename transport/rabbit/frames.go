package rabbit

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"
)

// Frames of AMQP 0-9-1 (sections 2.3.5 and 4.2.3 of its specification): a type, a channel, the length of the
// payload, the payload, and an end mark. A message is a method frame, a header frame and body frames.
const (
	frameMethod    = 1
	frameHeader    = 2
	frameBody      = 3
	frameHeartbeat = 8
	frameEnd       = 0xce

	protocolHeader = 8 // bytes that a connection begins with, before any frame

	frameHead = 7             // bytes before the payload
	frameRoom = frameHead + 1 // bytes around the payload
)

// Methods, each with its class.
const (
	classQueue = 50
	classBasic = 60

	channelOpen    = 20<<16 | 10
	channelClose   = 20<<16 | 40
	channelCloseOk = 20<<16 | 41
	queueDeclare   = classQueue<<16 | 10
	queueDeclareOk = classQueue<<16 | 11
	queueBind      = classQueue<<16 | 20
	basicConsume   = classBasic<<16 | 20
	basicConsumeOk = classBasic<<16 | 21
	basicPublish   = classBasic<<16 | 40
	basicReturn    = classBasic<<16 | 50
	basicDeliver   = classBasic<<16 | 60
	basicAck       = classBasic<<16 | 80
	basicNack      = classBasic<<16 | 120
)

// Properties of a message, as they are flagged in its header.
const (
	hasContentType     = 1 << 15
	hasContentEncoding = 1 << 14
	hasHeaders         = 1 << 13
	hasDeliveryMode    = 1 << 12
	hasPriority        = 1 << 11
	hasCorrelationID   = 1 << 10
	hasReplyTo         = 1 << 9
	hasExpiration      = 1 << 8
	hasMessageID       = 1 << 7
	hasTimestamp       = 1 << 6
	hasType            = 1 << 5
	hasUserID          = 1 << 4
	hasAppID           = 1 << 3
	hasClusterID       = 1 << 2
)

// errSyntax is of a frame that is not what its head says.
var errSyntax = errors.New("rabbit: a frame from the broker cannot be read")

func known(kind byte) bool {
	return kind == frameMethod || kind == frameHeader || kind == frameBody || kind == frameHeartbeat
}

// A frame is one whole frame, head and end mark included.
type frame []byte

func (f frame) kind() byte      { return f[0] }
func (f frame) channel() uint16 { return binary.BigEndian.Uint16(f[1:]) }
func (f frame) payload() []byte { return f[frameHead : len(f)-1] }

// method is 0 for a frame that holds none.
func (f frame) method() uint32 {
	if f.kind() != frameMethod || len(f) < frameRoom+4 {
		return 0
	}
	return binary.BigEndian.Uint32(f[frameHead:])
}

// frameSize is how long the frame is that b begins with, or how long b must be to tell.
func frameSize(b []byte) int {
	if len(b) < frameHead {
		return frameHead
	}
	return frameRoom + int(min(binary.BigEndian.Uint32(b[3:]), math.MaxInt32-frameRoom))
}

// openFrame begins a frame whose payload is appended next.
func openFrame(dst []byte, kind byte, channel uint16) (out []byte, start int) {
	dst = append(dst, kind, byte(channel>>8), byte(channel), 0, 0, 0, 0)
	return dst, len(dst)
}

// closeFrame ends the frame whose payload began at start.
func closeFrame(dst []byte, start int) []byte {
	binary.BigEndian.PutUint32(dst[start-4:], uint32(len(dst)-start))
	return append(dst, frameEnd)
}

// appendPublish appends the frames of one message, none longer than most; 0 = as long as it takes.
func appendPublish(dst []byte, channel uint16, most int, p *publication) []byte {
	dst = slices.Grow(dst, len(p.body)+len(p.body)/8192+1024) // a long body is not to be copied each time that dst grows
	dst, start := openFrame(dst, frameMethod, channel)
	dst = binary.BigEndian.AppendUint32(dst, basicPublish)
	dst = append(dst, 0, 0)
	dst = appendShort(dst, p.exchange.name)
	dst = appendShort(dst, p.key)
	dst = append(dst, flag(p.mandatory, 1))
	dst = closeFrame(dst, start)

	dst, start = openFrame(dst, frameHeader, channel)
	dst = append(dst, 0, classBasic, 0, 0)
	dst = binary.BigEndian.AppendUint64(dst, uint64(len(p.body)))
	dst = appendProperties(dst, p)
	dst = closeFrame(dst, start)

	for body := p.body; len(body) > 0; {
		n := len(body)
		if most > 0 {
			n = min(n, most-frameRoom)
		}
		dst, start = openFrame(dst, frameBody, channel)
		dst = append(dst, body[:n]...)
		dst = closeFrame(dst, start)
		body = body[n:]
	}
	return dst
}

// appendProperties appends those of every message of ours, the same bytes as upstream's (RMQ-PUB-02).
func appendProperties(dst []byte, p *publication) []byte {
	flags := uint16(hasContentType | hasContentEncoding | hasHeaders | hasDeliveryMode | hasPriority)
	if p.expires > 0 {
		flags |= hasExpiration
	}
	if p.probe != nil {
		flags |= hasMessageID | hasType
	}
	dst = binary.BigEndian.AppendUint16(dst, flags)
	dst = appendShort(dst, "application/json")
	dst = appendShort(dst, "utf-8")
	dst = appendHeaders(dst, p)
	dst = append(dst, amqp.Persistent, 0)
	if p.expires > 0 {
		dst = appendExpiration(dst, p.expires)
	}
	if p.probe != nil {
		dst = appendShort(dst, p.probe.id)
		dst = appendShort(dst, probeType)
	}
	return dst
}

// appendExpiration appends the property of that name (RMQ-PUB-03): milliseconds, truncated.
func appendExpiration(dst []byte, d time.Duration) []byte {
	start := len(dst)
	dst = strconv.AppendInt(append(dst, 0), d.Milliseconds(), 10)
	dst[start] = byte(len(dst) - start - 1)
	return dst
}

// appendHeaders appends the table of headers, which is empty in most messages.
func appendHeaders(dst []byte, p *publication) []byte {
	dst = append(dst, 0, 0, 0, 0)
	start := len(dst)
	if p.compression != "" {
		dst = appendText(dst, compressionHeader, p.compression)
	}
	for key, text := range p.headers {
		dst = appendText(dst, key, text)
	}
	if p.probe != nil && len(p.probe.besides) > 0 {
		dst = appendBesides(dst, p.probe.besides)
	}
	binary.BigEndian.PutUint32(dst[start-4:], uint32(len(dst)-start))
	return dst
}

// appendText appends an entry of a table.
func appendText(dst []byte, key, text string) []byte {
	dst = append(appendShort(dst, key), 'S')
	dst = binary.BigEndian.AppendUint32(dst, uint32(len(text)))
	return append(dst, text...)
}

// appendBesides appends the header by which RabbitMQ routes a message by more keys than its own. It takes it out again.
func appendBesides(dst []byte, keys []string) []byte {
	dst = append(appendShort(dst, "BCC"), 'A', 0, 0, 0, 0)
	start := len(dst)
	for _, key := range keys {
		dst = binary.BigEndian.AppendUint32(append(dst, 'S'), uint32(len(key)))
		dst = append(dst, key...)
	}
	binary.BigEndian.PutUint32(dst[start-4:], uint32(len(dst)-start))
	return dst
}

// appendBind appends a queue.bind that is not answered.
func appendBind(dst []byte, channel uint16, queue, exchange, key string) []byte {
	dst, start := openFrame(dst, frameMethod, channel)
	dst = binary.BigEndian.AppendUint32(dst, queueBind)
	dst = append(dst, 0, 0)
	dst = appendShort(dst, queue)
	dst = appendShort(dst, exchange)
	dst = appendShort(dst, key)
	dst = append(dst, 1, 0, 0, 0, 0) // no-wait, and no arguments
	return closeFrame(dst, start)
}

// appendLook appends a passive queue.declare, which says of a queue that it is there, and how many consumers it has.
func appendLook(dst []byte, channel uint16, queue string) []byte {
	dst, start := openFrame(dst, frameMethod, channel)
	dst = binary.BigEndian.AppendUint32(dst, queueDeclare)
	dst = append(dst, 0, 0)
	dst = appendShort(dst, queue)
	dst = append(dst, 1, 0, 0, 0, 0) // passive, and no arguments
	return closeFrame(dst, start)
}

// appendAck appends a basic.ack.
func appendAck(dst []byte, channel uint16, tag uint64, multiple bool) []byte {
	dst, start := openFrame(dst, frameMethod, channel)
	dst = binary.BigEndian.AppendUint32(dst, basicAck)
	dst = binary.BigEndian.AppendUint64(dst, tag)
	dst = append(dst, flag(multiple, 1))
	return closeFrame(dst, start)
}

// appendConsume appends a basic.consume whose deliveries are to be acknowledged. Args is a table, see arguments.
func appendConsume(dst []byte, channel uint16, queue, tag string, args []byte) []byte {
	dst, start := openFrame(dst, frameMethod, channel)
	dst = binary.BigEndian.AppendUint32(dst, basicConsume)
	dst = append(dst, 0, 0)
	dst = appendShort(dst, queue)
	dst = appendShort(dst, tag)
	dst = append(dst, 0) // neither no-local, no-ack, exclusive nor no-wait
	dst = append(dst, args...)
	return closeFrame(dst, start)
}

// consumerArguments is a table of the types that arguments of our consumers have.
func consumerArguments(args amqp.Table) ([]byte, error) {
	table := make([]byte, 4, 64)
	for key, value := range args {
		switch v := value.(type) {
		case bool:
			table = append(appendShort(table, key), 't', flag(v, 1))
		case int32:
			table = binary.BigEndian.AppendUint32(append(appendShort(table, key), 'I'), uint32(v))
		case int64:
			table = binary.BigEndian.AppendUint64(append(appendShort(table, key), 'l'), uint64(v))
		case string:
			table = appendText(table, key, v)
		default:
			return nil, fmt.Errorf("argument %s of a consumer is a %T, which is not sent", key, value)
		}
	}
	binary.BigEndian.PutUint32(table, uint32(len(table)-4))
	return table, nil
}

// longestName is the most bytes of a short string, such as a name of a queue, an exchange or a key.
const longestName = math.MaxUint8

// appendShort appends a short string; Send refuses what is longer than one can be.
func appendShort(dst []byte, s string) []byte {
	s = s[:min(len(s), longestName)]
	return append(append(dst, byte(len(s))), s...)
}

func flag(on bool, bit byte) byte {
	if on {
		return bit
	}
	return 0
}

// A cursor reads a payload from its start. What is missing reads as zero, and sets bad.
type cursor struct {
	rest []byte
	bad  bool
}

func (c *cursor) bytes(n int) []byte {
	if n < 0 || n > len(c.rest) {
		c.bad, c.rest = true, nil
		return nil
	}
	b := c.rest[:n]
	c.rest = c.rest[n:]
	return b
}

func (c *cursor) octet() byte {
	if b := c.bytes(1); b != nil {
		return b[0]
	}
	return 0
}

func (c *cursor) short() uint16 {
	if b := c.bytes(2); b != nil {
		return binary.BigEndian.Uint16(b)
	}
	return 0
}

func (c *cursor) long() uint32 {
	if b := c.bytes(4); b != nil {
		return binary.BigEndian.Uint32(b)
	}
	return 0
}

func (c *cursor) longlong() uint64 {
	if b := c.bytes(8); b != nil {
		return binary.BigEndian.Uint64(b)
	}
	return 0
}

func (c *cursor) shortstr() []byte { return c.bytes(int(c.octet())) }
func (c *cursor) longstr() []byte  { return c.bytes(int(c.long())) }

func (c *cursor) time() time.Time { return time.Unix(int64(c.longlong()), 0) }

// maxNesting is how deep tables and arrays may nest in a header.
const maxNesting = 32

// table reads a field table, of the types that the library gives its values. An empty one is nil.
func (c *cursor) table(depth int) amqp.Table {
	in := cursor{rest: c.longstr()}
	if len(in.rest) == 0 {
		return nil // as in nearly every message
	}
	table := amqp.Table{}
	for len(in.rest) > 0 {
		key := string(in.shortstr())
		table[key] = in.field(depth)
	}
	c.bad = c.bad || in.bad
	return table
}

func (c *cursor) field(depth int) any {
	switch c.octet() {
	case 't':
		return c.octet() != 0
	case 'b':
		return int8(c.octet())
	case 'B':
		return c.octet()
	case 's':
		return int16(c.short())
	case 'u':
		return c.short()
	case 'I':
		return int32(c.long())
	case 'i':
		return c.long()
	case 'l':
		return int64(c.longlong())
	case 'f':
		return math.Float32frombits(c.long())
	case 'd':
		return math.Float64frombits(c.longlong())
	case 'D':
		return amqp.Decimal{Scale: c.octet(), Value: int32(c.long())}
	case 'S':
		return string(c.longstr())
	case 'x':
		return append([]byte(nil), c.longstr()...)
	case 'T':
		return c.time()
	case 'V':
		return nil
	case 'F':
		if depth < maxNesting {
			return c.table(depth + 1)
		}
	case 'A':
		if depth < maxNesting {
			return c.array(depth + 1)
		}
	}
	c.bad, c.rest = true, nil
	return nil
}

func (c *cursor) array(depth int) []any {
	in := cursor{rest: c.longstr()}
	list := []any{}
	for len(in.rest) > 0 {
		list = append(list, in.field(depth))
	}
	c.bad = c.bad || in.bad
	return list
}
