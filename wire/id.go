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
	var b [16]byte
	binary.LittleEndian.PutUint64(b[:8], rand.Uint64())
	binary.LittleEndian.PutUint64(b[8:], rand.Uint64())
	b[6] = b[6]&0x0f | 0x40
	b[8] = b[8]&0x3f | 0x80
	var text [32]byte
	hex.Encode(text[:], b[:])
	return string(text[:])
}
