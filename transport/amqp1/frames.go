package amqp1

import (
	"encoding/binary"
	"strings"

	"github.com/Azure/go-amqp"
)

// The descriptors of performatives and delivery states (parts 2 and 3 of the specification).
const (
	open0        = 0x10
	begin0       = 0x11
	attach0      = 0x12
	flow0        = 0x13
	transfer0    = 0x14
	disposition0 = 0x15
	detach0      = 0x16
	end0         = 0x17
	close0       = 0x18

	error0    = 0x1d
	received0 = 0x23
	accepted0 = 0x24
	rejected0 = 0x25
	released0 = 0x26
	modified0 = 0x27
)

const (
	frameHeader = 8
	frameAMQP   = 0 // its type; SASL's is 1
	// largestFrame is more than we let a broker send, 64 KiB.
	largestFrame = 1 << 20
)

// A frame is one whole frame.
type frame []byte

// frameSize is the size of the frame, or protocol header, that b begins with; 0 = too little of it is there to tell.
func frameSize(b []byte) int {
	if len(b) < 4 {
		return 0
	}
	if string(b[:4]) == "AMQP" {
		return 8
	}
	return int(binary.BigEndian.Uint32(b))
}

func (f frame) channel() uint16 { return binary.BigEndian.Uint16(f[6:]) }

// body is what f says: a performative, and what follows its fields. 0 = nothing that concerns messages.
func (f frame) body() (performative uint64, fields list, rest []byte) {
	if len(f) <= frameHeader || string(f[:4]) == "AMQP" || f[5] != frameAMQP || int(f[4])*4 >= len(f) || f[4] < 2 {
		return 0, list{}, nil
	}
	v := values{b: f[int(f[4])*4:]}
	performative = v.descriptor()
	if performative < open0 || performative > close0 {
		return 0, list{}, nil
	}
	fields = v.list()
	fields.err = v.err
	return performative, fields, v.b
}

// beginFrame appends the beginning of a frame with a performative, whose fields the caller appends: count of them, and less than 250 bytes.
func beginFrame(b []byte, channel uint16, performative, count byte) []byte {
	return append(b, 0, 0, 0, 0, frameHeader/4, frameAMQP, byte(channel>>8), byte(channel),
		typeDescribed, typeSmallUlong, performative, typeList8, 0, count)
}

// endFields ends the fields of a frame that began at start.
func endFields(b []byte, start int) {
	const sizeAt = frameHeader + 4
	b[start+sizeAt] = byte(len(b) - start - sizeAt - 1)
}

// endFrame ends a frame that began at start.
func endFrame(b []byte, start int) {
	binary.BigEndian.PutUint32(b[start:], uint32(len(b)-start))
}

// A fate is what became of a message, or is to become of it.
type fate struct {
	state         uint64 // accepted0 to modified0
	why           *amqp.Error
	failed, never bool // modified: it counts as tried, and is not for this link
}

// readFate reads a delivery state.
func readFate(v *values) (f fate) {
	f.state = v.descriptor()
	fields := v.list()
	switch f.state {
	case rejected0:
		if fields.next() {
			f.why = readError(&fields.values)
		}
	case modified0:
		f.failed = fields.flag()
		f.never = fields.flag()
	}
	return f
}

// readError reads why something was refused.
func readError(v *values) *amqp.Error {
	if v.descriptor() != error0 {
		return nil
	}
	fields := v.list()
	return &amqp.Error{Condition: amqp.ErrCond(fields.text()), Description: string(fields.text())}
}

// append writes f as a field.
func (f fate) append(b []byte) []byte {
	b = append(b, typeDescribed, typeSmallUlong, byte(f.state))
	if f.why == nil {
		return append(b, typeList0)
	}
	const most = 100 // the whole frame is a small one
	description := f.why.Description
	description = strings.ToValidUTF8(description[:min(len(description), most)], "?")
	start := len(b)
	b = append(b, typeList8, 0, 1, typeDescribed, typeSmallUlong, error0, typeList8, 0, 2)
	inner := len(b) - 3
	b = append(append(b, typeSymbol8, byte(len(f.why.Condition))), f.why.Condition...)
	b = appendString(b, description)
	b[inner+1] = byte(len(b) - inner - 2)
	b[start+1] = byte(len(b) - start - 2)
	return b
}
