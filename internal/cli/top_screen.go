package cli

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// lines is the sample as text for the screen: a line on the bus, lines on what is wrong with it, the header of the table, and the topics.
func (t *topSample) lines(s screen, order topOrder) []string {
	head := fmt.Sprintf("%s  %s, vhost %s: %s connections, %s queues", t.At.Local().Format(time.TimeOnly), t.Broker, t.Vhost, t.Connections, t.Queues)
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
	columns := t.columns(s)
	rest := len("10 deaf") + 2
	for _, c := range columns {
		rest += c.width + 1
	}
	width = min(width, max(s.width-rest, len("TOPIC")))
	cells := append(make([]string, 0, 1+len(columns)), fmt.Sprintf("%-*s", width, "TOPIC"))
	for _, c := range columns {
		cells = append(cells, fmt.Sprintf("%*s", c.width, c.name))
	}
	header := strings.Join(cells, " ") + "  STATE"
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
		lines = append(lines, topic.line(s, width, columns))
	}
	return lines
}

// A topColumn is one between the topic and its state.
type topColumn struct {
	name  string
	width int
	cell  func(topTopic) string
}

// enough is how wide a screen is for all columns and those of calls; on another they take the places of those that matter less.
const enough = 106

func (t *topSample) columns(s screen) []topColumn {
	rated := func(of func(topTopic) float64) func(topTopic) string {
		return func(topic topTopic) string {
			if !t.Rated {
				return "?"
			}
			return rate(of(topic))
		}
	}
	all := []topColumn{
		{"IN/s", 7, rated(func(t topTopic) float64 { return t.In })},
		{"OUT/s", 7, rated(func(t topTopic) float64 { return t.Out })},
		{"FAN/s", 7, rated(func(t topTopic) float64 { return t.Fanout })},
		{"READY", 7, func(t topTopic) string { return t.Ready.String() }},
		{"UNACK", 7, func(t topTopic) string { return t.Unacked.String() }},
		{"SERVERS", 9, topTopic.servers},
		{"RTT", 8, func(t topTopic) string { return shownOrNone(t.rtt) }},
	}
	if !t.Traced {
		return all
	}
	if s.width < enough {
		all = slices.DeleteFunc(all, func(c topColumn) bool { return c.name == "OUT/s" || c.name == "FAN/s" || c.name == "RTT" })
	}
	return append(all,
		topColumn{"P50", 8, func(t topTopic) string { return shownOrNone(t.Calls.p50) }},
		topColumn{"P95", 8, func(t topTopic) string { return shownOrNone(t.Calls.p95) }},
		topColumn{"ERR/s", 7, func(t topTopic) string { return rate(t.Calls.FailedPerSecond) }},
	)
}

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

func (t topTopic) line(s screen, width int, columns []topColumn) string {
	state, paint := t.state()
	name := []rune(plain(t.Topic))
	if len(name) > width {
		name = append(name[:width-1], '~')
	}
	cells := append(make([]string, 0, 1+len(columns)), fmt.Sprintf("%-*s", width, string(name)))
	for _, c := range columns {
		cells = append(cells, fmt.Sprintf("%*s", c.width, c.cell(t)))
	}
	line := s.cut(strings.TrimRight(strings.Join(cells, " ")+"  "+state, " "))
	if paint != "" {
		line = s.paint(paint, line)
	}
	return line
}

// servers is how many there are, and of how many somebody consumes, where those are fewer.
func (t topTopic) servers() string {
	if t.Listening != t.Servers {
		return fmt.Sprintf("%d/%d", t.Listening, t.Servers)
	}
	return strconv.Itoa(t.Servers)
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
