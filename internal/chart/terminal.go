package chart

import (
	"fmt"
	"math"
	"strings"
	"unicode/utf8"
)

// A Row is one bar on a terminal.
type Row struct {
	Name  string
	Value float64
	Text  string // behind the bar; "" = the value
}

// eighths are the parts of a character cell, from one to seven.
var eighths = [...]string{"", "▏", "▎", "▍", "▌", "▋", "▊", "▉"}

// leastBar is how long the greatest bar is on the narrowest terminal.
const leastBar = 10

// Terminal is rows as lines of text, with bars that end before width characters; the greatest value has the longest. What is above zero has
// a bar, however short.
func Terminal(rows []Row, width int) string {
	var names, texts int
	var most float64
	for i := range rows {
		names = max(names, utf8.RuneCountInString(rows[i].Name))
		texts = max(texts, utf8.RuneCountInString(rows[i].text()))
		most = max(most, rows[i].Value)
	}
	room := max(width-names-texts-4, leastBar)
	var b strings.Builder
	for _, r := range rows {
		fmt.Fprintf(&b, "%*s  ", names, r.Name)
		if bar := bar(r.Value, most, room); bar != "" {
			b.WriteString(bar + "  ")
		}
		b.WriteString(r.text() + "\n")
	}
	return b.String()
}

func (r Row) text() string {
	if r.Text != "" {
		return r.Text
	}
	return Number(r.Value)
}

func bar(v, most float64, room int) string {
	if !(v > 0) {
		return ""
	}
	parts := max(int(math.Round(v/most*float64(room*len(eighths)))), 1)
	return strings.Repeat("█", parts/len(eighths)) + eighths[parts%len(eighths)]
}

// sparks are the heights of a character.
var sparks = [...]rune{'▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'}

// Sparkline is values over time as a line of width characters at the most, each as high as the mean of those it stands for.
func Sparkline(values []float64, width int) string {
	if len(values) == 0 || width <= 0 {
		return ""
	}
	n := min(len(values), width)
	means := make([]float64, n)
	var most float64
	for i := range n {
		from, to := i*len(values)/n, (i+1)*len(values)/n
		for _, v := range values[from:to] {
			means[i] += v / float64(to-from)
		}
		most = max(most, means[i])
	}
	line := make([]rune, n)
	for i, m := range means {
		height := 0
		if most > 0 {
			height = min(int(m/most*float64(len(sparks))), len(sparks)-1)
		}
		line[i] = sparks[max(height, 0)]
	}
	return string(line)
}
