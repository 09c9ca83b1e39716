package transporttest

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf16"
)

// canonical is the same text for what is the same JSON to every reader: blanks between values are dropped
// and characters in text have one spelling. Numbers keep theirs, because readers differ in what they make of
// it, and so do the words of Python's that are no JSON. What breaks off in an escape is returned as it is.
func canonical(raw json.RawMessage) string {
	var b strings.Builder
	inText := false
	for i := 0; i < len(raw); i++ {
		c := raw[i]
		switch {
		case c == '"':
			inText = !inText
			b.WriteByte(c)
		case inText && c == '\\':
			char, length, ok := unescape(string(raw[i:min(i+12, len(raw))]))
			if !ok {
				return string(raw)
			}
			if char < ' ' || char == '"' || char == '\\' || utf16.IsSurrogate(char) {
				fmt.Fprintf(&b, `\u%04x`, char)
			} else {
				b.WriteRune(char)
			}
			i += length - 1
		case inText || !strings.ContainsRune(" \t\r\n", rune(c)):
			b.WriteByte(c)
		}
	}
	return b.String()
}

// unescape reads the escape that s starts with, or the two of a surrogate pair, and tells its length.
func unescape(s string) (char rune, length int, ok bool) {
	if len(s) < 2 {
		return 0, 0, false
	}
	if i := strings.IndexByte(`"\/bfnrt`, s[1]); i >= 0 {
		return rune("\"\\/\b\f\n\r\t"[i]), 2, true
	}
	unit := func(s string) (rune, bool) {
		if len(s) < 6 || s[:2] != `\u` {
			return 0, false
		}
		n, err := strconv.ParseUint(s[2:6], 16, 16)
		return rune(n), err == nil
	}
	first, ok := unit(s)
	if !ok {
		return 0, 0, false
	}
	if second, ok := unit(s[6:]); ok {
		if pair := utf16.DecodeRune(first, second); pair != '\uFFFD' {
			return pair, 12, true
		}
	}
	return first, 6, true
}
