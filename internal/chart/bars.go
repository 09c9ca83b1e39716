package chart

import (
	"fmt"
	"math"
)

// manyBars is from how many bars on there is no room for their values above them.
const manyBars = 20

func (b Bars) names() []string {
	names := make([]string, len(b.Series))
	for i, s := range b.Series {
		names[i] = s.Name
	}
	return names
}

func (b Bars) height() float64 { return frameHeight(b.names()) }

// most is the greatest of what is drawn.
func (b Bars) most() float64 {
	var most float64
	for _, s := range b.Series {
		for i, v := range s.Values {
			if !math.IsNaN(v) {
				most = max(most, v)
			}
			if i < len(s.High) && !math.IsNaN(s.High[i]) {
				most = max(most, s.High[i])
			}
		}
	}
	for _, m := range b.Marks {
		most = max(most, m.At)
	}
	return most
}

func (b Bars) draw(c *canvas, top float64) {
	f := newFrame(c, top, b.Title, b.names(), Axis{Name: b.Unit}, 0, b.most())
	group := (f.right - f.left) / float64(len(b.Groups))
	bar := min(group*0.8/float64(len(b.Series)), 60)
	for g, name := range b.Groups {
		middle := f.left + group*(float64(g)+0.5)
		x := middle - bar*float64(len(b.Series))/2
		for i, s := range b.Series {
			b.drawBar(c, f, x+bar*float64(i), bar, g, i, s)
		}
		if every := labelEvery(b.Groups, group); g%every == 0 {
			c.text(middle, f.bottom+lineSpace, "middle", "", name)
		}
	}
	for _, m := range b.Marks {
		at := f.y.at(m.At)
		c.line(f.left, at, f.right, at, "w", "5 4")
		c.text(f.right, at-4, "end", "", m.Text)
	}
	f.base(c)
}

// labelEvery is of how many neighbouring groups one can be named, so that names do not overlap.
func labelEvery(groups []string, room float64) int {
	every := 1
	for _, name := range groups {
		every = max(every, int(math.Ceil((textWidth(name)+4)/room)))
	}
	if len(groups) <= 8 {
		return 1
	}
	return every
}

func (b Bars) drawBar(c *canvas, f frame, x, w float64, g, i int, s Series) {
	v := s.Values[g]
	if math.IsNaN(v) {
		return
	}
	top := f.y.at(v)
	says := fmt.Sprintf("%s, %s: %s %s", s.Name, b.Groups[g], Number(v), b.Unit)
	label := top - 4
	whiskers := len(s.Low) > 0 && !math.IsNaN(s.Low[g]) && !math.IsNaN(s.High[g])
	if whiskers {
		says += fmt.Sprintf(" (%s to %s)", Number(s.Low[g]), Number(s.High[g]))
	}
	c.bar(x+w*0.05, top, w*0.9, f.bottom-top, colour(i), says)
	if whiskers {
		low, high, middle := f.y.at(max(s.Low[g], 0)), f.y.at(s.High[g]), x+w/2
		c.line(middle, low, middle, high, "w", "")
		c.line(middle-4, low, middle+4, low, "w", "")
		c.line(middle-4, high, middle+4, high, "w", "")
		label = min(label, high-4)
	}
	if len(b.Groups)*len(b.Series) <= manyBars {
		c.text(x+w/2, label, "middle", "", Number(v))
	}
}
