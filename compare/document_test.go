package compare_test

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/goslo/goslo/internal/chart"
)

const (
	chartFolder = "../docs/benchmarks"
	resultsFile = chartFolder + "/results.json"
)

// documents have generated parts, by name; each between <!-- compare:NAME --> and <!-- /compare:NAME -->.
func documents() map[string][]string {
	all := []string{"goals", "machine"}
	for _, g := range groups() {
		all = append(all, g.name)
	}
	return map[string][]string{"../docs/benchmarks.md": all, "../README.md": {"readme"}}
}

// part is the text of one of them.
func part(name string, r results) string {
	switch name {
	case "goals":
		return goalsTable(r)
	case "machine":
		return machineList(r)
	case "readme":
		return readme(r)
	}
	i := order(name)
	return groupPart(groups()[i], r)
}

// writeDocuments writes the generated parts and the charts.
func writeDocuments(r results) error {
	for path := range documents() {
		text, err := rendered(path, r)
		if err != nil {
			return err
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			return err
		}
	}
	for _, g := range r.Groups {
		b, err := charts(g)
		if err != nil {
			return err
		}
		if b != nil {
			if err := os.WriteFile(filepath.Join(chartFolder, g.Group+".svg"), b, 0o644); err != nil {
				return err
			}
		}
	}
	return nil
}

// rendered is a document with its generated parts as the results make them.
func rendered(path string, r results) (string, error) {
	b, err := os.ReadFile(path)
	text := string(b)
	if err != nil {
		return "", err
	}
	for _, name := range documents()[path] {
		begin, end := "<!-- compare:"+name+" -->\n", "<!-- /compare:"+name+" -->\n"
		before, rest, ok := strings.Cut(text, begin)
		_, after, closed := strings.Cut(rest, end)
		if !ok || !closed {
			return "", fmt.Errorf("%s has no part between %q and %q", path, strings.TrimSpace(begin), strings.TrimSpace(end))
		}
		text = before + begin + "\n" + strings.Trim(part(name, r), "\n") + "\n\n" + end + after
	}
	return text, nil
}

// groupPart has when and how a group ran, its chart, and its tables.
func groupPart(g group, r results) string {
	found, ok := r.group(g.name)
	if !ok {
		return fmt.Sprintf("Not measured yet: `make compare GROUPS=%s`.", g.name)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "    make compare GROUPS=%s\n\n%s", g.name, found.Started.Format("2006-01-02 15:04 UTC"))
	if len(found.Series) > 0 {
		fmt.Fprintf(&b, "; medians of %d rounds of %.1f s for each contender, intervals of %.1f %% confidence", found.Rounds, found.Seconds, 100*confidence(found.Rounds, cut(found.Rounds)))
	}
	fmt.Fprintf(&b, "; load averages before the run %s.\n\n", found.Machine.Load)
	if f := found.Figures; f != nil {
		fmt.Fprintf(&b, "%.0f servers of one topic on one bus take %.1f KiB and %.1f goroutines each, and %.0f connections together.\n", f["servers"], f["bytes"]/1024, f["goroutines"], f["connections"])
	}
	if len(found.Series) > 0 {
		fmt.Fprintf(&b, "![%s](benchmarks/%s.svg)\n", g.title, g.name)
	}
	for _, work := range found.works() {
		fmt.Fprintf(&b, "\n### %s\n\n%s", capital(work), workTable(found.of(work)))
	}
	return b.String()
}

func capital(s string) string { return strings.ToUpper(s[:1]) + s[1:] }

// works are the contests of a group.
func (g groupResult) works() []string {
	var out []string
	for _, s := range g.Series {
		if !slices.Contains(out, s.Work) {
			out = append(out, s.Work)
		}
	}
	return out
}

// of are the series of a contest.
func (g groupResult) of(work string) []series {
	var out []series
	for _, s := range g.Series {
		if s.Work == work {
			out = append(out, s)
		}
	}
	return out
}

// A column is one of a contest's table. It is left out where nobody has a value.
type column struct {
	title  string
	values func(series) []float64
}

func columns() []column {
	return []column{
		{"p50, us", func(s series) []float64 { return s.P50 }},
		{"p99, us", func(s series) []float64 { return s.P99 }},
		{"CPU, us", func(s series) []float64 { return s.CPU }},
		{"broker's CPU, us", func(s series) []float64 { return s.BrokerCPU }},
		{"allocations", func(s series) []float64 { return s.Allocations }},
	}
}

