package wire

import (
	"bytes"
	"encoding/binary"
	"math/bits"
	"strconv"
	"unicode/utf8"
)

// Limits of what is read and written.
const (
	// MaxDepth is how deep objects and arrays may nest in one JSON text, about where Python's own
	// parser gives up.
	MaxDepth = 1000
	// MaxSize is the most bytes of a body: RabbitMQ's default limit for one message.
	MaxSize = 128 << 20
)

// A scanner walks over JSON text and checks it, without decoding.
type scanner struct {
	data      []byte
	pos       int
	nonFinite bool // saw NaN, Infinity or -Infinity
}

// A member is one key and value of an object, undecoded.
type member struct {
	key     []byte // between the quotes
	escaped bool   // key holds a backslash
	value   []byte
	at      int // offset of value
}

// name is the member's key, decoded.
func (m *member) name() []byte {
	if !m.escaped {
		return m.key
	}
	return unquote(m.key)
}

func (s *scanner) fail(at int, problem string) error {
	return &ParseError{Offset: at, Problem: problem}
}

func (s *scanner) space() {
	for s.pos < len(s.data) {
		switch s.data[s.pos] {
		case ' ', '\n', '\r', '\t':
			s.pos++
		default:
			return
		}
	}
}

// peek returns the next byte after white space, or 0 at the end.
func (s *scanner) peek() byte {
	s.space()
	if s.pos < len(s.data) {
		return s.data[s.pos]
	}
	return 0
}

// end refuses anything but white space.
func (s *scanner) end() error {
	s.space()
	if s.pos < len(s.data) {
		return s.fail(s.pos, "more text after the value")
	}
	return nil
}

// unexpected is the error for a byte that cannot be here.
func (s *scanner) unexpected(want string) error {
	if s.pos >= len(s.data) {
		return s.fail(len(s.data), "the text ends where "+want+" belongs")
	}
	return s.fail(s.pos, strconv.QuoteRune(rune(s.data[s.pos]))+" where "+want+" belongs")
}

// object enters the object that must be next.
func (s *scanner) object() error {
	if s.peek() != '{' {
		return s.unexpected("an object")
	}
	s.pos++
	return nil
}

// member reads the next member of the outermost object, entered before. It reports false at the object's end.
func (s *scanner) member(m *member, first bool) (bool, error) {
	more, err := s.key(m, first)
	if !more || err != nil {
		return false, err
	}
	if err := s.value(1); err != nil {
		return false, in(err, "", shown(m.name()))
	}
	m.value = s.data[m.at:s.pos]
	return true, nil
}

// key is the first half of member: it stops before the value.
func (s *scanner) key(m *member, first bool) (bool, error) {
	c := s.peek()
	if c == '}' {
		s.pos++
		return false, nil
	}
	if !first {
		if c != ',' {
			return false, s.unexpected("',' or '}'")
		}
		s.pos++
		c = s.peek()
	}
	if c != '"' {
		return false, s.unexpected("a key")
	}
	var err error
	if m.key, m.escaped, err = s.str(); err != nil {
		return false, err
	}
	if s.peek() != ':' {
		return false, s.unexpected("':'")
	}
	s.pos++
	s.space()
	m.at = s.pos
	return true, nil
}

// shown is a key fit for an error: short and printable.
func shown(key []byte) string {
	const most = 48
	if len(key) > most {
		key = key[:most]
	}
	q := strconv.QuoteToASCII(string(key))
	return q[1 : len(q)-1]
}

// value passes over one value inside depth containers.
func (s *scanner) value(depth int) error {
	switch c := s.peek(); c {
	case '{', '[':
		if depth >= MaxDepth {
			return s.fail(s.pos, "nested deeper than "+strconv.Itoa(MaxDepth)+" (wire.MaxDepth)")
		}
		if c == '[' {
			return s.array(depth + 1)
		}
		s.pos++
		return s.members(depth + 1)
	case '"':
		_, _, err := s.str()
		return err
	case 't':
		return s.literal("true")
	case 'f':
		return s.literal("false")
	case 'n':
		return s.literal("null")
	case 'N':
		s.nonFinite = true
		return s.literal("NaN")
	case 'I':
		s.nonFinite = true
		return s.literal("Infinity")
	default:
		return s.number()
	}
}

// members passes over the rest of an object.
func (s *scanner) members(depth int) error {
	for first := true; ; first = false {
		c := s.peek()
		if c == '}' && first {
			s.pos++
			return nil
		}
		if c != '"' {
			return s.unexpected("a key")
		}
		if _, _, err := s.str(); err != nil {
			return err
		}
		if s.peek() != ':' {
			return s.unexpected("':'")
		}
		s.pos++
		if err := s.value(depth); err != nil {
			return err
		}
		switch s.peek() {
		case ',':
			s.pos++
		case '}':
			s.pos++
			return nil
		default:
			return s.unexpected("',' or '}'")
		}
	}
}

// array passes over an array.
func (s *scanner) array(depth int) error {
	s.pos++
	if s.peek() == ']' {
		s.pos++
		return nil
	}
	for {
		if err := s.value(depth); err != nil {
			return err
		}
		switch s.peek() {
		case ',':
			s.pos++
		case ']':
			s.pos++
			return nil
		default:
			return s.unexpected("',' or ']'")
		}
	}
}

func (s *scanner) literal(word string) error {
	if n := s.pos + len(word); n <= len(s.data) && string(s.data[s.pos:n]) == word {
		s.pos = n
		return nil
	}
	return s.unexpected("a value")
}

