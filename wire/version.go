package wire

import (
	"errors"
	"fmt"
	"strings"
)

// Compatible reports whether an endpoint, a cap or an envelope of one version serves a request for another
// (oslo_messaging/_utils.py; VER-01 to VER-06). "" is no version: implemented "" serves everything, and a
// requested "" is served by nothing else.
//
// A version is major.minor[.revision]; what follows is ignored. The majors must be equal, the requested
// minor not above the implemented one, and between equal minors the requested revision not above the
// implemented one. As upstream, only the parts that decide are looked at, and the error tells of one that
// is missing or not a whole number: "2" against "1.0" is false, "1" against "1.0" an error.
func Compatible(implemented, requested string) (bool, error) {
	if implemented == "" {
		return true, nil
	}
	if requested == "" {
		return false, nil
	}
	if a, ok := usual(implemented); ok {
		if b, ok := usual(requested); ok {
			return a[0] == b[0] && a[1] >= b[1], nil
		}
	}
	major, err := comparePart(implemented, requested, 0)
	if err != nil || major != 0 {
		return false, err
	}
	minor, err := comparePart(implemented, requested, 1)
	if err != nil || minor != 0 {
		return minor > 0, err
	}
	revision, err := comparePart(implemented, requested, 2)
	return err == nil && revision >= 0, err
}

// usual reads a version of two numbers without leading zeros and of at most nine digits, as nearly all are.
func usual(version string) (parts [2]int, ok bool) {
	part, digits := 0, 0
	for i := range len(version) {
		switch c := version[i]; {
		case '0' <= c && c <= '9' && digits < 9 && (digits == 0 || parts[part] > 0):
			parts[part] = parts[part]*10 + int(c-'0')
			digits++
		case c == '.' && part == 0 && digits > 0:
			part, digits = 1, 0
		default:
			return parts, false
		}
	}
	return parts, part == 1 && digits > 0
}

// comparePart compares part i of two versions. As upstream it reads the requested one first.
func comparePart(implemented, requested string, i int) (int, error) {
	b, err := part(requested, i)
	if err != nil {
		return 0, fmt.Errorf("wire: requested version %w", err)
	}
	a, err := part(implemented, i)
	if err != nil {
		return 0, fmt.Errorf("wire: implemented version %w", err)
	}
	return a.compare(b), nil
}

// part is part i of a version: major, minor or revision, which may be missing.
func part(version string, i int) (integer, error) {
	rest := version
	for range i {
		_, after, found := strings.Cut(rest, ".")
		if !found {
			if i == 2 {
				return integer{digits: "0"}, nil
			}
			return integer{}, fmt.Errorf("%q has no minor part: write it as major.minor", version)
		}
		rest = after
	}
	text, _, _ := strings.Cut(rest, ".")
	n, err := parseInteger(text)
	if err != nil {
		return integer{}, fmt.Errorf("%q: part %q %w", version, text, err)
	}
	return n, nil
}

var errNotInteger = errors.New("is not a whole number")

// An integer of any size.
type integer struct {
	negative bool
	digits   string // without leading zeros
}

// parseInteger reads what Python's int() reads: blanks around, a sign, and single underscores between
// digits. Digits outside ASCII, which int() takes too, are refused.
func parseInteger(text string) (integer, error) {
	if canonical(text) {
		return integer{digits: text}, nil
	}
	text = strings.TrimSpace(text)
	var n integer
	if text != "" && (text[0] == '-' || text[0] == '+') {
		n.negative = text[0] == '-'
		text = text[1:]
	}
	digit := false
	for i := range len(text) {
		switch c := text[i]; {
		case '0' <= c && c <= '9':
			digit = true
		case c == '_' && digit:
			digit = false
		default:
			return integer{}, errNotInteger
		}
	}
	if !digit {
		return integer{}, errNotInteger
	}
	n.digits = strings.TrimLeft(strings.ReplaceAll(text, "_", ""), "0")
	if n.digits == "" {
		return integer{digits: "0"}, nil
	}
	return n, nil
}

// canonical reports whether text is digits without a leading zero, as nearly all parts of versions are.
func canonical(text string) bool {
	if text == "" || text[0] == '0' && len(text) > 1 {
		return false
	}
	for i := range len(text) {
		if text[i] < '0' || text[i] > '9' {
			return false
		}
	}
	return true
}

func (a integer) compare(b integer) int {
	if a.negative != b.negative {
		if a.negative {
			return -1
		}
		return 1
	}
	c := len(a.digits) - len(b.digits)
	if c == 0 {
		c = strings.Compare(a.digits, b.digits)
	}
	if a.negative {
		return -c
	}
	return c
}
