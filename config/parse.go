package config

import (
	"bytes"
	"strings"
	"unicode"
	"unicode/utf8"
)

// A parser follows oslo_config/iniparser.py, oddities included: an indented line continues the value
// above it, a blank line or a comment ends that value, and only the first line of a value is unquoted.
type parser struct {
	file    *File
	line    int
	section string

	// The assignment that continuation lines may still add to; name is "" when there is none.
	name  string
	value []string
	start int
}

func (p *parser) parse(text []byte) error {
	for len(text) > 0 {
		var raw []byte
		raw, text = cutLine(text)
		p.line++
		if !utf8.Valid(raw) {
			return p.fail("not valid UTF-8")
		}
		if err := p.parseLine(strings.TrimRightFunc(string(raw), isSpace)); err != nil {
			return err
		}
	}
	p.flush()
	return nil
}

func (p *parser) parseLine(line string) error {
	switch {
	case line == "":
		p.flush()
		return nil
	case line[0] == ' ' || line[0] == '\t':
		if p.name == "" {
			return p.fail("unexpected continuation line: an indented line continues the value above it, and there is none")
		}
		p.value = append(p.value, strings.TrimLeftFunc(line, isSpace))
		return nil
	}
	p.flush()
	switch line[0] {
	case '[':
		return p.openSection(line)
	case '#', ';':
		return nil
	}
	return p.assign(line)
}

func (p *parser) openSection(line string) error {
	if line[len(line)-1] != ']' {
		return p.fail("a section must end with \"]\"")
	}
	if len(line) == 2 {
		return p.fail("the section has no name")
	}
	p.section = normalGroup(line[1 : len(line)-1])
	return nil
}

func (p *parser) assign(line string) error {
	at := strings.IndexAny(line, "=:")
	if at < 0 {
		return p.fail("neither a [section], a comment, nor an assignment with \"=\" or \":\"")
	}
	name := strings.TrimFunc(line[:at], isSpace)
	if name == "" {
		return p.fail("the option has no name")
	}
	if p.section == "" {
		return p.fail("an option stands before the first [section]")
	}
	p.name, p.start = name, p.line
	p.value = append(p.value[:0], unquote(strings.TrimFunc(line[at+1:], isSpace)))
	return nil
}

// flush ends the assignment that is under way, if any.
func (p *parser) flush() {
	if p.name == "" {
		return
	}
	p.file.options[key{p.section, p.name}] = option{value: strings.Join(p.value, "\n"), line: p.start}
	p.name = ""
}

func (p *parser) fail(problem string) error {
	return &SyntaxError{Path: p.file.path, Line: p.line, Problem: problem}
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