// number passes over a number or -Infinity.
func (s *scanner) number() error {
	start := s.pos
	if s.pos < len(s.data) && s.data[s.pos] == '-' {
		s.pos++
		if s.pos < len(s.data) && s.data[s.pos] == 'I' {
			s.nonFinite = true
			return s.literal("Infinity")
		}
	}
	whole := s.pos
	if s.digits() == 0 {
		if s.pos == start {
			return s.unexpected("a value")
		}
		return s.unexpected("a digit")
	}
	if s.data[whole] == '0' && s.pos > whole+1 {
		return s.fail(whole, "a number with a leading zero")
	}
	if s.pos < len(s.data) && s.data[s.pos] == '.' {
		s.pos++
		if s.digits() == 0 {
			return s.unexpected("a digit")
		}
	}
	if s.pos < len(s.data) && (s.data[s.pos] == 'e' || s.data[s.pos] == 'E') {
		s.pos++
		if s.pos < len(s.data) && (s.data[s.pos] == '+' || s.data[s.pos] == '-') {
			s.pos++
		}
		if s.digits() == 0 {
			return s.unexpected("a digit")
		}
	}
	return nil
}

func (s *scanner) digits() int {
	start := s.pos
	for s.pos < len(s.data) && '0' <= s.data[s.pos] && s.data[s.pos] <= '9' {
		s.pos++
	}
	return s.pos - start
}

// str passes over the string that is next and returns what is between its quotes.
func (s *scanner) str() (raw []byte, escaped bool, err error) {
	data := s.data
	start := s.pos + 1
	for i := special(data, start); i < len(data); i = special(data, i) {
		switch c := data[i]; {
		case c == '"':
			s.pos = i + 1
			return data[start:i], escaped, nil
		case c == '\\':
			escaped = true
			n := escapeLen(data[i:])
			if n == 0 {
				return nil, false, s.fail(i, badEscape)
			}
			i += n
		case c < ' ':
			return nil, false, s.fail(i, badControl)
		default:
			n := runeLen(data[i:])
			if n == 0 {
				return nil, false, s.fail(i, badUTF8)
			}
			i += n
		}
	}
	return nil, false, s.fail(len(data), badEnd)
}

// decoded is str for a string that is wanted whole: it checks and decodes it in one pass. Eight bytes are copied at
// once, and those from the first that is not plain on are overwritten.
func (s *scanner) decoded() ([]byte, error) {
	data := s.data
	start := s.pos + 1
	i := special(data, start)
	if i < len(data) && data[i] == '"' {
		s.pos = i + 1
		return data[start:i], nil
	}
	text := make([]byte, len(data)-start) // as nothing gets longer
	n := copy(text, data[start:i])
	for i < len(data) {
		c := data[i]
		if i+8 <= len(data) {
			x := binary.LittleEndian.Uint64(data[i:])
			binary.LittleEndian.PutUint64(text[n:], x)
			hit := specials(x)
			if hit == 0 {
				i, n = i+8, n+8
				continue
			}
			k := bits.TrailingZeros64(hit) / 8
			i, n = i+k, n+k
			c = data[i]
		} else if plain(c) {
			text[n] = c
			i, n = i+1, n+1
			continue
		}
		switch {
		case c == '"':
			s.pos = i + 1
			return text[:n], nil
		case c == '\\':
			if escapeLen(data[i:]) == 0 {
				return nil, s.fail(i, badEscape)
			}
			out, size := appendEscaped(text[:n], data[i:])
			i, n = i+size, len(out)
		case c < ' ':
			return nil, s.fail(i, badControl)
		default:
			size := runeLen(data[i:])
			if size == 0 {
				return nil, s.fail(i, badUTF8)
			}
			n += copy(text[n:], data[i:i+size])
			i += size
		}
	}
	return nil, s.fail(len(data), badEnd)
}

// What may be wrong inside a string.
const (
	badEscape  = "an escape that JSON does not have"
	badControl = "a control character inside a string"
	badUTF8    = "invalid UTF-8"
	badEnd     = "the text ends inside a string"
)

// runeLen is the length of the rune that b begins with, 0 if it is invalid.
func runeLen(b []byte) int {
	r, n := utf8.DecodeRune(b)
	if r == utf8.RuneError && n == 1 {
		return 0
	}
	return n
}

// KindOf names the kind of a JSON value by its first character, for errors: "an object", "a number", "nothing".
func KindOf(value []byte) string {
	value = bytes.TrimLeft(value, " \t\r\n")
	if len(value) == 0 {
		return "nothing"
	}
	switch value[0] {
	case '{':
		return "an object"
	case '[':
		return "an array"
	case '"':
		return "a string"
	case 't', 'f':
		return "a boolean"
	case 'n':
		return "null"
	default:
		return "a number"
	}
}

// truthy is Python's idea of a value that is not empty (ENV-12).
func truthy(value []byte) bool {
	switch value[0] {
	case 'n', 'f':
		return false
	case 't', 'N', 'I':
		return true
	case '"':
		return len(value) > len(`""`)
	case '{', '[':
		s := scanner{data: value, pos: 1}
		c := s.peek()
		return c != '}' && c != ']'
	default:
		f, err := strconv.ParseFloat(string(value), 64)
		return err != nil || f != 0
	}
}

// check scans a whole text that is to stand inside depth containers. It returns the text without the
// white space around it, and whether NaN or an infinity is in it.
func check(text []byte, depth int) (value []byte, nonFinite bool, err error) {
	s := scanner{data: text}
	s.space()
	start := s.pos
	if err := s.value(depth); err != nil {
		return nil, false, err
	}
	stop := s.pos
	return text[start:stop], s.nonFinite, s.end()
}
