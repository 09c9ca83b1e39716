package curve

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
)

// digits are Z85's, in the order of their values (ZeroMQ's RFC 32).
const digits = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.-:+=^!/*?&<>()[]{}@%$#"

// textLength is that of a key's Z85: five digits for every four bytes.
const textLength = 40

func encodeZ85(key [32]byte) string {
	var text [textLength]byte
	for i := range len(key) / 4 {
		n := binary.BigEndian.Uint32(key[4*i:])
		for j := 4; j >= 0; j-- {
			text[5*i+j] = digits[n%85]
			n /= 85
		}
	}
	return string(text[:])
}

// decodeZ85 says in its errors what is wrong, and never quotes the text, which may be a secret.
func decodeZ85(text string) (key [32]byte, err error) {
	if len(text) != textLength {
		return key, fmt.Errorf("is %d characters long; a key is %d in Z85", len(text), textLength)
	}
	for i := range len(key) / 4 {
		n := uint64(0)
		for j := range 5 {
			digit := strings.IndexByte(digits, text[5*i+j])
			if digit < 0 {
				return key, fmt.Errorf("holds a character, the %d. of %d, that Z85 does not know", 5*i+j+1, textLength)
			}
			n = n*85 + uint64(digit)
		}
		if n > 0xffffffff {
			return key, errors.New("is not Z85: five of its digits are more than four bytes")
		}
		binary.BigEndian.PutUint32(key[4*i:], uint32(n))
	}
	return key, nil
}
