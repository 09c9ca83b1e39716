package config

import (
	"strconv"
	"strings"
)

// A Problem is what is wrong with one option.
type Problem struct {
	Position      string // path:line, $OS_GROUP__OPTION or --flag; "" when nobody gives a value
	Group, Option string
	Value         string // as it stands there; "" when it is, or may hold, a secret
	Reason        string // what is wrong, and what is allowed
	Warning       bool   // the configuration can be used all the same
}

// Error is the position, the option, its value, and the reason.
func (p *Problem) Error() string { return "config: " + p.text() }

func (p *Problem) text() string {
	var b strings.Builder
	if p.Position != "" {
		b.WriteString(p.Position + ": ")
	}
	b.WriteString("[" + p.Group + "] " + p.Option)
	if p.Value != "" {
		b.WriteString(" = " + quote(p.Value))
	}
	b.WriteString(": " + p.Reason)
	return b.String()
}

// quote shortens what is too long to be read in an error.
func quote(s string) string {
	const most = 100
	if len(s) <= most {
		return strconv.Quote(s)
	}
	return strconv.Quote(strings.ToValidUTF8(s[:most], "")) + "..."
}

// unjoin lists what errors.Join has put together.
func unjoin(err error) []error {
	if err == nil {
		return nil
	}
	if several, ok := err.(interface{ Unwrap() []error }); ok {
		return several.Unwrap()
	}
	return []error{err}
}
