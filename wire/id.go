package wire

import (
	"crypto/rand"
	"encoding/hex"
)

// NewID returns a fresh id for a message, a call or a queue: a random UUID (version 4) as 32 lower-case
// hexadecimal digits without dashes (ENV-07, ENV-08).
func NewID() string {
	var b [16]byte
	rand.Read(b[:]) // It never fails since Go 1.24.
	b[6] = b[6]&0x0f | 0x40
	b[8] = b[8]&0x3f | 0x80
	var text [32]byte
	hex.Encode(text[:], b[:])
	return string(text[:])
}
