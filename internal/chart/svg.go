package chart

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"math"
	"unicode/utf8"
)

// Pixels. Text is measured by its characters, as the reader's font is not known; the widths are those of a wide one.
const (
	width     = 760.0
	edge      = 14.0
	plot      = 230.0 // the height of what lies between axes
	titleSize = 15.0
	textSize  = 12.0
	lineSpace = 18.0
	charWidth = 6.8 // of text
)

// palette is Okabe and Ito's, which people who are colour-blind can tell apart; it ends with greys.
var palette = [...]string{"#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#8c8c8c", "#b8a500"}

func colour(i int) string { return palette[i%len(palette)] }

// style has the colours of a light page and of a dark one.
const style = `<style>
text{font:12px system-ui,sans-serif;fill:#24292f}.t{font-size:15px;font-weight:600}.p{fill:#fff}.g{stroke:#d8dee4}.a{stroke:#57606a}.w{stroke:#24292f}
@media (prefers-color-scheme:dark){text{fill:#e6edf3}.p{fill:#0d1117}.g{stroke:#30363d}.a{stroke:#8b949e}.w{stroke:#e6edf3}}
</style>
`

// A canvas is an SVG document that is being written.
type canvas struct{ b bytes.Buffer }

func newCanvas(height float64) *canvas {
	c := &canvas{}
	fmt.Fprintf(&c.b, `<svg xmlns="http://www.w3.org/2000/svg" width="%[1]s" height="%[2]s" viewBox="0 0 %[1]s %[2]s" role="img">`+"\n", px(width), px(height))
	c.b.WriteString(style)
	fmt.Fprintf(&c.b, `<rect class="p" width="%s" height="%s"/>`+"\n", px(width), px(height))
	return c
}

func (c *canvas) finish() *bytes.Buffer {
	c.b.WriteString("</svg>\n")
	return &c.b
}

// px is a length as SVG has it, to a tenth of a pixel.
func px(v float64) string {
	v = math.Round(v*10) / 10
	if v == math.Trunc(v) {
		return fmt.Sprintf("%.0f", v)
	}
	return fmt.Sprintf("%.1f", v)
}

// text writes at a base line; anchor is start, middle or end.
func (c *canvas) text(x, y float64, anchor, class, text string) {
	fmt.Fprintf(&c.b, `<text x="%s" y="%s"`, px(x), px(y))
	if anchor != "start" {
		fmt.Fprintf(&c.b, ` text-anchor="%s"`, anchor)
	}
	if class != "" {
		fmt.Fprintf(&c.b, ` class="%s"`, class)
	}
	c.b.WriteByte('>')
	c.escape(text)
	c.b.WriteString("</text>\n")
}

// escape writes others' text: names, units.
func (c *canvas) escape(text string) {
	_ = xml.EscapeText(&c.b, []byte(text)) // a buffer takes everything
}

func (c *canvas) line(x1, y1, x2, y2 float64, class, dashes string) {
	fmt.Fprintf(&c.b, `<line x1="%s" y1="%s" x2="%s" y2="%s" class="%s"`, px(x1), px(y1), px(x2), px(y2), class)
	if dashes != "" {
		fmt.Fprintf(&c.b, ` stroke-dasharray="%s"`, dashes)
	}
	c.b.WriteString("/>\n")
}

// bar is a rectangle that says what it is where the mouse rests on it.
func (c *canvas) bar(x, y, w, h float64, fill, says string) {
	fmt.Fprintf(&c.b, `<rect x="%s" y="%s" width="%s" height="%s" fill="%s"><title>`, px(x), px(y), px(w), px(h), fill)
	c.escape(says)
	c.b.WriteString("</title></rect>\n")
}

func textWidth(text string) float64 { return charWidth * float64(utf8.RuneCountInString(text)) }

// legend names the series, in as many lines as it takes, and returns how high that is. A nil canvas is only measured.
func legend(c *canvas, top float64, names []string) float64 {
	if len(names) < 2 {
		return 0
	}
	const swatch, gap = 11.0, 18.0
	x, y := edge, top
	for i, name := range names {
		w := swatch + 5 + textWidth(name) + gap
		if x > edge && x+w > width-edge {
			x, y = edge, y+lineSpace
		}
		if c != nil {
			fmt.Fprintf(&c.b, `<rect x="%s" y="%s" width="%s" height="%s" fill="%s"/>`+"\n", px(x), px(y+3), px(swatch), px(swatch), colour(i))
			c.text(x+swatch+5, y+swatch+2, "start", "", name)
		}
		x += w
	}
	return y + lineSpace - top
}

// A frame is a figure's title, legend and vertical axis, drawn, and where its plot is.
type frame struct {
	left, right, top, bottom float64
	y                        scale
}

const (
	headHeight = edge + titleSize + 8
	axisName   = lineSpace // the name of the vertical axis stands above it
	footHeight = 2*lineSpace + edge
)

// frameHeight is how much a figure needs.
func frameHeight(names []string) float64 {
	return headHeight + legend(nil, 0, names) + axisName + plot + footHeight
}

func newFrame(c *canvas, top float64, title string, names []string, y Axis, least, most float64) frame {
	c.text(edge, top+edge+titleSize, "start", "t", title)
	top += headHeight
	top += legend(c, top, names)
	c.text(edge, top+textSize, "start", "", y.Name)
	top += axisName
	f := frame{top: top + 4, bottom: top + plot, right: width - edge}
	f.y = newScale(y, least, most, f.bottom, f.top)
	for _, t := range f.y.ticks {
		f.left = max(f.left, edge+textWidth(t.Text)+6)
	}
	for _, t := range f.y.ticks {
		if f.y.has(t.At) {
			at := f.y.at(t.At)
			c.line(f.left, at, f.right, at, "g", "")
			c.text(f.left-6, at+4, "end", "", t.Text)
		}
	}
	return f
}

// base is the horizontal axis, over everything else.
func (f frame) base(c *canvas) { c.line(f.left, f.bottom, f.right, f.bottom, "a", "") }