// workTable is the table of a contest: a row for each number of callers and contender.
func workTable(all []series) string {
	shown := slices.DeleteFunc(columns(), func(c column) bool {
		return !slices.ContainsFunc(all, func(s series) bool { return median(c.values(s)) > 0 })
	})
	var b strings.Builder
	b.WriteString("| at a time | who | per second | Goslo / this | interval |")
	for _, c := range shown {
		fmt.Fprintf(&b, " %s |", c.title)
	}
	b.WriteString("\n|---|---|---|---|---|" + strings.Repeat("---|", len(shown)) + "\n")
	var goslo series
	for _, s := range all {
		ratio, interval, at, who := "", "", "", display(s.Contender)
		if s.Contender == "goslo" {
			goslo, at, who = s, fmt.Sprint(s.Callers), "**"+who+"**"
		} else {
			e := estimated(ratios(goslo.PerSecond, s.PerSecond))
			ratio, interval = plain(e.Median), plain(e.Low)+" to "+plain(e.High)
		}
		fmt.Fprintf(&b, "| %s | %s | %s | %s | %s |", at, who, thousands(median(s.PerSecond)), ratio, interval)
		for _, c := range shown {
			v := ""
			if m := median(c.values(s)); m > 0 {
				v = thousands(m)
			}
			fmt.Fprintf(&b, " %s |", v)
		}
		b.WriteString("\n")
	}
	return b.String()
}

// display is a contender's name in documents.
func display(contender string) string {
	switch contender {
	case "goslo":
		return "Goslo"
	case "python":
		return "Python"
	case "grpc":
		return "gRPC"
	}
	return contender
}

// thousands writes v without decimals, or with one when it is small.
func thousands(v float64) string {
	if math.IsNaN(v) {
		return ""
	}
	if v < 10 {
		return fmt.Sprintf("%.1f", v)
	}
	digits := fmt.Sprintf("%.0f", v)
	for i := len(digits) - 3; i > 0; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	return digits
}

// machineList has what the groups ran on and with: one line for each that differs.
func machineList(r results) string {
	var lines []string
	names := map[string][]string{} // groups, by what they ran on
	note := func(line, group string) {
		if !slices.Contains(lines, line) {
			lines = append(lines, line)
		}
		names[line] = append(names[line], group)
	}
	for _, g := range r.Groups {
		note(fmt.Sprintf("%d processors, %s, %s", g.Machine.Cores, g.Machine.CPU, g.Machine.Kernel), g.Group)
	}
	for _, g := range r.Groups {
		for _, v := range g.Machine.Versions {
			note(v.Name+" "+v.Version, g.Group)
		}
	}
	var b strings.Builder
	for _, line := range lines {
		where := ""
		if len(names[line]) < len(r.Groups) {
			where = " (" + strings.Join(names[line], ", ") + ")"
		}
		fmt.Fprintf(&b, "* %s%s\n", line, where)
	}
	return b.String()
}

// readme is what README.md says of it.
func readme(r results) string {
	g, ok := r.group("rabbit")
	if !ok {
		return "Not measured yet: `make compare`."
	}
	var b strings.Builder
	fmt.Fprintf(&b, "Medians of %d alternating rounds on one RabbitMQ %s (%s), with client, server and broker on the same %d cores, a 200-byte\nargument and a request context of ten keys (`make compare`):\n\n",
		g.Rounds, g.Machine.version("RabbitMQ"), g.Started.Format(time.DateOnly), g.Machine.Cores)
	fmt.Fprintf(&b, "| callers | Goslo | Python oslo.messaging %s | bare amqp091-go, no guarantee | bare, a call's guarantees |\n|---|---|---|---|---|\n", g.Machine.version("oslo.messaging"))
	for _, n := range numbers(g.of("call")) {
		goslo, _ := g.find("call", n, "goslo")
		cell := func(contender, format string) string {
			s, _ := g.find("call", n, contender)
			return fmt.Sprintf(format, thousands(median(s.PerSecond)), rateOf("rabbit", "call", n, contender)(r).Median)
		}
		fmt.Fprintf(&b, "| %d | %s calls/s | %s | %s | %s |\n", n, thousands(median(goslo.PerSecond)), cell("python", "%s (Goslo %.1fx)"), cell("bare", "%s (%.2fx)"), cell("bare-same", "%s (%.2fx)"))
	}
	b.WriteString("\nThe same call by 64 callers, beside others:\n\n| bus | Goslo | beside | |\n|---|---|---|---|\n")
	for _, x := range []struct{ bus, group, work, other, name string }{
		{"NATS", "nats", "call", "micro", "nats.go's micro services"},
		{"NATS", "nats", "call", "bare", "bare nats.go"},
		{"ZeroMQ", "zmq", "call over TCP", "grpc", "gRPC-go"},
		{"ZeroMQ", "zmq", "call over TCP", "bare", "bare pebbe/zmq4"},
		{"AMQP 1.0, RabbitMQ", "amqp1", "call on RabbitMQ", "bare", "bare go-amqp"},
		{"in memory", "memory", "call", "grpc", "gRPC-go"},
	} {
		g, _ := r.group(x.group)
		goslo, ok := g.find(x.work, 64, "goslo")
		other, _ := g.find(x.work, 64, x.other)
		if ok {
			fmt.Fprintf(&b, "| %s | %s calls/s | %s %s | %.2fx |\n", x.bus, thousands(median(goslo.PerSecond)), x.name, thousands(median(other.PerSecond)), rateOf(x.group, x.work, 64, x.other)(r).Median)
		}
	}
	return b.String()
}

