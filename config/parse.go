package config

import (
	"bytes"
	"errors"
	"strings"
	"unicode"
	"unicode/utf8"
)

// A parser follows oslo_config/iniparser.py, oddities included: an indented line continues the value
// above it, a blank line or a comment ends that value, and only the first line of a value is unquoted.
type parser struct {
	path    string
	options map[key][]entry
	line    int
	section string
	lost    bool // the section is unknown, since its line was wrong

	// The assignment that continuation lines may still add to; name is "" when there is none.
	name  string
	value []string
	start int

	// What is wrong so far. After a line that is wrong, its continuation lines are passed over.
	errs     []error
	skipping bool
}

func (p *parser) parse(text []byte) error {
	if rest, marked := bytes.CutPrefix(text, []byte("\uFEFF")); marked {
		text = rest
		p.errs = append(p.errs, &SyntaxError{Path: p.path, Line: 1, Problem: "begins with a byte order mark, which an editor hides; save the file without it"})
	}
	for len(text) > 0 {
		var raw []byte
		raw, text = cutLine(text)
		p.line++
		if !utf8.Valid(raw) {
			p.fail("not valid UTF-8")
			continue
		}
		p.parseLine(strings.TrimRightFunc(string(raw), isSpace))
	}
	p.flush()
	if len(p.errs) == 1 {
		return p.errs[0]
	}
	return errors.Join(p.errs...)
}

func (p *parser) parseLine(line string) {
	switch {
	case line == "":
		p.flush()
		return
	case line[0] == ' ' || line[0] == '\t':
		switch {
		case p.skipping:
		case p.name == "":
			p.fail("unexpected continuation line: an indented line continues the value above it, and there is none")
		default:
			p.value = append(p.value, strings.TrimLeftFunc(line, isSpace))
		}
		return
	}
	p.flush()
	switch line[0] {
	case '[':
		p.openSection(line)
	case '#', ';':
	default:
		p.assign(line)
	}
}

func (p *parser) openSection(line string) {
	p.section = ""
	switch {
	case line[len(line)-1] != ']':
		p.fail("a section must end with \"]\"")
	case len(line) == 2:
		p.fail("the section has no name")
	default:
		p.section, p.lost = normalGroup(line[1:len(line)-1]), false
		return
	}
	p.lost = true
}

func (p *parser) assign(line string) {
	at := strings.IndexAny(line, "=:")
	if at < 0 {
		p.fail("neither a [section], a comment, nor an assignment with \"=\" or \":\"")
		return
	}
	name := strings.TrimFunc(line[:at], isSpace)
	if name == "" {
		p.fail("the option has no name")
		return
	}
	if p.section == "" {
		p.skipping = true
		if !p.lost {
			p.fail("an option stands before the first [section]")
		}
		return
	}
	p.name, p.start = name, p.line
	p.value = append(p.value[:0], unquote(strings.TrimFunc(line[at+1:], isSpace)))
}

// flush ends the assignment that is under way, if any.
func (p *parser) flush() {
	p.skipping = false
	if p.name == "" {
		return
	}
	k := key{p.section, p.name}
	p.options[k] = append(p.options[k], entry{value: strings.Join(p.value, "\n"), line: p.start})
	p.name = ""
}

// fail notes what is wrong with the line. What it was to begin is over, and so is what it was to continue.
func (p *parser) fail(problem string) {
	p.errs = append(p.errs, &SyntaxError{Path: p.path, Line: p.line, Problem: problem})
	p.name, p.skipping = "", true
}

// unquote takes off one pair of quotes. A lone quote counts as a pair, as in oslo_config/iniparser.py.
func unquote(value string) string {
	if value == "" || value[0] != '"' && value[0] != '\'' || value[0] != value[len(value)-1] {
		return value
	}
	return value[1:max(1, len(value)-1)]
}

// cutLine ends lines where Python's text files do: at "\n", "\r" and "\r\n".
func cutLine(text []byte) (line, rest []byte) {
	at := bytes.IndexAny(text, "\r\n")
	if at < 0 {
		return text, nil
	}
	next := at + 1
	if text[at] == '\r' && next < len(text) && text[next] == '\n' {
		next++
	}
	return text[:at], text[next:]
}

// isSpace is Python's str.isspace, which counts four separators that Go does not.
func isSpace(r rune) bool {
	return unicode.IsSpace(r) || r >= 0x1c && r <= 0x1f
}
