package chart_test

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/goslo/goslo/internal/chart"
)

func Example() {
	calls := chart.Bars{
		Title:  "Calls on RabbitMQ",
		Unit:   "calls/s",
		Groups: []string{"1 caller", "64 callers"},
		Series: []chart.Series{
			{Name: "Goslo", Values: []float64{3256, 8879}, Low: []float64{3100, 8700}, High: []float64{3300, 9000}},
			{Name: "bare", Values: []float64{4301, 11534}},
		},
	}
	if err := chart.Write(io.Discard, calls); err != nil { // or a file
		fmt.Println(err)
	}
}

func ExampleTerminal() {
	fmt.Print(chart.Terminal([]chart.Row{
		{Name: "1 ms", Value: 80},
		{Name: "10 ms", Value: 10, Text: "10, or 11 %"},
		{Name: "100 ms"},
	}, 40))
	// Output:
	//   1 ms  ███████████████████  80
	//  10 ms  ██▍  10, or 11 %
	// 100 ms  0
}

// An element is one of an SVG document.
type element struct {
	name  string
	attrs map[string]string
	text  string
}

func (e element) number(t *testing.T, name string) float64 {
	t.Helper()
	v, err := strconv.ParseFloat(e.attrs[name], 64)
	if err != nil {
		t.Fatalf("%s of %v: %v", name, e, err)
	}
	return v
}

// drawn parses figures as they are written.
func drawn(t *testing.T, figures ...chart.Figure) []element {
	t.Helper()
	var b bytes.Buffer
	if err := chart.Write(&b, figures...); err != nil {
		t.Fatal(err)
	}
	var all []element
	var open []int
	d := xml.NewDecoder(&b)
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			return all
		}
		if err != nil {
			t.Fatalf("not XML: %v", err)
		}
		switch token := token.(type) {
		case xml.StartElement:
			e := element{name: token.Name.Local, attrs: map[string]string{}}
			for _, a := range token.Attr {
				e.attrs[a.Name.Local] = a.Value
			}
			open = append(open, len(all))
			all = append(all, e)
		case xml.CharData:
			if len(open) > 0 {
				all[open[len(open)-1]].text += string(token)
			}
		case xml.EndElement:
			open = open[:len(open)-1]
		}
	}
}

// bars are the rectangles that say what they are.
func bars(all []element) (bars []element) {
	for i, e := range all {
		if e.name == "rect" && i+1 < len(all) && all[i+1].name == "title" {
			e.text = all[i+1].text
			bars = append(bars, e)
		}
	}
	return bars
}

func texts(all []element) (texts []string) {
	for _, e := range all {
		if e.name == "text" {
			texts = append(texts, e.text)
		}
	}
	return texts
}

func TestBarsAreAsHighAsTheirValues(t *testing.T) {
	t.Parallel()
	all := drawn(t, chart.Bars{
		Title: "a <b> & c", Unit: "calls/s", Groups: []string{"one", "two"},
		Series: []chart.Series{
			{Name: "x", Values: []float64{1000, 2000}, Low: []float64{900, math.NaN()}, High: []float64{1100, math.NaN()}},
			{Name: "y", Values: []float64{500, math.NaN()}},
		},
		Marks: []chart.Tick{{At: 1500, Text: "goal"}},
	})
	got := bars(all)
	says := make([]string, len(got))
	for i, bar := range got {
		says[i] = bar.text
	}
	want := []string{"x, one: 1,000 calls/s (900 to 1,100)", "y, one: 500 calls/s", "x, two: 2,000 calls/s"}
	if diff := cmp.Diff(want, says); diff != "" {
		t.Fatal(diff)
	}
	x1, y1, x2 := got[0].number(t, "height"), got[1].number(t, "height"), got[2].number(t, "height")
	if math.Abs(x1/y1-2) > 0.01 || math.Abs(x2/x1-2) > 0.01 {
		t.Errorf("heights %v, %v, %v for 1000, 500, 2000", x1, y1, x2)
	}
	for _, text := range []string{"a <b> & c", "calls/s", "one", "two", "x", "y", "goal", "1,000", "2,000"} {
		if !contains(texts(all), text) {
			t.Errorf("no text %q in %q", text, texts(all))
		}
	}
}

func contains(all []string, text string) bool {
	for _, one := range all {
		if one == text {
			return true
		}
	}
	return false
}

