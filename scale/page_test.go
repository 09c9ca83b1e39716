package scale_test

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/goslo/goslo/internal/chart"
)

// A page is what a part writes between its two markers in docs/scale.md, and the charts beside it.
type page struct {
	path   string // "" = it is only logged
	part   string
	text   strings.Builder
	charts []drawing
}

type drawing struct {
	file    string
	figures []chart.Figure
}

// say adds a line.
func (p *page) say(format string, args ...any) { fmt.Fprintf(&p.text, format+"\n", args...) }

// table adds one. Rows have as many cells as the head.
func (p *page) table(head []string, rows [][]string) {
	p.say("")
	p.say("| %s |", strings.Join(head, " | "))
	p.say("|%s", strings.Repeat("---|", len(head)))
	for _, r := range rows {
		p.say("| %s |", strings.Join(r, " | "))
	}
	p.say("")
}

// chart adds one, in a file of that name.
func (p *page) chart(name, caption string, figures ...chart.Figure) {
	p.charts = append(p.charts, drawing{name, figures})
	p.say("![%s](scale/%s)", caption, name)
	p.say("")
}

func (p *page) begin() string { return "<!-- made by `make scale`: " + p.part + " -->" }
func (p *page) end() string   { return "<!-- end: " + p.part + " -->" }

// write puts the part's text where it belongs, under the date and the machine, and logs it.
func (p *page) write(t *testing.T) {
	t.Helper()
	stamp := fmt.Sprintf("%s, %d processors, %s.", time.Now().UTC().Format("2006-01-02 15:04 UTC"), runtime.NumCPU(), runtime.Version())
	text := stamp + "\n" + strings.TrimRight(p.text.String(), "\n")
	t.Logf("%s\n%s", p.part, text)
	for _, d := range p.charts {
		if err := p.draw(d); err != nil {
			t.Errorf("chart %s: %v", d.file, err)
		}
	}
	if p.path == "" {
		return
	}
	old, err := os.ReadFile(p.path)
	if err != nil {
		t.Fatal(err)
	}
	whole, err := between(string(old), p.begin(), p.end(), text)
	if err != nil {
		t.Fatalf("%s: %v", p.path, err)
	}
	if err := os.WriteFile(p.path, []byte(whole), 0o644); err != nil {
		t.Fatal(err)
	}
}

// draw writes a chart beside the page; without a page it only finds out whether it can be drawn.
func (p *page) draw(d drawing) error {
	if p.path == "" {
		return chart.Write(&strings.Builder{}, d.figures...)
	}
	folder := filepath.Join(filepath.Dir(p.path), "scale")
	if err := os.MkdirAll(folder, 0o755); err != nil { //nolint:gosec // as above
		return err
	}
	f, err := os.Create(filepath.Join(folder, d.file))
	if err != nil {
		return err
	}
	if err := chart.Write(f, d.figures...); err != nil {
		_ = f.Close() // the first error says more
		return err
	}
	return f.Close()
}

// between returns page with what stands between two of its lines replaced.
func between(page, begin, end, text string) (string, error) {
	head, rest, ok := strings.Cut(page, begin+"\n")
	if !ok {
		return "", fmt.Errorf("there is no line %q", begin)
	}
	_, tail, ok := strings.Cut(rest, end)
	if !ok {
		return "", fmt.Errorf("there is no line %q after %q", end, begin)
	}
	return head + begin + "\n" + text + "\n" + end + tail, nil
}

func TestPagesKeepWhatStandsAroundTables(t *testing.T) {
	t.Parallel()
	got, err := between("above\n<b>\nold\ntable\n<e>\nbelow\n", "<b>", "<e>", "new")
	if want := "above\n<b>\nnew\n<e>\nbelow\n"; err != nil || got != want {
		t.Errorf("got %q, %v; want %q", got, err, want)
	}
	if _, err := between("above\n<b>\nold\n", "<b>", "<e>", "new"); err == nil {
		t.Error("a page without the second marker was taken")
	}
	if _, err := between("above\n", "<b>", "<e>", "new"); err == nil {
		t.Error("a page without markers was taken")
	}
}

// Units of tables.

func kib(bytes int64) string { return fmt.Sprintf("%.1f KiB", float64(bytes)/1024) }

func mib(bytes int64) string { return fmt.Sprintf("%.0f MiB", float64(bytes)/(1<<20)) }

func seconds(d time.Duration) string { return fmt.Sprintf("%.2f s", d.Seconds()) }

func millis(d time.Duration) string { return fmt.Sprintf("%.1f ms", float64(d.Microseconds())/1000) }

func micros(d time.Duration) string { return fmt.Sprintf("%.0f us", float64(d.Nanoseconds())/1000) }

func count(n int) string { return fmt.Sprint(n) }
