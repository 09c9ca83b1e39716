package wire

import (
	"errors"
	"strconv"
)

// A ParseError says why bytes from a peer are refused. It quotes no values, which may be secret.
type ParseError struct {
	Text    string // the text that Offset counts in: "body", "oslo.message", "failure", ...
	Field   string // the member of that text which holds the problem; "" when none does
	Offset  int    // in bytes, from 0
	Problem string
}

// Error is of the form "wire: oslo.message: byte 17: _msg_id: a number where a string belongs".
func (e *ParseError) Error() string {
	s := "wire: " + e.Text + ": byte " + strconv.Itoa(e.Offset) + ": "
	if e.Field != "" {
		s += e.Field + ": "
	}
	return s + e.Problem
}

// in names the text and the field of a scanner's error where they are still unknown.
func in(err error, text, field string) error {
	if err == nil {
		return nil
	}
	var p *ParseError
	if errors.As(err, &p) {
		if p.Field == "" {
			p.Field = field
		}
		if p.Text == "" {
			p.Text = text
		}
	}
	return err
}