func TestLinesGoThroughTheirPoints(t *testing.T) {
	t.Parallel()
	all := drawn(t, chart.Lines{
		Title: "by callers", X: chart.Axis{Name: "callers", Log: true}, Y: chart.Axis{Name: "calls/s"},
		Lines: []chart.Line{{Name: "goslo", Points: []chart.Point{{X: 1, Y: 100}, {X: 10, Y: 200}, {X: 100, Y: 400}}}, {Name: "none"}},
	})
	var x, y []float64
	for _, e := range all {
		if e.name == "circle" {
			x, y = append(x, e.number(t, "cx")), append(y, e.number(t, "cy"))
		}
	}
	if len(x) != 3 {
		t.Fatalf("%d points, want 3", len(x))
	}
	if d := (x[1] - x[0]) - (x[2] - x[1]); math.Abs(d) > 0.3 {
		t.Errorf("x at %v: each tenfold should be as far from the last", x)
	}
	if ratio := (y[0] - y[1]) / (y[1] - y[2]); math.Abs(ratio-0.5) > 0.01 {
		t.Errorf("y at %v for 100, 200, 400", y)
	}
	for _, text := range []string{"1", "10", "100", "callers", "goslo"} {
		if !contains(texts(all), text) {
			t.Errorf("no text %q in %q", text, texts(all))
		}
	}
}

func TestStepsAreLevel(t *testing.T) {
	t.Parallel()
	all := drawn(t, chart.Lines{
		Title: "over time", Steps: true,
		Lines: []chart.Line{{Points: []chart.Point{{X: 0, Y: 1}, {X: 1, Y: 2}}}},
	})
	for _, e := range all {
		if e.name == "path" {
			if d := e.attrs["d"]; !strings.Contains(d, "H") || !strings.Contains(d, "V") || strings.Contains(d, "L") {
				t.Errorf("path %q is not of steps", d)
			}
			return
		}
	}
	t.Error("no path")
}

// What is beside the plot must not be in it, or out of the picture.
func TestFiguresStandBelowEachOther(t *testing.T) {
	t.Parallel()
	one := chart.Bars{Title: "first", Groups: []string{"g"}, Series: []chart.Series{{Name: "s", Values: []float64{0}}}}
	two := chart.Lines{Title: "second", Lines: []chart.Line{{Points: []chart.Point{{X: 5, Y: 5}}}}}
	all := drawn(t, one, two)
	height := all[0].number(t, "height")
	var first, second float64
	for _, e := range all {
		if e.name != "text" {
			continue
		}
		if y := e.number(t, "y"); y < 0 || y > height {
			t.Errorf("%q at %v in a picture %v high", e.text, y, height)
		}
		switch e.text {
		case "first":
			first = e.number(t, "y")
		case "second":
			second = e.number(t, "y")
		}
	}
	if second < first+200 {
		t.Errorf("titles at %v and %v", first, second)
	}
}

// However narrow the values lie, an axis says where they are, and no two of its labels are the same.
func TestAxesAreLabelled(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		figure chart.Figure
		labels []string
	}{
		"nothing but zeros":      {chart.Bars{Groups: []string{"g"}, Series: []chart.Series{{Name: "s", Values: []float64{0}}}}, []string{"0", "0.2", "0.4", "0.6", "0.8", "1"}},
		"between two log labels": {chart.Lines{Y: chart.Axis{Log: true}, Lines: []chart.Line{{Points: []chart.Point{{X: 0, Y: 2.1}, {X: 1, Y: 4.9}}}}}, []string{"2", "5"}},
		"around one log label":   {chart.Lines{Y: chart.Axis{Log: true}, Lines: []chart.Line{{Points: []chart.Point{{X: 0, Y: 90}, {X: 1, Y: 110}}}}}, []string{"50", "100", "200"}},
	} {
		var labels []string
		for _, e := range drawn(t, c.figure) {
			if e.name == "text" && e.attrs["text-anchor"] == "end" {
				labels = append(labels, e.text)
			}
		}
		if diff := cmp.Diff(c.labels, labels); diff != "" {
			t.Errorf("%s: labels -want +got:\n%s", name, diff)
		}
	}
}

func TestTheSameInputGivesTheSameBytes(t *testing.T) {
	t.Parallel()
	figure := chart.Lines{
		X: chart.Axis{Log: true}, Y: chart.Axis{Log: true},
		Lines: []chart.Line{{Name: "a", Points: []chart.Point{{X: 64, Y: 0.31}, {X: 8 << 20, Y: 97}}}},
	}
	var one, two bytes.Buffer
	if err := errors.Join(chart.Write(&one, figure), chart.Write(&two, figure)); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(one.Bytes(), two.Bytes()) {
		t.Error("two documents")
	}
}