// charts are the rates and the CPU times of a group, as one SVG; nil where there are none.
func charts(g groupResult) ([]byte, error) {
	if len(g.Series) == 0 {
		return nil, nil
	}
	var figures []chart.Figure
	works := g.works()
	if slices.ContainsFunc(works, func(w string) bool { return len(numbers(g.of(w))) > 1 }) {
		for _, w := range works {
			all := g.of(w)
			var columns []string
			for _, n := range numbers(all) {
				columns = append(columns, fmt.Sprintf("%d at a time", n))
			}
			figures = append(figures, bars(capital(w), columns, all)...)
		}
	} else {
		figures = bars(capital(g.Group), works, g.Series)
	}
	var b bytes.Buffer
	if err := chart.Write(&b, figures...); err != nil {
		return nil, fmt.Errorf("%s: %w", g.Group, err)
	}
	return b.Bytes(), nil
}

// numbers are those of callers.
func numbers(all []series) []int {
	var out []int
	for _, s := range all {
		if !slices.Contains(out, s.Callers) {
			out = append(out, s.Callers)
		}
	}
	return out
}

// bars draws series, whose order is that of the columns for each contender.
func bars(title string, columns []string, all []series) []chart.Figure {
	rates := chart.Bars{Title: title + ": rate", Unit: "per second", Groups: columns}
	cpu := chart.Bars{Title: title + ": CPU of client and server", Unit: "us each", Groups: columns}
	draw := func(b *chart.Bars, s series, values []float64) {
		name := display(s.Contender)
		i := slices.IndexFunc(b.Series, func(x chart.Series) bool { return x.Name == name })
		if i < 0 {
			i = len(b.Series)
			b.Series = append(b.Series, chart.Series{Name: name})
		}
		e, x := estimated(values), &b.Series[i]
		x.Values, x.Low, x.High = append(x.Values, e.Median), append(x.Low, e.Low), append(x.High, e.High)
	}
	for _, s := range all {
		draw(&rates, s, s.PerSecond)
		if s.Contender != "python" { // beside which nothing else can be seen
			draw(&cpu, s, s.CPU)
		}
	}
	return []chart.Figure{rates, cpu}
}

// checkParts fails t when what is generated of some results cannot be read.
func checkParts(t *testing.T, r results) {
	t.Helper()
	for _, g := range r.Groups {
		for _, s := range g.Series {
			if len(s.PerSecond) != g.Rounds || median(s.PerSecond) <= 0 {
				t.Errorf("%s, %s, %d at a time, %s: rates %v in %d rounds", g.Group, s.Work, s.Callers, s.Contender, s.PerSecond, g.Rounds)
			}
		}
		for _, v := range g.Machine.Versions {
			if v.Version == "" {
				t.Errorf("%s: the version of %s is not known", g.Group, v.Name)
			}
		}
		b := must(charts(g))(t)
		if b == nil {
			continue
		}
		for d := xml.NewDecoder(bytes.NewReader(b)); ; {
			if _, err := d.Token(); errors.Is(err, io.EOF) {
				break
			} else if err != nil {
				t.Fatalf("the chart of %s: %v", g.Group, err)
			}
		}
	}
	for path, names := range documents() {
		must(rendered(path, r))(t)
		for _, name := range names {
			checkTables(t, name, part(name, r))
		}
	}
}

// checkTables fails t where rows of a table have not as many cells as its head.
func checkTables(t *testing.T, name, text string) {
	t.Helper()
	cells := 0
	for line := range strings.Lines(text) {
		n := strings.Count(line, "|")
		if n == 0 {
			cells = 0
			continue
		}
		if cells == 0 {
			cells = n
		}
		if n != cells {
			t.Errorf("part %s: a row has not %d cells: %s", name, cells-1, line)
		}
	}
}

// What is generated is what the results make of it: by no hand, and with none of a run's results forgotten.
func TestDocument(t *testing.T) {
	t.Parallel()
	known := must(load(resultsFile))(t)
	if *writeFlag {
		if err := writeDocuments(known); err != nil {
			t.Fatal(err)
		}
	}
	const remedy = "change what is generated in package compare, and write it anew: go test ./compare -run TestDocument -compare.write"
	for path := range documents() {
		want := must(rendered(path, known))(t)
		if diff := cmp.Diff(want, string(must(os.ReadFile(path))(t))); diff != "" {
			t.Errorf("%s differs from what %s makes of it, -want +got; %s:\n%s", path, resultsFile, remedy, diff)
		}
	}
	for _, g := range known.Groups {
		want := must(charts(g))(t)
		if want == nil {
			continue
		}
		path := filepath.Join(chartFolder, g.Group+".svg")
		if got := must(os.ReadFile(path))(t); !bytes.Equal(got, want) {
			t.Errorf("%s differs from what %s makes of it; %s", path, resultsFile, remedy)
		}
	}
}
