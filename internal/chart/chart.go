// Package chart draws benchmarks: bars and lines as SVG, and bars for terminals.
//
// The same input gives the same bytes, so that a chart can be committed beside the table that it is made of. The SVG needs neither fonts
// nor scripts, and follows the reader's choice of a light or a dark page.
//
// It owns nothing and starts no goroutine.
package chart

import (
	"errors"
	"fmt"
	"io"
	"math"
)

// A Figure is one chart: [Bars] or [Lines].
type Figure interface {
	// height is how much room it needs, in pixels; all are as wide.
	height() float64
	// draw draws it into a canvas, from top downwards.
	draw(c *canvas, top float64)
	// check returns what is wrong with its data.
	check() error
}

// Write writes figures as one SVG document, one below the other. It fails where a figure has nothing to show, or series and groups do not
// match, and with the error of w.
func Write(w io.Writer, figures ...Figure) error {
	if len(figures) == 0 {
		return errors.New("chart: no figures to write")
	}
	var total float64
	for i, f := range figures {
		if err := f.check(); err != nil {
			return fmt.Errorf("chart: figure %d: %w", i+1, err)
		}
		total += f.height()
	}
	c := newCanvas(total)
	var top float64
	for _, f := range figures {
		f.draw(c, top)
		top += f.height()
	}
	_, err := c.finish().WriteTo(w)
	return err
}

// A Tick is a labelled place on an axis.
type Tick struct {
	At   float64
	Text string
}

// A Series is what one contender reached: a bar in each group, all in one colour.
type Series struct {
	Name   string
	Values []float64 // one for each group; NaN = there is none
	// Low and High are the ends of confidence intervals, drawn as whiskers. Default: none.
	Low, High []float64
}

// Bars is a chart of bars in groups: one group for each kind of work, one bar in each for each contender.
type Bars struct {
	Title  string
	Unit   string   // of the values, such as "calls/s"; the axis is named by it
	Groups []string // from left to right
	Series []Series // from left to right in each group
	// Marks are dashed lines across the chart, such as a goal. Default: none.
	Marks []Tick
}

// A Point is one of a line.
type Point struct{ X, Y float64 }

// A Line is what one contender reached, from point to point.
type Line struct {
	Name   string
	Points []Point // by X
}

// An Axis is how values become places.
type Axis struct {
	Name string // with the unit
	// Log makes each tenfold as long as the next. Values must be above zero then. Default: linear, from zero.
	Log bool
	// Ticks are the labels. Default: round numbers.
	Ticks []Tick
}

// Lines is a chart of lines.
type Lines struct {
	Title string
	X, Y  Axis
	Lines []Line
	// Steps draws each value as level up to the next, as rates in intervals are. Default: straight from point to point.
	Steps bool
}

func (b Bars) check() error {
	if len(b.Groups) == 0 || len(b.Series) == 0 {
		return fmt.Errorf("bars %q: no groups or no series", b.Title)
	}
	for _, s := range b.Series {
		if len(s.Values) != len(b.Groups) {
			return fmt.Errorf("bars %q: series %q has %d values for %d groups", b.Title, s.Name, len(s.Values), len(b.Groups))
		}
		if len(s.Low) != len(s.High) || len(s.Low) != 0 && len(s.Low) != len(s.Values) {
			return fmt.Errorf("bars %q: series %q has intervals with %d low and %d high ends for %d values", b.Title, s.Name, len(s.Low), len(s.High), len(s.Values))
		}
		for i, v := range s.Values {
			if v < 0 || math.IsInf(v, 0) {
				return fmt.Errorf("bars %q: series %q: %v for %s cannot be drawn", b.Title, s.Name, v, b.Groups[i])
			}
		}
		for i := range s.Low {
			if math.IsInf(s.Low[i], 0) || math.IsInf(s.High[i], 0) {
				return fmt.Errorf("bars %q: series %q: an interval from %v to %v for %s cannot be drawn", b.Title, s.Name, s.Low[i], s.High[i], b.Groups[i])
			}
		}
	}
	for _, m := range b.Marks {
		if bad(m.At, false) {
			return fmt.Errorf("bars %q: mark %q at %v cannot be drawn", b.Title, m.Text, m.At)
		}
	}
	return nil
}

func (l Lines) check() error {
	points := 0
	for _, line := range l.Lines {
		for _, p := range line.Points {
			if bad(p.X, l.X.Log) || bad(p.Y, l.Y.Log) {
				return fmt.Errorf("lines %q: line %q: point (%v, %v) cannot be drawn", l.Title, line.Name, p.X, p.Y)
			}
		}
		points += len(line.Points)
	}
	if points == 0 {
		return fmt.Errorf("lines %q: no points", l.Title)
	}
	return nil
}

// bad says whether an axis has no place for a value.
func bad(v float64, log bool) bool {
	return math.IsNaN(v) || math.IsInf(v, 0) || v < 0 || log && v == 0
}
