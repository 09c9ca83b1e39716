package config

import (
	"fmt"
	"os"
	"strings"
)

// A File is one configuration file, read: values as they stand there, with no "$" filled in and nothing converted.
// It does not change afterwards and is safe for concurrent use. Printing it shows none of its values.
type File struct {
	path    string
	options func() map[key][]entry // a function, because fmt looks into none
}

// A key names an option: its group as normalGroup has it, and its name with underscores.
type key struct{ group, name string }

// An entry is one assignment.
type entry struct {
	value string
	line  int
}

// ReadFile reads the file at path. Errors are those of os.ReadFile, which name the path, or those of [Parse].
func ReadFile(path string) (*File, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("config: %w", err)
	}
	return Parse(path, text)
}

// Parse reads text as the content of the file at path; path is used in errors and by [File.Position] only.
// The error is a *[SyntaxError], or several joined as by [errors.Join].
func Parse(path string, text []byte) (*File, error) {
	p := parser{path: path, options: make(map[key][]entry)}
	if err := p.parse(text); err != nil {
		return nil, err
	}
	return &File{path: path, options: func() map[key][]entry { return p.options }}, nil
}

// Get returns the value of an option: the last one when the file gives several, lines joined by "\n" when
// it continues over several. Group names are compared without regard to case, except that [DEFAULT] is
// always written in capitals; option names are compared exactly. As in oslo.config, an option's name in a
// file has underscores where its name on a command line has dashes.
func (f *File) Get(group, name string) (value string, ok bool) {
	e, ok := f.last(key{normalGroup(group), name})
	return e.value, ok
}

// Position returns where the value that Get returns begins, as "path:line", or "" when there is none.
func (f *File) Position(group, name string) string {
	e, ok := f.last(key{normalGroup(group), name})
	if !ok {
		return ""
	}
	return f.at(e)
}

// String is the file's path.
func (f *File) String() string { return f.path }

func (f *File) last(k key) (entry, bool) {
	all := f.all(k)
	if len(all) == 0 {
		return entry{}, false
	}
	return all[len(all)-1], true
}

func (f *File) all(k key) []entry { return f.options()[k] }

func (f *File) at(e entry) string { return fmt.Sprintf("%s:%d", f.path, e.line) }

// A SyntaxError is a line that cannot be read. It does not quote the line, which may hold a password.
type SyntaxError struct {
	Path    string
	Line    int // counted from 1
	Problem string
}

// Error returns the position and the problem.
func (e *SyntaxError) Error() string {
	return fmt.Sprintf("config: %s:%d: %s", e.Path, e.Line, e.Problem)
}

// normalGroup mirrors oslo_config/cfg.py, _normalize_group_name.
func normalGroup(group string) string {
	if group == Default {
		return group
	}
	return strings.ToLower(group)
}
