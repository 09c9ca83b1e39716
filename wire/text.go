package wire

import (
	"bytes"
	"encoding/binary"
	"math/bits"
	"slices"
	"unicode/utf16"
	"unicode/utf8"
)

// A level says inside how many JSON strings a text stands. The bare message is at 0, a message in its
// envelope at 1, the failure of a reply in its envelope at 2 (ENV-23).
type level int

const (
	slashes = `\\\\`
	quotes  = `\\\"`
)

// slash is a backslash at this level.
func (l level) slash() string { return slashes[:1<<l] }

// quote is a quotation mark at this level.
func (l level) quote() string { return quotes[len(quotes)-1<<l:] }

// specials marks, in eight bytes of a JSON string, those that are not plain: a quotation mark, a backslash, a
// control character, DEL or a byte of a longer rune. The lowest bit that is set belongs to the first of them; it is
// 0 if there is none. Each term sets the high bit of a hit, and others only above one or where x has them set.
func specials(x uint64) uint64 {
	return (x | (x - ones*' ') | (x ^ ones*'"' - ones) | (x ^ ones*'\\' - ones) | (x ^ ones*0x7f - ones)) & high
}

// A byte in each of eight.
const (
	ones = 0x0101010101010101
	high = 0x80 * ones
)

func plain(c byte) bool { return ' ' <= c && c < 0x7f && c != '"' && c != '\\' }

// special is the index of the first byte from i on that is not plain. It is len(b) if there is none.
func special(b []byte, i int) int {
	for ; i+8 <= len(b); i += 8 {
		if hit := specials(binary.LittleEndian.Uint64(b[i:])); hit != 0 {
			return i + bits.TrailingZeros64(hit)/8
		}
	}
	for i < len(b) && plain(b[i]) {
		i++
	}
	return i
}

// appendText appends scanned JSON text as it is written at a level: escaped, and in ASCII. White space
// other than blanks is dropped: scanned text has it between tokens only.
//
// Eight bytes are copied at once, and those from the first that is not plain on are overwritten.
func appendText(dst, text []byte, l level) []byte {
	for i := 0; i < len(text); {
		c := text[i]
		if i+8 <= len(text) {
			n := len(dst)
			if cap(dst)-n < 8 {
				dst = slices.Grow(dst, 8+len(text)-i)
			}
			x := binary.LittleEndian.Uint64(text[i:])
			binary.LittleEndian.PutUint64(dst[n:n+8], x)
			hit := specials(x)
			if hit == 0 {
				dst = dst[:n+8]
				i += 8
				continue
			}
			k := bits.TrailingZeros64(hit) / 8
			dst = dst[:n+k]
			i += k
			c = text[i]
		} else if plain(c) {
			dst = append(dst, c)
			i++
			continue
		}
		size := 1
		switch {
		case c == '"' || c == '\\':
			switch l {
			case 0:
				dst = append(dst, c)
			case 1:
				dst = append(dst, '\\', c)
			default:
				if c == '"' {
					dst = append(dst, l.quote()...)
				} else {
					dst = append(dst, l.slash()...)
				}
			}
		case c >= 0x7f:
			var r rune
			r, size = utf8.DecodeRune(text[i:])
			dst = appendRune(dst, r, l)
		}
		i += size
	}
	return dst
}

// appendString appends a Go string as a JSON string. Invalid UTF-8 becomes U+FFFD.
func appendString(dst []byte, s string, l level) []byte {
	dst = append(dst, l.quote()...)
	start := 0
	for i := 0; i < len(s); {
		c := s[i]
		if ' ' <= c && c < 0x7f && c != '"' && c != '\\' {
			i++
			continue
		}
		dst = append(dst, s[start:i]...)
		n := 1
		switch c {
		case '"':
			dst = append(dst, l.slash()...)
			dst = append(dst, l.quote()...)
		case '\\':
			dst = append(dst, l.slash()...)
			dst = append(dst, l.slash()...)
		case '\b', '\t', '\n', '\f', '\r':
			dst = append(dst, l.slash()...)
			dst = append(dst, "btn?fr"[c-'\b'])
		default:
			var r rune
			r, n = utf8.DecodeRuneInString(s[i:])
			dst = appendRune(dst, r, l)
		}
		i += n
		start = i
	}
	dst = append(dst, s[start:]...)
	return append(dst, l.quote()...)
}

// appendRune appends r as one \uXXXX escape, or as two for a surrogate pair.
func appendRune(dst []byte, r rune, l level) []byte {
	if r > 0xffff {
		high, low := utf16.EncodeRune(r)
		return appendRune(appendRune(dst, high, l), low, l)
	}
	const hex = "0123456789abcdef"
	dst = append(dst, l.slash()...)
	return append(dst, 'u', hex[r>>12&15], hex[r>>8&15], hex[r>>4&15], hex[r&15])
}

// unquote decodes the inside of a scanned string. Without escapes it returns raw itself. A surrogate
// without its pair becomes U+FFFD.
func unquote(raw []byte) []byte {
	i := bytes.IndexByte(raw, '\\')
	if i < 0 {
		return raw
	}
	dst := make([]byte, 0, len(raw))
	for i >= 0 {
		dst = append(dst, raw[:i]...)
		var n int
		dst, n = appendEscaped(dst, raw[i:])
		raw = raw[i+n:]
		i = bytes.IndexByte(raw, '\\')
	}
	return append(dst, raw...)
}

// escapeLen is the length of the escape that b begins with, 0 if it is none.
func escapeLen(b []byte) int {
	if len(b) < 2 {
		return 0
	}
	switch b[1] {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return 2
	case 'u':
		if _, ok := hex4(b); ok {
			return 6
		}
	}
	return 0
}

// appendEscaped decodes the escape, known to be good, that b begins with, and returns its length: that of
// two for a surrogate pair.
func appendEscaped(dst, b []byte) ([]byte, int) {
	switch c := b[1]; c {
	case 'b':
		return append(dst, '\b'), 2
	case 'f':
		return append(dst, '\f'), 2
	case 'n':
		return append(dst, '\n'), 2
	case 'r':
		return append(dst, '\r'), 2
	case 't':
		return append(dst, '\t'), 2
	case 'u':
		r, _ := hex4(b)
		if !utf16.IsSurrogate(r) {
			return utf8.AppendRune(dst, r), 6
		}
		if len(b) > 7 && b[6] == '\\' && b[7] == 'u' {
			if low, ok := hex4(b[6:]); ok {
				if r = utf16.DecodeRune(r, low); r != utf8.RuneError {
					return utf8.AppendRune(dst, r), 12
				}
			}
		}
		return utf8.AppendRune(dst, utf8.RuneError), 6
	default:
		return append(dst, c), 2
	}
}

// hex4 reads the code unit of a \uXXXX escape.
func hex4(b []byte) (rune, bool) {
	if len(b) < 6 {
		return 0, false
	}
	var r rune
	for _, c := range b[2:6] {
		switch {
		case '0' <= c && c <= '9':
			c -= '0'
		case 'a' <= c && c <= 'f':
			c -= 'a' - 10
		case 'A' <= c && c <= 'F':
			c -= 'A' - 10
		default:
			return 0, false
		}
		r = r<<4 | rune(c)
	}
	return r, true
}
