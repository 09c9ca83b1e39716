package paste

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"unicode"
	"unicode/utf8"
)

// A text is one file, read: options as they stand there, with no %(name)s filled in.
type text struct {
	path     string // absolute
	defaults dict   // [DEFAULT]
	sections []*section
}

type section struct {
	name    string
	at      position
	options dict
}

// A dict is what Python's is: keys in the order in which they came.
type dict struct {
	names  []string
	values map[string]value
}

type value struct {
	text    string
	at      position
	literal bool // a "%" in it is one: it comes from the program, or was filled in before
}

func (d *dict) set(name string, v value) {
	if d.values == nil {
		d.values = make(map[string]value)
	}
	if _, ok := d.values[name]; !ok {
		d.names = append(d.names, name)
	}
	d.values[name] = v
}

func (d *dict) get(name string) (value, bool) {
	v, ok := d.values[name]
	return v, ok
}

// take removes an entry.
func (d *dict) take(name string) (value, bool) {
	v, ok := d.values[name]
	if ok {
		delete(d.values, name)
		for i, n := range d.names {
			if n == name {
				d.names = append(d.names[:i], d.names[i+1:]...)
				break
			}
		}
	}
	return v, ok
}

func (d *dict) update(more *dict) {
	for _, name := range more.names {
		d.set(name, more.values[name])
	}
}

func (d *dict) clone() *dict {
	c := &dict{}
	c.update(d)
	return c
}

// readText reads a file. The error joins a *Problem for each line that is wrong.
func readText(path string) (*text, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, &Problem{Path: path, Reason: err.Error(), err: err}
	}
	content, err := os.ReadFile(path)
	if err != nil {
		reason := err
		if broken, ok := errors.AsType[*os.PathError](err); ok {
			reason = broken.Err
		}
		return nil, &Problem{Path: path, Reason: fmt.Sprintf("cannot be read: %v", reason), err: err}
	}
	p := parser{text: &text{path: path}, options: make(map[string]bool)}
	return p.parse(content)
}

// A parser follows Python's configparser as PasteDeploy uses it, which differs from oslo.config's files in nearly every
// rule: names keep their case, sections and options stand once, what is indented deeper than its option continues it,
// comments and blank lines in between included, and nothing is unquoted.
type parser struct {
	text    *text
	line    int
	section *section        // nil before the first header
	target  *dict           // where options go; nil before the first header
	options map[string]bool // of the section, or of all [DEFAULT]
	global  map[string]bool // options of [DEFAULT]

	name     string // the option that deeper lines continue; "" = none
	skipping bool   // deeper lines continue one that is wrong
	indent   int    // of the last header or option
	lines    []string
	start    int

	errs []error
}

func (p *parser) parse(content []byte) (*text, error) {
	if rest, marked := bytes.CutPrefix(content, []byte("\uFEFF")); marked {
		content, p.line = rest, 1
		p.fail("the file begins with a byte order mark, which an editor hides; save it without")
		p.line = 0
	}
	p.global = make(map[string]bool)
	for len(content) > 0 {
		var raw []byte
		raw, content = cutLine(content)
		p.line++
		if !utf8.Valid(raw) {
			p.fail("the line is not valid UTF-8")
			continue
		}
		p.parseLine(string(raw))
	}
	p.flush()
	if err := errors.Join(p.errs...); err != nil {
		return nil, err
	}
	return p.text, nil
}

func (p *parser) parseLine(line string) {
	content := strings.TrimFunc(line, isSpace)
	switch {
	case content == "":
		if p.name != "" {
			p.lines = append(p.lines, "")
		}
		return
	case content[0] == '#' || content[0] == ';':
		return
	}
	before, _, _ := strings.Cut(line, content)
	indent := utf8.RuneCountInString(before)
	if indent > p.indent && (p.name != "" || p.skipping) {
		p.lines = append(p.lines, content)
		return
	}
	p.flush()
	p.indent, p.skipping = indent, false
	if name, ok := header(content); ok {
		p.open(name)
		return
	}
	p.assign(content)
}

// header finds [name] at the beginning of a line: up to the last "]", and what follows it does not count.
func header(line string) (name string, ok bool) {
	end := strings.LastIndexByte(line, ']')
	if line[0] != '[' || end < 2 {
		return "", false
	}
	return line[1:end], true
}

func (p *parser) open(name string) {
	at := position{p.text.path, p.line}
	p.section = &section{name: name, at: at}
	if name == "DEFAULT" {
		p.target, p.options = &p.text.defaults, p.global
		return
	}
	p.target, p.options = &p.section.options, make(map[string]bool)
	for _, s := range p.text.sections {
		if s.name == name {
			p.fail("the section was there before, in line %d", s.at.line)
			return
		}
	}
	p.text.sections = append(p.text.sections, p.section)
}

func (p *parser) assign(line string) {
	p.skipping = true // until there is nothing wrong with it
	if p.target == nil {
		p.fail("a setting stands before the first [section]")
		return
	}
	at := strings.IndexAny(line, "=:")
	if at < 0 {
		p.fail("neither a [section], a comment, nor a setting with \"=\" or \":\"")
		return
	}
	name := strings.TrimRightFunc(line[:at], isSpace)
	switch {
	case name == "":
		p.fail("the setting has no name")
	case p.options[name]:
		before, _ := p.target.get(name)
		p.fail("%s was set before, in line %d", name, before.at.line)
	default:
		p.options[name], p.skipping = true, false
		p.name, p.start, p.lines = name, p.line, append(p.lines[:0], strings.TrimLeftFunc(line[at+1:], isSpace))
		p.target.set(name, value{at: position{p.text.path, p.line}}) // what comes twice is told of the first line
	}
}

// flush ends the option that is under way, if any.
func (p *parser) flush() {
	if p.name == "" {
		return
	}
	p.target.set(p.name, value{text: strings.TrimRightFunc(strings.Join(p.lines, "\n"), isSpace), at: position{p.text.path, p.start}})
	p.name = ""
}

func (p *parser) fail(reason string, args ...any) {
	p.flush()
	section := ""
	if p.section != nil {
		section = p.section.name
	}
	p.errs = append(p.errs, problem(position{p.text.path, p.line}, section, reason, args...))
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
