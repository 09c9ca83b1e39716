package amqp1

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
)

// The constructors of AMQP 1.0's types that are written, or told apart, here (part 1 of the specification, section 1.6).
const (
	typeDescribed  = 0x00
	typeNull       = 0x40
	typeTrue       = 0x41
	typeFalse      = 0x42
	typeUint0      = 0x43
	typeUlong0     = 0x44
	typeList0      = 0x45
	typeUbyte      = 0x50
	typeSmallUint  = 0x52
	typeSmallUlong = 0x53
	typeBool       = 0x56
	typeUshort     = 0x60
	typeUint       = 0x70
	typeUlong      = 0x80
	typeTimestamp  = 0x83
	typeUUID       = 0x98
	typeBinary8    = 0xa0
	typeString8    = 0xa1
	typeSymbol8    = 0xa3
	typeBinary32   = 0xb0
	typeString32   = 0xb1
	typeSymbol32   = 0xb3
	typeList8      = 0xc0
	typeMap8       = 0xc1
	typeList32     = 0xd0
	typeMap32      = 0xd1
)

// errSyntax is wrapped in errors about what a broker has sent.
var errSyntax = errors.New("malformed AMQP 1.0")

func appendUint(b []byte, v uint32) []byte {
	switch {
	case v == 0:
		return append(b, typeUint0)
	case v <= math.MaxUint8:
		return append(b, typeSmallUint, byte(v))
	}
	return binary.BigEndian.AppendUint32(append(b, typeUint), v)
}

func appendBool(b []byte, v bool) []byte {
	if v {
		return append(b, typeTrue)
	}
	return append(b, typeFalse)
}

func appendString(b []byte, s string) []byte {
	if len(s) <= math.MaxUint8 {
		b = append(b, typeString8, byte(len(s)))
	} else {
		b = binary.BigEndian.AppendUint32(append(b, typeString32), uint32(len(s)))
	}
	return append(b, s...)
}

// appendText appends s, or null where there is none.
func appendText(b []byte, s string) []byte {
	if s == "" {
		return append(b, typeNull)
	}
	return appendString(b, s)
}

// begin32 begins a list or map, which end32 ends: start is its result's length before.
func begin32(b []byte, constructor byte) []byte {
	return append(b, constructor, 0, 0, 0, 0, 0, 0, 0, 0)
}

// end32 writes the size of what begin32 began at start, and the number of its elements.
func end32(b []byte, start, elements int) {
	const sizeAt, countAt = 1, 5
	binary.BigEndian.PutUint32(b[start+sizeAt:], uint32(len(b)-start-countAt))
	binary.BigEndian.PutUint32(b[start+countAt:], uint32(elements))
}

// values are encoded values, one after the other, that are read from the front. Once one was not what it should be all that follow are zero.
type values struct {
	b   []byte
	err error
}

func (v *values) fail(format string, args ...any) {
	if v.err == nil {
		v.err = fmt.Errorf("%w: %s", errSyntax, fmt.Sprintf(format, args...))
	}
	v.b = nil
}

// take returns the next n bytes.
func (v *values) take(n int) []byte {
	if n > len(v.b) {
		v.fail("a value of %d bytes, and %d are left", n, len(v.b))
		return nil
	}
	p := v.b[:n:n]
	v.b = v.b[n:]
	return p
}

func (v *values) byte() byte {
	if p := v.take(1); p != nil {
		return p[0]
	}
	return 0
}

func (v *values) be32() uint32 {
	if p := v.take(4); p != nil {
		return binary.BigEndian.Uint32(p)
	}
	return 0
}

// size reads a number of one or four bytes: how many bytes, or values of at least one each, follow.
func (v *values) size(wide bool, what string) int {
	if !wide {
		return int(v.byte())
	}
	n := v.be32()
	if uint64(n) > uint64(len(v.b)) {
		v.fail("%d %s, and %d bytes are left", n, what, len(v.b))
		return 0
	}
	return int(n)
}

// peek is the constructor of the next value.
func (v *values) peek() byte {
	if len(v.b) == 0 {
		v.fail("a value is missing")
		return typeNull
	}
	return v.b[0]
}

// null reads the next value if it is null.
func (v *values) null() bool {
	if v.peek() != typeNull {
		return false
	}
	v.byte()
	return true
}

