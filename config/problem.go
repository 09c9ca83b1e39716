package config

import (
	"cmp"
	"errors"
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

// byPosition compares errors by where they are: by path, then by line, then by what they say.
func byPosition[E error](a, b E) int {
	pathA, lineA := locate(a)
	pathB, lineB := locate(b)
	return cmp.Or(cmp.Compare(pathA, pathB), cmp.Compare(lineA, lineB), cmp.Compare(a.Error(), b.Error()))
}

// locate says where an error of this package is: path and line of one in a file, else text that sorts it among its kind.
func locate(err error) (path string, line int) {
	var (
		problem *Problem
		syntax  *SyntaxError
	)
	switch {
	case errors.As(err, &syntax):
		return syntax.Path, syntax.Line
	case errors.As(err, &problem):
		at := strings.LastIndexByte(problem.Position, ':')
		if n, err := strconv.Atoi(problem.Position[at+1:]); at >= 0 && err == nil {
			return problem.Position[:at], n
		}
		return problem.Position, 0
	}
	return "", 0
}
