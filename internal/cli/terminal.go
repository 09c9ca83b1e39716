package cli

import (
	"os"
	"strings"
	"unicode/utf8"

	"golang.org/x/term"
)

// A screen is what results for people are written for: a terminal, or a file that somebody reads on one.
type screen struct {
	width    int // in characters
	colour   bool
	terminal bool
}

// noTerminal is how wide a screen is that is none; narrowest is the least that text is broken for.
const (
	noTerminal = 100
	narrowest  = 40
)

// screen finds out about standard output. Colours need a terminal that has them, and are off where NO_COLOR is set (https://no-color.org).
func (a *app) screen() screen {
	file, ok := a.Out.(*os.File)
	if !ok || !term.IsTerminal(int(file.Fd())) {
		return screen{width: noTerminal}
	}
	width, _, err := term.GetSize(int(file.Fd()))
	if err != nil {
		width = noTerminal
	}
	refused, _ := a.lookup("NO_COLOR")
	kind, _ := a.lookup("TERM")
	return screen{width: max(width, narrowest), colour: refused == "" && kind != "dumb", terminal: true}
}

// A colour is a foreground colour, as ANSI has it.
type colour string

const (
	red    colour = "31"
	green  colour = "32"
	yellow colour = "33"
)

// paint colours a text, where colours are shown. What is painted is no longer as wide as it is long: pad it first.
func (s screen) paint(c colour, text string) string {
	if !s.colour {
		return text
	}
	return "\x1b[" + string(c) + "m" + text + "\x1b[0m"
}

// wrap breaks a text between words so that it fits the screen, and indents all of its lines but the first, whose beginning is
// there already and has the same width. It is shown as plain has it, since names of queues and lines of logs are others' to choose.
func (s screen) wrap(text string, indent int) string {
	var b strings.Builder
	at := indent
	for i, word := range strings.Fields(text) {
		word = plain(word)
		width := utf8.RuneCountInString(word)
		switch {
		case i == 0:
		case at+1+width > s.width:
			b.WriteString("\n" + strings.Repeat(" ", indent))
			at = indent
		default:
			b.WriteByte(' ')
			at++
		}
		b.WriteString(word)
		at += width
	}
	return b.String()
}
