package wire

import (
	"encoding/json"
	"fmt"
	"strings"
)

// A Failure is an exception on its way to the caller: what goes into and comes out of
// [transport.Message]'s Failure (oslo_messaging/_drivers/common.py, EXC-01).
type Failure struct {
	Class     string // bare class name, such as "InstanceNotFound"
	Module    string // where Python finds the class, such as "nova.exception"; "builtins" for Python's own
	Message   string
	Args      []json.RawMessage // the constructor's arguments; as a rule the message alone
	Kwargs    json.RawMessage   // an object of its named arguments; nil = {}
	Traceback []string          // chunks of text, each ending in a newline; the last names the exception
}

// remoteSuffix marks the class and module of an exception that came from a peer before (EXC-06).
const remoteSuffix = "_Remote"

// AppendFailure appends f as the JSON object that Message.Failure holds. If class and module both end in
// "_Remote", as those of a failure passed on by Python do, both lose it (EXC-06). A raw value in Args or
// Kwargs that is not JSON is an error that names it; dst is then returned as it was.
func AppendFailure(dst []byte, f *Failure) ([]byte, error) {
	start := len(dst)
	class, module := f.Class, f.Module
	if strings.HasSuffix(class, remoteSuffix) && strings.HasSuffix(module, remoteSuffix) {
		class = strings.TrimSuffix(class, remoteSuffix)
		module = strings.TrimSuffix(module, remoteSuffix)
	}
	e := encoder{dst: append(dst, '{')}
	e.name("class")
	e.string(class)
	e.next("module")
	e.string(module)
	e.next("message")
	e.string(f.Message)
	e.next("tb")
	e.dst = append(e.dst, '[')
	for i, line := range f.Traceback {
		if i > 0 {
			e.dst = append(e.dst, ',')
		}
		e.string(line)
	}
	e.dst = append(e.dst, ']')
	e.next("args")
	e.dst = append(e.dst, '[')
	for i, arg := range f.Args {
		if i > 0 {
			e.dst = append(e.dst, ',')
		}
		if err := e.raw(fmt.Sprintf("failure: args[%d]", i), arg, 0, 2, "null"); err != nil {
			return dst[:start], err
		}
	}
	e.dst = append(e.dst, ']')
	e.next("kwargs")
	if err := e.raw("failure: kwargs", f.Kwargs, '{', 1, "{}"); err != nil {
		return dst[:start], err
	}
	return append(e.dst, '}'), nil
}

// ParseFailure reads what Message.Failure holds. The text must be a JSON object, else the error is a
// [*ParseError] (EXC-14); inside it everything is optional, because a class and a message explain more
// than an error about their neighbours would. The module "exceptions" reads "builtins" (EXC-07). A value
// of another kind than expected is kept as its JSON text, alone in its list where a list belongs; kwargs
// other than an object are dropped. Args and Kwargs keep parts of b.
func ParseFailure(b []byte) (*Failure, error) {
	s := scanner{data: b}
	if err := s.object(); err != nil {
		return nil, in(err, "failure", "")
	}
	f := new(Failure)
	var m member
	for first := true; ; first = false {
		more, err := s.member(&m, first)
		if err != nil {
			return nil, in(err, "failure", "")
		}
		if !more {
			break
		}
		v := field{m.value, m.at}
		switch string(m.name()) {
		case "class":
			f.Class = v.text()
		case "module":
			f.Module = v.text()
		case "message":
			f.Message = v.text()
		case "tb":
			f.Traceback = nil
			for _, line := range elements(v) {
				f.Traceback = append(f.Traceback, field{value: line}.text())
			}
		case "args":
			f.Args = elements(v)
		case "kwargs":
			f.Kwargs = nil
			if m.value[0] == '{' {
				f.Kwargs = m.value
			}
		}
	}
	if err := s.end(); err != nil {
		return nil, in(err, "failure", "")
	}
	if f.Module == "exceptions" {
		f.Module = "builtins"
	}
	return f, nil
}

// elements are the values in a scanned array, undecoded. A value that is no array counts as its only one.
func elements(f field) []json.RawMessage {
	if f.null() {
		return nil
	}
	if f.value[0] != '[' {
		return []json.RawMessage{f.value}
	}
	var list []json.RawMessage
	s := scanner{data: f.value, pos: 1}
	for s.peek() != ']' {
		if s.data[s.pos] == ',' {
			s.pos++
			s.space()
		}
		start := s.pos
		if s.value(0) != nil {
			return list // Not reached: the text was scanned before.
		}
		list = append(list, s.data[start:s.pos])
	}
	return list
}
