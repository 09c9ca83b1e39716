// Package config reads configuration files in oslo.config's format, the one that nova.conf and its
// relatives are written in.
//
// It owns the syntax: sections, assignments with "=" or ":", continuation lines, comments and quotes. It
// does not own what the options mean: values are returned as they stand in the file, so that a "$" is not
// substituted and nothing is converted. It starts no goroutine.
package config

import (
	"fmt"
	"os"
	"strings"
)

// Default is the name of the group for options that belong to no group: [DEFAULT] in the file.
const Default = "DEFAULT"

// A File is one configuration file, read. It does not change afterwards and is safe for concurrent use.
type File struct {
	path    string
	options map[key]option
}

type key struct{ group, name string }

type option struct {
	value string
	line  int
}

// ReadFile reads the file at path. Errors are those of os.ReadFile, which name the path, or a *SyntaxError.
func ReadFile(path string) (*File, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("config: %w", err)
	}
	return Parse(path, text)
}

// Parse reads text as the content of the file at path; path is used in errors and by [File.Position] only.
// Errors are *SyntaxError.
func Parse(path string, text []byte) (*File, error) {
	p := parser{file: &File{path: path, options: make(map[key]option)}}
	if err := p.parse(text); err != nil {
		return nil, err
	}
	return p.file, nil
}

// Get returns the value of an option: the last one when the file gives several, lines joined by "\n" when
// it continues over several. Group names are compared without regard to case, except that [DEFAULT] is
// always written in capitals; option names are compared exactly. As in oslo.config, an option's name in a
// file has underscores where its name on a command line has dashes.
func (f *File) Get(group, name string) (value string, ok bool) {
	o, ok := f.options[key{normalGroup(group), name}]
	return o.value, ok
}

// Position returns where the value that Get returns begins, as "path:line", or "" when there is none.
func (f *File) Position(group, name string) string {
	o, ok := f.options[key{normalGroup(group), name}]
	if !ok {
		return ""
	}
	return fmt.Sprintf("%s:%d", f.path, o.line)
}

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
