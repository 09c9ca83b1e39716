package flow

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode/utf8"
)

// Print writes the flow for people: a tree for each root with the place in the source beside each step, and beside each
// message the place of its contract; then the methods that are called or served elsewhere, if at all.
func (f *Flow) Print(w io.Writer) error {
	var b strings.Builder
	for _, root := range f.Roots {
		if root.Kind == Route {
			writeColumns(&b, appendLines(nil, root, "", ""))
			b.WriteString("\n")
		}
	}
	for _, section := range []struct {
		heading string
		kinds   []Kind
	}{
		{"Periodic tasks:", []Kind{Task}},
		{"Handlers whose methods these packages never call:", []Kind{Handler}},
		{"Callers that no route, task or handler leads to:", []Kind{Function, Message}},
	} {
		var lines []line
		for _, root := range f.Roots {
			if slices.Contains(section.kinds, root.Kind) {
				lines = appendLines(lines, root, "", "")
			}
		}
		writeSection(&b, section.heading, lines)
	}
	var elsewhere, unused []line
	for _, m := range f.Methods {
		l := line{m.Contract, m.ContractAt, "", m.String()}
		switch {
		case m.Called && !m.Handled:
			elsewhere = append(elsewhere, l)
		case !m.Called && !m.Handled:
			unused = append(unused, l)
		}
	}
	writeSection(&b, "Methods called, with no handler in these packages:", elsewhere)
	writeSection(&b, "Methods neither called nor handled in these packages:", unused)
	if b.Len() == 0 {
		fmt.Fprintf(&b, "no routes and no methods in %d packages\n", f.Packages)
	}
	_, err := io.WriteString(w, strings.TrimSuffix(b.String(), "\n\n")+"\n")
	return err
}

// A line is a step in columns: what it is, where, where the contract is, and what else is to be said.
type line struct{ what, at, contract, more string }

func appendLines(lines []line, s *Step, first, others string) []line {
	lines = append(lines, line{first + s.what(), s.At, s.contractAt(), s.more()})
	for i, next := range s.Steps {
		if i < len(s.Steps)-1 {
			lines = appendLines(lines, next, others+"├─ ", others+"│  ")
		} else {
			lines = appendLines(lines, next, others+"└─ ", others+"   ")
		}
	}
	return lines
}

func (s *Step) what() string {
	switch {
	case s.Sent != nil:
		return s.Sent.Mode + " " + s.Name
	case s.Kind == Task:
		return "every " + s.Name
	}
	return s.Name
}

func (s *Step) contractAt() string {
	switch {
	case s.Sent != nil:
		return s.Sent.ContractAt
	case s.Serves != nil:
		return s.Serves.ContractAt
	}
	return ""
}

func (s *Step) more() string {
	var parts []string
	if s.Sent != nil {
		parts = append(parts, s.Sent.String())
		if s.Sent.Server == AtRunTime {
			parts = append(parts, "to one server")
		} else if s.Sent.Server != "" {
			parts = append(parts, "to server "+s.Sent.Server)
		}
		if s.Sent.Pin == AtRunTime {
			parts = append(parts, "pinned at run time")
		} else if s.Sent.Pin != "" {
			parts = append(parts, "pinned to "+s.Sent.Pin)
		}
	}
	if s.Serves != nil {
		parts = append(parts, s.Serves.String())
	}
	if s.Note != "" {
		parts = append(parts, s.Note)
	}
	return strings.Join(parts, ", ")
}

// String is the method as it is on the wire: build_instance, topic compute, version 1.4.
func (m *Method) String() string {
	parts := []string{m.Method}
	if m.Method == AtRunTime {
		parts[0] = "a method chosen at run time"
	}
	for _, part := range []struct{ name, value string }{
		{"exchange", m.Exchange}, {"topic", m.Topic}, {"namespace", m.Namespace}, {"version", m.Version},
	} {
		if part.value != "" {
			parts = append(parts, part.name+" "+part.value)
		}
	}
	return strings.Join(parts, ", ")
}

func writeSection(b *strings.Builder, heading string, lines []line) {
	if len(lines) > 0 {
		b.WriteString(heading + "\n\n")
		writeColumns(b, lines)
		b.WriteString("\n")
	}
}

func writeColumns(b *strings.Builder, lines []line) {
	what, at, contract := 0, 0, 0
	for _, l := range lines {
		what, at, contract = max(what, utf8.RuneCountInString(l.what)), max(at, len(l.at)), max(contract, len(l.contract))
	}
	for _, l := range lines {
		padding := strings.Repeat(" ", what-utf8.RuneCountInString(l.what))
		text := fmt.Sprintf("%s%s  %-*s  %-*s  %s", l.what, padding, at, l.at, contract, l.contract, l.more)
		b.WriteString(strings.TrimRight(text, " ") + "\n")
	}
}
