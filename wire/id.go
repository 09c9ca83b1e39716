package wire

import (
	"encoding/binary"
	"encoding/hex"
	"math/rand/v2"
)

// NewID returns a fresh id for a message, a call or a queue: a random UUID (version 4) as 32 lower-case
// hexadecimal digits without dashes (ENV-07, ENV-08). It is unique, not secret: the runtime's generator,
// seeded by the system, gives it without a system call.
func NewID() string {
	var text [idLen]byte
	putID(text[:])
	return string(text[:])
}

// NewIDs returns two fresh ids, which share their memory.
func NewIDs() (first, second string) {
	var text [2 * idLen]byte
	putID(text[:idLen])
	putID(text[idLen:])
	both := string(text[:])
	return both[:idLen], both[idLen:]
}

const idLen = 32

func putID(text []byte) {
	var b [idLen / 2]byte
	binary.LittleEndian.PutUint64(b[:8], rand.Uint64())
	binary.LittleEndian.PutUint64(b[8:], rand.Uint64())
	b[6] = b[6]&0x0f | 0x40
	b[8] = b[8]&0x3f | 0x80
	hex.Encode(text, b[:])
}
