package oslolog

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// A format is one of Python's with named fields, read.
type format []piece

// A piece is text, or a field.
type piece struct {
	text  string
	field string // "" = text
	left  bool
	zero  bool
	width int
	most  int // characters of a text; -1 = all
}

// fieldSyntax is of what follows a percent sign: another one, or a field, with its flags, width, precision and conversion.
var fieldSyntax = regexp.MustCompile(`^(?:%|\(([^()]+)\)([-0]*)(\d*)(?:\.(\d+))?([sdri]))`)

func parseFormat(text string) (format, error) {
	var f format
	for rest := text; rest != ""; {
		before, after, found := strings.Cut(rest, "%")
		if before != "" {
			f = append(f, piece{text: before})
		}
		if !found {
			break
		}
		m := fieldSyntax.FindStringSubmatch(after)
		if m == nil {
			return nil, fmt.Errorf("%q: what follows the percent sign in %q is no field such as %%(name)s, %%(msecs)03d or %%%%", text, "%"+after)
		}
		rest = after[len(m[0]):]
		if m[1] == "" {
			f = append(f, piece{text: "%"})
			continue
		}
		p := piece{field: m[1], left: strings.Contains(m[2], "-"), zero: strings.Contains(m[2], "0") && m[5] == "d", most: -1}
		var err error
		if m[3] != "" {
			p.width, err = strconv.Atoi(m[3])
		}
		if err == nil && m[4] != "" {
			p.most, err = strconv.Atoi(m[4])
		}
		if err != nil || p.width > maxWidth {
			return nil, fmt.Errorf("%q: the width in %q is above %d", text, "%"+m[0], maxWidth)
		}
		f = append(f, p)
	}
	return f, nil
}

const maxWidth = 1000

// append appends the format with the values of its fields.
func (f format) append(dst []byte, value func(field string) string) []byte {
	for _, p := range f {
		if p.field == "" {
			dst = append(dst, p.text...)
			continue
		}
		v := value(p.field)
		if p.most >= 0 && len(v) > p.most {
			v = string([]rune(v)[:min(p.most, len([]rune(v)))])
		}
		pad := p.width - len([]rune(v))
		fill := byte(' ')
		if p.zero && !p.left {
			fill = '0'
		}
		if !p.left {
			dst = appendFill(dst, fill, pad)
		}
		dst = append(dst, v...)
		if p.left {
			dst = appendFill(dst, ' ', pad)
		}
	}
	return dst
}

func appendFill(dst []byte, fill byte, n int) []byte {
	for range n {
		dst = append(dst, fill)
	}
	return dst
}

// A date is a format of strftime's, read.
type date []datePart

// A datePart is text, or a layout of package time.
type datePart struct{ text, layout string }

// directives are those of strftime that package time knows.
var directives = map[byte]string{
	'Y': "2006", 'm': "01", 'd': "02", 'H': "15", 'M': "04", 'S': "05", 'y': "06", 'I': "03", 'p': "PM", 'b': "Jan", 'B': "January",
	'a': "Mon", 'A': "Monday", 'j': "002", 'e': "_2", 'z': "-0700", 'Z': "MST", 'F': "2006-01-02", 'T': "15:04:05", 'D': "01/02/06",
}

func parseDate(text string) (date, error) {
	var d date
	for rest := text; rest != ""; {
		before, after, found := strings.Cut(rest, "%")
		d = append(d, datePart{text: before})
		switch {
		case !found:
			return d, nil
		case after == "":
			return nil, fmt.Errorf("%q ends in a percent sign", text)
		case after[0] == '%':
			d = append(d, datePart{text: "%"})
		case directives[after[0]] == "":
			return nil, fmt.Errorf("%q: %%%c is none of the directives that are known here, %%Y %%m %%d %%H %%M %%S and the like", text, after[0])
		default:
			d = append(d, datePart{layout: directives[after[0]]})
		}
		rest = after[1:]
	}
	return d, nil
}

func (d date) append(dst []byte, t time.Time) []byte {
	for _, p := range d {
		dst = append(dst, p.text...)
		if p.layout != "" {
			dst = t.AppendFormat(dst, p.layout)
		}
	}
	return dst
}
