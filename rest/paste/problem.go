package paste

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strconv"
)

// A Problem is one thing that is wrong with a file.
type Problem struct {
	Path    string // the file, "" of what the program itself has given
	Line    int    // counted from 1; 0 = the file as a whole
	Section string // such as "filter:cors"; "" = none
	Reason  string // what is wrong, and what to do; it holds no values of settings that may be secret

	err error
}

// Error is position, section and reason.
func (p *Problem) Error() string {
	text := "paste: "
	if p.Path != "" {
		text += position{p.Path, p.Line}.String() + ": "
	}
	if p.Section != "" {
		text += "[" + p.Section + "]: "
	}
	return text + p.Reason
}

// Unwrap returns the error of a factory, or of reading the file; nil otherwise.
func (p *Problem) Unwrap() error { return p.err }

// A position is a line of a file. The zero value is a place in the program.
type position struct {
	path string
	line int
}

func (p position) String() string {
	if p.line == 0 {
		return p.path
	}
	return p.path + ":" + strconv.Itoa(p.line)
}

// problem makes one of a place in a section.
func problem(at position, section, reason string, args ...any) *Problem {
	return &Problem{Path: at.path, Line: at.line, Section: section, Reason: fmt.Sprintf(reason, args...)}
}

// inOrder joins errors: each once, sorted by file and line. A section that several pipelines name is wrong only once.
func inOrder(err error) error {
	var all []error
	seen := make(map[string]bool)
	for _, e := range unjoin(err) {
		if text := e.Error(); !seen[text] {
			seen[text] = true
			all = append(all, e)
		}
	}
	slices.SortStableFunc(all, func(a, b error) int {
		pathA, lineA := locate(a)
		pathB, lineB := locate(b)
		return cmp.Or(cmp.Compare(pathA, pathB), cmp.Compare(lineA, lineB))
	})
	return errors.Join(all...)
}

func locate(err error) (path string, line int) {
	if p, ok := errors.AsType[*Problem](err); ok {
		return p.Path, p.Line
	}
	return "", 0
}

// unjoin lists what errors.Join has put together, at any depth.
func unjoin(err error) []error {
	if err == nil {
		return nil
	}
	several, ok := err.(interface{ Unwrap() []error })
	if !ok {
		return []error{err}
	}
	var all []error
	for _, e := range several.Unwrap() {
		all = append(all, unjoin(e)...)
	}
	return all
}
