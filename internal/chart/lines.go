package chart

import (
	"fmt"
	"math"
	"strings"
)

// manyPoints is from how many points on they are not marked.
const manyPoints = 40

func (l Lines) names() []string {
	names := make([]string, len(l.Lines))
	for i, line := range l.Lines {
		names[i] = line.Name
	}
	return names
}

func (l Lines) height() float64 { return frameHeight(l.names()) }

// ends are the least and the greatest values of both axes.
func (l Lines) ends() (least, most Point) {
	least, most = Point{math.Inf(1), math.Inf(1)}, Point{}
	for _, line := range l.Lines {
		for _, p := range line.Points {
			least = Point{min(least.X, p.X), min(least.Y, p.Y)}
			most = Point{max(most.X, p.X), max(most.Y, p.Y)}
		}
	}
	return least, most
}

func (l Lines) draw(c *canvas, top float64) {
	least, most := l.ends()
	f := newFrame(c, top, l.Title, l.names(), l.Y, least.Y, most.Y)
	const inset = 20 // so that the first and the last label have room
	x := newScale(l.X, least.X, most.X, f.left+inset, f.right-inset)
	for _, t := range x.ticks {
		if x.has(t.At) {
			c.line(x.at(t.At), f.bottom, x.at(t.At), f.bottom+4, "a", "")
			c.text(x.at(t.At), f.bottom+lineSpace, "middle", "", t.Text)
		}
	}
	c.text((f.left+f.right)/2, f.bottom+2*lineSpace, "middle", "", l.X.Name)
	for i, line := range l.Lines {
		l.drawLine(c, x, f.y, line, colour(i))
	}
	f.base(c)
}

func (l Lines) drawLine(c *canvas, x, y scale, line Line, stroke string) {
	if len(line.Points) == 0 {
		return
	}
	var path strings.Builder
	for i, p := range line.Points {
		px, py := px(x.at(p.X)), px(y.at(p.Y))
		switch {
		case i == 0:
			path.WriteString("M" + px + " " + py)
		case l.Steps:
			path.WriteString("H" + px + "V" + py)
		default:
			path.WriteString("L" + px + " " + py)
		}
	}
	fmt.Fprintf(&c.b, `<path d="%s" fill="none" stroke="%s" stroke-width="2"/>`+"\n", &path, stroke)
	if len(line.Points) > manyPoints {
		return
	}
	for _, p := range line.Points {
		fmt.Fprintf(&c.b, `<circle cx="%s" cy="%s" r="3" fill="%s"><title>`, px(x.at(p.X)), px(y.at(p.Y)), stroke)
		says := fmt.Sprintf("%s, %s: %s %s", Number(p.X), l.X.Name, Number(p.Y), l.Y.Name)
		if line.Name != "" {
			says = line.Name + ", " + says
		}
		c.escape(says)
		c.b.WriteString("</title></circle>\n")
	}
}
