package cli

import (
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// lines is the sample as text for the screen: a line on the bus, lines on what is wrong with it, the header of the table, and the topics.
func (t *topSample) lines(s screen, order topOrder) []string {
	head := fmt.Sprintf("%s  %s, vhost %s: %d connections, %d queues", t.At.Local().Format(time.TimeOnly), t.Broker, t.Vhost, t.Connections, t.Queues)
	lines := []string{s.cut(head)}
	if alarm := t.alarm(); alarm != "" {
		lines = append(lines, s.paint(red, s.cut(alarm)))
	}
	if t.Returned > 0 || t.Dropped > 0 {
		lines = append(lines, s.paint(yellow, s.cut(fmt.Sprintf("no queue takes %s/s, which their senders are told, and %s/s, which are lost", rate(t.Returned), rate(t.Dropped)))))
	}
	width := len("TOPIC")
	for _, topic := range t.Topics {
		width = max(width, utf8.RuneCountInString(topic.Topic))
	}
	columns, calls := topColumns, ""
	if t.Traced {
		calls = fmt.Sprintf(" %8s %8s %7s", "P50", "P95", "ERR/s")
		columns += len(calls)
	}
	width = min(width, max(s.width-columns, len("TOPIC")))
	header := fmt.Sprintf("%-*s %7s %7s %7s %7s %7s %9s %8s%s  %s", width, "TOPIC", "IN/s", "OUT/s", "FAN/s", "READY", "UNACK", "SERVERS", "RTT", calls, "STATE")
	column, arrow := order.sort().column, "↓"
	if order.reverse {
		arrow = "↑"
	}
	if column == "TOPIC" {
		header = strings.Replace(header, column+" ", column+arrow, 1)
	} else {
		header = strings.Replace(header, " "+column, column+arrow, 1)
	}
	lines = append(lines, s.cut(header))
	for _, topic := range t.Topics {
		lines = append(lines, topic.line(s, width, t))
	}
	return lines
}

// topColumns is how wide a line is beside the topic, with the shortest state.
const topColumns = 5*8 + 10 + 9 + 2 + len("10 deaf")

// alarm is what keeps the broker from working; "" = nothing does.
func (t *topSample) alarm() string {
	var parts []string
	if len(t.Alarms) > 0 {
		parts = append(parts, "ALARM: "+strings.Join(t.Alarms, ", "))
	}
	if t.Blocked > 0 {
		parts = append(parts, fmt.Sprintf("%d connections blocked", t.Blocked))
	}
	return strings.Join(parts, "; ")
}

func (t topTopic) line(s screen, width int, sample *topSample) string {
	state, paint := t.state()
	rates := [3]string{"?", "?", "?"}
	if sample.Rated {
		rates = [3]string{rate(t.In), rate(t.Out), rate(t.Fanout)}
	}
	calls := ""
	if sample.Traced {
		calls = fmt.Sprintf(" %8s %8s %7s", shownOrNone(t.Calls.p50), shownOrNone(t.Calls.p95), rate(t.Calls.FailedPerSecond))
	}
	servers := strconv.Itoa(t.Servers)
	if t.Listening != t.Servers {
		servers = fmt.Sprintf("%d/%d", t.Listening, t.Servers)
	}
	name := []rune(t.Topic)
	if len(name) > width {
		name = append(name[:width-1], '~')
	}
	line := fmt.Sprintf("%-*s %7s %7s %7s %7s %7s %9s %8s%s  %s", width, string(name), rates[0], rates[1], rates[2], t.Ready, t.Unacked, servers, shownOrNone(t.rtt), calls, state)
	line = s.cut(strings.TrimRight(line, " "))
	if paint != "" {
		line = s.paint(paint, line)
	}
	return line
}

func shownOrNone(d time.Duration) string {
	if d <= 0 {
		return "-"
	}
	return shown(d).String()
}

// rate is a number a second in few characters.
func rate(r float64) string {
	switch {
	case r >= 1e6:
		return strconv.FormatFloat(r/1e6, 'f', 1, 64) + "M"
	case r >= 1e4:
		return strconv.FormatFloat(r/1e3, 'f', 1, 64) + "k"
	case r >= 100 || r == 0:
		return strconv.FormatFloat(r, 'f', 0, 64)
	}
	return strconv.FormatFloat(r, 'f', 1, 64)
}

// cut shortens a line to the width of the screen.
func (s screen) cut(line string) string {
	if utf8.RuneCountInString(line) <= s.width {
		return line
	}
	return string([]rune(line)[:s.width])
}

// topView is what a terminal shows of a sample: a part of it, and what there is to press or what went wrong.
type topView struct {
	sample *topSample // nil = none yet
	order  topOrder
	first  int    // the topic at the top of the table
	notice string // in place of the keys
}

// render is all the lines of the terminal, of height lines at most.
func (v *topView) render(s screen, height int) []string {
	foot := "q quits   sort: i)n o)ut f)anout r)eady u)nacked s)ervers l)atency p)95 e)rrors t)opic   space: now"
	if v.notice != "" {
		foot = v.notice
	}
	foot = s.cut(foot)
	if v.sample == nil {
		return []string{s.cut("asking the broker and servers"), foot}
	}
	v.order.apply(v.sample.Topics)
	lines := make([]string, 0, len(v.sample.Topics)+4)
	for _, text := range v.sample.Unseen {
		lines = append(lines, s.paint(yellow, s.cut("not seen: "+text)))
	}
	lines = append(lines, v.sample.lines(s, v.order)...)
	above := len(lines) - len(v.sample.Topics)
	head, topics := lines[:above], lines[above:]
	room := max(height-above-1, 1)
	v.first = max(min(v.first, len(topics)-room), 0)
	last := min(v.first+room, len(topics))
	if more := len(topics) - last; v.notice == "" && (more > 0 || v.first > 0) {
		foot = s.cut(fmt.Sprintf("topics %d to %d of %d   %s", v.first+1, last, len(topics), foot))
	}
	all := append([]string{}, head...)
	all = append(all, topics[v.first:last]...)
	return append(all, foot)
}
