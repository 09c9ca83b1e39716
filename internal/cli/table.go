package cli

import (
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/goslo/goslo/internal/operator"
)

// A table is rows of cells, of which the first is the head. Cells must be without colours.
type table struct {
	rows   [][]string
	widths []int // of columns
}

func newTable(head ...string) *table {
	t := &table{widths: make([]int, len(head))}
	t.row(head...)
	return t
}

// row adds one, which may lack cells at its end.
func (t *table) row(cells ...string) {
	cells = append(cells, make([]string, len(t.widths)-len(cells))...)
	for i, cell := range cells {
		cells[i] = plain(cell)
		t.widths[i] = max(t.widths[i], utf8.RuneCountInString(cells[i]))
	}
	t.rows = append(t.rows, cells)
}

// text is the table. On a terminal that it is too wide for, columns are cut, the widest first, and that of names last and least; nothing is lost to what
// reads it elsewhere.
func (t *table) text(s screen) string {
	const gap, least, leastName = 2, 8, 24
	widths := slices.Clone(t.widths)
	total := gap * (len(widths) - 1)
	for _, w := range widths {
		total += w
	}
	for ; s.terminal && total > s.width; total-- {
		widest := slices.Index(widths[1:], slices.Max(widths[1:])) + 1
		if widths[widest] <= least {
			if widest = 0; widths[0] <= leastName {
				break
			}
		}
		widths[widest]--
	}
	var b strings.Builder
	for _, row := range t.rows {
		var line strings.Builder
		for i, cell := range row {
			if runes := []rune(cell); len(runes) > widths[i] {
				cell = string(runes[:widths[i]-len(dots)]) + dots
			}
			fmt.Fprintf(&line, "%-*s", widths[i]+gap, cell)
		}
		b.WriteString(strings.TrimRight(line.String(), " ") + "\n")
	}
	return b.String()
}

// dots stand for what was cut off; goslo who and others take them off again.
const dots = ".."

// short cuts the random part of a queue's name; its beginning and two dots mean the same to goslo who.
func short(q *operator.Queue) string {
	const kept, random = 8, 32
	if q.Kind != operator.KindReply && q.Kind != operator.KindFanout || len(q.Name) < random {
		return q.Name
	}
	unique := q.Name[len(q.Name)-random:]
	if strings.Trim(unique, "0123456789abcdef") != "" {
		return q.Name
	}
	return q.Name[:len(q.Name)-random+kept] + dots
}

// ago is how long something has been so, in the two largest units: 31d4h, 2h10m, 43s.
func ago(d time.Duration) string {
	const day = 24 * time.Hour
	switch {
	case d < 0:
		return "?"
	case d < time.Minute:
		return fmt.Sprintf("%ds", d/time.Second)
	case d < time.Hour:
		return units(d, time.Minute, "m", time.Second, "s")
	case d < day:
		return units(d, time.Hour, "h", time.Minute, "m")
	}
	return units(d, day, "d", time.Hour, "h")
}

// units is a time in two units, or in one where nothing is left for the other.
func units(d, unit time.Duration, name string, less time.Duration, lessName string) string {
	text := fmt.Sprintf("%d%s", d/unit, name)
	if rest := d % unit / less; rest > 0 {
		text += fmt.Sprintf("%d%s", rest, lessName)
	}
	return text
}

// sinceAt is how long something had been so when a view was made; "" = not known.
func sinceAt(v *operator.View, t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return ago(max(v.At.Sub(t), 0))
}

// size is a number of bytes for people.
func size(n operator.Count) string {
	const unit = 1024
	if n < unit {
		if n < 0 {
			return "?"
		}
		return fmt.Sprintf("%d B", n)
	}
	f, units := float64(n), "KMGT"
	i := -1
	for f >= unit && i < len(units)-1 {
		f /= unit
		i++
	}
	return fmt.Sprintf("%.1f %ciB", f, units[i])
}

// amount is a number with its word.
func amount(n int, word string) string {
	if n == 1 {
		return "1 " + word
	}
	return fmt.Sprintf("%d %ss", n, word)
}
