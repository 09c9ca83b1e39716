package logline

import (
	"encoding/json"
	"path"
	"regexp"
	"strconv"
	"strings"
)

// An Origin is who wrote a line, and when, as far as the line says.
type Origin struct {
	Time      string `json:"time,omitempty"` // as it was written, in the writer's time zone
	Host      string `json:"host,omitempty"`
	Program   string `json:"program,omitempty"`
	PID       int    `json:"pid,omitempty"`
	Level     string `json:"level,omitempty"`
	Logger    string `json:"logger,omitempty"`
	RequestID string `json:"request_id,omitempty"`
}

var (
	// syslogPrefix is that of files which rsyslog or journalctl write.
	syslogPrefix = re(`^(?:<\d+>)?(?P<time>[A-Z][a-z]{2} +\d+ \d\d:\d\d:\d\d|\d{4}-\d\d-\d\dT\S+) (?P<host>\S+) (?P<program>[^\s\[:]+)(?:\[(?P<pid>\d+)\])?: `)
	// oslogPrefix is logging_context_format_string of oslo.log, with its date or without.
	oslogPrefix = re(`^(?:(?P<time>\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d(?:[.,]\d+)?) )?(?P<pid>\d+) (?P<level>[A-Z]+) (?P<logger>[\w.]+) (?:\[(?P<context>[^\]]*)\] )?(?:\[instance: [^\]]*\] )?`)
	requestID   = re(`\breq-[0-9a-f-]{36}\b`)
	// frame is a line of a traceback in a client side of OpenStack: nova/compute/rpcapi.py and its like.
	frame     = re(`File "(?:[^"]*/)?(?P<project>\w+)/(?:[\w/]+/)?(?P<service>\w+)/(?P<file>\w*rpcapi\w*|rpc|api)\.py", line (?P<line>\d+), in (?P<method>\w+)`)
	traceback = re(`^(?:Traceback \(most recent call last\):|File "[^"]*", line \d+, in |During handling of the above exception|The above exception was the direct cause)|^\s|^\^+$|^$`)
)

// A Frame is a place in a traceback where a program called another.
type Frame struct {
	Project string `json:"project"` // "nova"
	Service string `json:"service"` // the folder: "compute"
	Method  string `json:"method"`
	At      string `json:"at"` // file:line
}

// parseOrigin takes what precedes a message off a line.
func parseOrigin(line string) (Origin, string) {
	var o Origin
	if text, ok := o.fromJSON(line); ok {
		return o, text
	}
	text := o.take(syslogPrefix, line)
	text = o.take(oslogPrefix, text)
	return o, text
}

// take fills in what the prefix says, and returns the rest of the line.
func (o *Origin) take(prefix *regexp.Regexp, line string) string {
	groups := prefix.FindStringSubmatch(line)
	if groups == nil {
		return line
	}
	for i, name := range prefix.SubexpNames() {
		value := groups[i]
		if value == "" {
			continue
		}
		switch name {
		case "time":
			o.Time = value
		case "host":
			o.Host = value
		case "program":
			o.Program = path.Base(value)
		case "pid":
			o.PID, _ = strconv.Atoi(value) // digits; too many of them are no process
		case "level":
			o.Level = value
		case "logger":
			o.Logger = value
		case "context":
			o.RequestID = requestID.FindString(value)
		}
	}
	return line[len(groups[0]):]
}

// jsonLine is a line of oslo.log's JSONFormatter, as far as it is of use here.
type jsonLine struct {
	Message   string   `json:"message"`
	Time      string   `json:"asctime"`
	Host      string   `json:"hostname"`
	Program   string   `json:"binary"`
	PID       int      `json:"process"`
	Level     string   `json:"levelname"`
	Logger    string   `json:"name"`
	Summary   string   `json:"error_summary"`
	Traceback []string `json:"traceback"`
	Context   struct {
		RequestID string `json:"request_id"`
	} `json:"context"`
}

func (o *Origin) fromJSON(line string) (text string, ok bool) {
	if !strings.HasPrefix(line, "{") {
		return "", false
	}
	var j jsonLine
	if json.Unmarshal([]byte(line), &j) != nil || j.Message == "" {
		return "", false
	}
	*o = Origin{Time: j.Time, Host: j.Host, Program: j.Program, PID: j.PID, Level: j.Level, Logger: j.Logger, RequestID: j.Context.RequestID}
	return strings.Join(append([]string{j.Message, j.Summary}, j.Traceback...), "\n"), true
}

// frames are the places in a piece of a traceback that say whom the program was calling.
func frames(text string) []Frame {
	matches := frame.FindAllStringSubmatch(text, -1)
	found := make([]Frame, 0, len(matches))
	for _, groups := range matches {
		found = append(found, Frame{
			Project: groups[1], Service: groups[2], Method: groups[5],
			At: groups[1] + "/" + groups[2] + "/" + groups[3] + ".py:" + groups[4],
		})
	}
	return found
}