// uint reads a ubyte, ushort, uint or ulong.
func (v *values) uint() uint64 {
	switch c := v.byte(); c {
	case typeUint0, typeUlong0:
		return 0
	case typeUbyte, typeSmallUint, typeSmallUlong:
		return uint64(v.byte())
	case typeUshort:
		if p := v.take(2); p != nil {
			return uint64(binary.BigEndian.Uint16(p))
		}
	case typeUint:
		return uint64(v.be32())
	case typeUlong:
		return v.fixed64()
	default:
		v.fail("type 0x%02x where a number belongs", c)
	}
	return 0
}

func (v *values) fixed64() uint64 {
	if p := v.take(8); p != nil {
		return binary.BigEndian.Uint64(p)
	}
	return 0
}

func (v *values) bool() bool {
	switch c := v.byte(); c {
	case typeTrue:
		return true
	case typeFalse:
	case typeBool:
		return v.byte() == 1
	default:
		v.fail("type 0x%02x where a boolean belongs", c)
	}
	return false
}

// bytes reads a string, a symbol or a binary; it returns a part of what is read.
func (v *values) bytes() []byte {
	c := v.byte()
	switch c {
	case typeBinary8, typeString8, typeSymbol8, typeBinary32, typeString32, typeSymbol32:
		return v.take(v.size(c >= typeBinary32, "bytes"))
	}
	v.fail("type 0x%02x where a text belongs", c)
	return nil
}

// timestamp reads milliseconds since 1970.
func (v *values) timestamp() int64 {
	if c := v.byte(); c != typeTimestamp {
		v.fail("type 0x%02x where a time belongs", c)
		return 0
	}
	return int64(v.fixed64())
}

// descriptor reads what says which composite type follows: the number, as all of the standard's types have one. Others are 0.
func (v *values) descriptor() uint64 {
	if c := v.byte(); c != typeDescribed {
		v.fail("type 0x%02x where a described one belongs", c)
		return 0
	}
	switch v.peek() {
	case typeSmallUlong, typeUlong0, typeUlong:
		return v.uint()
	}
	v.skip()
	return 0
}

// compound reads the beginning of a list or map, and returns its elements.
func (v *values) compound(empty, small, large byte) (l list) {
	c := v.byte()
	switch c {
	case empty:
		return list{}
	case small, large:
	default:
		v.fail("type 0x%02x where a list or map belongs", c)
		return list{}
	}
	inner := values{b: v.take(v.size(c == large, "bytes"))}
	l.n = inner.size(c == large, "values")
	l.values = inner
	if v.err == nil {
		v.err = inner.err
	}
	return l
}

func (v *values) list() list { return v.compound(typeList0, typeList8, typeList32) }

func (v *values) mapping() list { return v.compound(typeMap8, typeMap8, typeMap32) }

// skip reads a value of whatever type.
func (v *values) skip() {
	c := v.byte()
	for nested := 0; c == typeDescribed; nested++ {
		if nested > 16 {
			v.fail("descriptors of descriptors")
			return
		}
		v.skipPlain(v.byte())
		c = v.byte()
	}
	v.skipPlain(c)
}

// skipPlain reads the rest of a value that is not described. The first digit of a constructor is how long the value is.
func (v *values) skipPlain(c byte) {
	switch c >> 4 {
	case 0x4:
	case 0x5:
		v.take(1)
	case 0x6:
		v.take(2)
	case 0x7:
		v.take(4)
	case 0x8:
		v.take(8)
	case 0x9:
		v.take(16)
	case 0xa, 0xc, 0xe:
		v.take(v.size(false, "bytes"))
	case 0xb, 0xd, 0xf:
		v.take(v.size(true, "bytes"))
	default:
		v.fail("type 0x%02x is unknown", c)
	}
}

// A list is a list's elements that were not read yet. Those missing at its end are null.
type list struct {
	values
	n int
}

// next says whether there is a next element that is not null; a null is read.
func (l *list) next() bool {
	if l.n == 0 || l.err != nil {
		return false
	}
	l.n--
	return !l.null()
}

// pass reads n elements of whatever type.
func (l *list) pass(n int) {
	for range n {
		if l.next() {
			l.skip()
		}
	}
}

// number reads an element that is a number; otherwise says what null means.
func (l *list) number(otherwise uint32) uint32 {
	if !l.next() {
		return otherwise
	}
	return uint32(l.uint())
}

// flag reads an element that is a boolean, or null, which means false.
func (l *list) flag() bool { return l.next() && l.bool() }

// text reads an element that is a text; nil = null.
func (l *list) text() []byte {
	if !l.next() {
		return nil
	}
	return l.bytes()
}