func TestWhatCannotBeDrawnIsAnError(t *testing.T) {
	t.Parallel()
	for name, figures := range map[string][]chart.Figure{
		"nothing":         nil,
		"no series":       {chart.Bars{Groups: []string{"a"}}},
		"a value missing": {chart.Bars{Groups: []string{"a", "b"}, Series: []chart.Series{{Values: []float64{1}}}}},
		"half a whisker":  {chart.Bars{Groups: []string{"a"}, Series: []chart.Series{{Values: []float64{1}, Low: []float64{1}}}}},
		"below zero":      {chart.Bars{Groups: []string{"a"}, Series: []chart.Series{{Values: []float64{-1}}}}},
		"endless mark":    {chart.Bars{Groups: []string{"a"}, Series: []chart.Series{{Values: []float64{1}}}, Marks: []chart.Tick{{At: math.Inf(1)}}}},
		"no mark":         {chart.Bars{Groups: []string{"a"}, Series: []chart.Series{{Values: []float64{1}}}, Marks: []chart.Tick{{At: math.NaN()}}}},
		"endless whisker": {chart.Bars{Groups: []string{"a"}, Series: []chart.Series{{Values: []float64{1}, Low: []float64{0}, High: []float64{math.Inf(1)}}}}},
		"no points":       {chart.Lines{Lines: []chart.Line{{Name: "a"}}}},
		"log of zero":     {chart.Lines{X: chart.Axis{Log: true}, Lines: []chart.Line{{Points: []chart.Point{{X: 0, Y: 1}}}}}},
		"not a number":    {chart.Lines{Lines: []chart.Line{{Points: []chart.Point{{X: 0, Y: math.NaN()}}}}}},
	} {
		if err := chart.Write(io.Discard, figures...); err == nil || !strings.HasPrefix(err.Error(), "chart: ") {
			t.Errorf("%s: error %v", name, err)
		}
	}
	good := chart.Lines{Lines: []chart.Line{{Points: []chart.Point{{X: 0, Y: 1}}}}}
	if err := chart.Write(closedFile(t), good); !errors.Is(err, os.ErrClosed) {
		t.Errorf("a file that cannot be written: %v", err)
	}
}

func closedFile(t *testing.T) *os.File {
	t.Helper()
	f, err := os.CreateTemp(t.TempDir(), "")
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	return f
}

func TestNumber(t *testing.T) {
	t.Parallel()
	for v, want := range map[float64]string{
		0: "0", 1: "1", 0.5: "0.5", 0.8321: "0.832", 12.345: "12.3", 100: "100", 999.4: "999", 1000: "1,000", 1234567: "1,234,567",
		0.00123: "0.00123", -2.5: "-2.5", 20: "20", math.Inf(1): "infinite", math.Inf(-1): "-infinite",
	} {
		if got := chart.Number(v); got != want {
			t.Errorf("Number(%v) = %q, want %q", v, got, want)
		}
	}
}

func TestTerminalFits(t *testing.T) {
	t.Parallel()
	rows := []chart.Row{{Name: "a", Value: 1}, {Name: "long name", Value: 12345}, {Name: "c", Value: 0}}
	for _, width := range []int{30, 80, 200} {
		lines := strings.Split(strings.TrimSuffix(chart.Terminal(rows, width), "\n"), "\n")
		if len(lines) != len(rows) {
			t.Fatalf("%d lines", len(lines))
		}
		for _, line := range lines {
			if n := utf8.RuneCountInString(line); n > width {
				t.Errorf("width %d: %d characters: %s", width, n, line)
			}
		}
		if !strings.Contains(lines[0], "▏") {
			t.Errorf("a small value has no bar: %s", lines[0])
		}
	}
}

func TestSparkline(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		values []float64
		width  int
		want   string
	}{
		{nil, 10, ""},
		{[]float64{1}, 0, ""},
		{[]float64{0, 0}, 10, "▁▁"},
		{[]float64{0, 4, 8}, 10, "▁▅█"},
		{[]float64{0, 0, 8, 8}, 2, "▁█"},
	} {
		if got := chart.Sparkline(c.values, c.width); got != c.want {
			t.Errorf("Sparkline(%v, %d) = %q, want %q", c.values, c.width, got, c.want)
		}
	}
}
