package logline

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
)

// A Found is an event, and how often it was read: lines that say the same of the same are one.
type Found struct {
	Event        // the first of them, with the frames of the last traceback
	Count int    // at least 1
	Last  Origin // of the last of them
}

// A Reading is what is in a piece of a log.
type Reading struct {
	Events  []Found  // in the order of their first lines
	Unknown []string // lines that say nothing that is known, whole and in order; those of tracebacks are not among them
}

// longestLine is more than loggers write in one, tracebacks in JSON included, in bytes.
const longestLine = 1 << 20

// Read reads lines until the end. An error is that of reading, or a line of more than a mebibyte.
func Read(r io.Reader) (Reading, error) {
	var (
		found   Reading
		pending []Frame // of a traceback whose exception is still to come
		where   = map[key]int{}
		lines   = bufio.NewScanner(r)
		number  int
	)
	lines.Buffer(nil, longestLine)
	for lines.Scan() {
		number++
		line := strings.TrimRight(lines.Text(), "\r")
		e, known := Parse(line)
		_, text := parseOrigin(line)
		pending = append(pending, frames(text)...)
		switch {
		case !known && traceback.MatchString(text):
		case !known:
			found.Unknown = append(found.Unknown, line)
		default:
			e.Frames, pending = pending, nil
			i, again := where[e.key()]
			if !again {
				where[e.key()] = len(found.Events)
				found.Events = append(found.Events, Found{Event: e, Count: 1, Last: e.Origin})
				continue
			}
			found.Events[i].add(e)
		}
	}
	if err := lines.Err(); errors.Is(err, bufio.ErrTooLong) {
		return found, fmt.Errorf("logline: line %d has more than %d bytes, which is no line of a log", number+1, longestLine)
	} else if err != nil {
		return found, fmt.Errorf("logline: read line %d: %w", number+1, err)
	}
	return found, nil
}

// key is what two events have in common that say the same.
type key struct {
	symptom              Symptom
	cause                Cause
	reply, topic, method string
	object               Object
	broker               string
	program              string
	pid                  int
}

func (e *Event) key() key {
	return key{e.Symptom, e.Cause, e.ReplyQueue, e.Topic, e.Method, e.Object, e.Broker.Address, e.Origin.Program, e.Origin.PID}
}

// add counts an event that says the same.
func (f *Found) add(e Event) {
	f.Count++
	f.Last = e.Origin
	for _, frame := range e.Frames {
		if !slices.Contains(f.Frames, frame) {
			f.Frames = append(f.Frames, frame)
		}
	}
}
