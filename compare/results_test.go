package compare_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"slices"
	"time"
)

// results are what is known of each group: what its last run found.
type results struct {
	Groups []groupResult `json:"groups"`
}

// A groupResult is what one run of a group found.
type groupResult struct {
	Group   string    `json:"group"`
	Started time.Time `json:"started"`
	Machine machine   `json:"machine"`
	Rounds  int       `json:"rounds"`
	// Seconds is how long a round of one contender was.
	Seconds float64  `json:"round_seconds"`
	Series  []series `json:"series"`
	// Figures are what has no rounds, by name.
	Figures map[string]float64 `json:"figures,omitempty"`
}

// A series is what one contender did in all rounds of a contest. Values have a place for each round.
type series struct {
	Work      string `json:"work"`
	Callers   int    `json:"callers"`
	Contender string `json:"contender"`

	PerSecond   []float64 `json:"per_second"`
	CPU         []float64 `json:"cpu_us"`        // of client and server, for each operation, in microseconds
	BrokerCPU   []float64 `json:"broker_cpu_us"` // all 0: there is no broker
	P50         []float64 `json:"p50_us"`        // 0: not measured
	P99         []float64 `json:"p99_us"`
	Allocations []float64 `json:"allocations"` // 0: not measured
}

// A sample is what one contender did in one round.
type sample struct{ PerSecond, CPU, BrokerCPU, P50, P99, Allocations float64 }

func (s *series) add(x sample) {
	s.PerSecond = append(s.PerSecond, significant(x.PerSecond))
	s.CPU = append(s.CPU, significant(x.CPU))
	s.BrokerCPU = append(s.BrokerCPU, significant(x.BrokerCPU))
	s.P50 = append(s.P50, significant(x.P50))
	s.P99 = append(s.P99, significant(x.P99))
	s.Allocations = append(s.Allocations, significant(x.Allocations))
}

// significant is v with the five digits that may mean something.
func significant(v float64) float64 {
	if v == 0 || math.IsInf(v, 0) || math.IsNaN(v) {
		return 0
	}
	scale := math.Pow(10, 4-math.Floor(math.Log10(math.Abs(v))))
	return math.Round(v*scale) / scale
}

// load reads what former runs found; no file is no results.
func load(path string) (results, error) {
	var r results
	b, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return r, nil
	}
	if err == nil {
		err = json.Unmarshal(b, &r)
	}
	return r, err
}

// save writes the results, a series to a line.
func (r *results) save(path string) error {
	b, err := json.Marshal(r)
	if err != nil {
		return err
	}
	for _, begin := range []string{`{"group":`, `{"work":`} {
		b = bytes.ReplaceAll(b, []byte(begin), []byte("\n"+begin))
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o750); err != nil {
		return err
	}
	return os.WriteFile(path, append(b, '\n'), 0o644)
}

// put takes in what a run of a group found, in place of what a former run did.
func (r *results) put(g groupResult) {
	r.Groups = slices.DeleteFunc(r.Groups, func(old groupResult) bool { return old.Group == g.Group })
	r.Groups = append(r.Groups, g)
	slices.SortFunc(r.Groups, func(a, b groupResult) int { return order(a.Group) - order(b.Group) })
}

// order is the place of a group in documents.
func order(name string) int {
	return slices.IndexFunc(groups(), func(g group) bool { return g.name == name })
}

func (r *results) group(name string) (groupResult, bool) {
	i := slices.IndexFunc(r.Groups, func(g groupResult) bool { return g.Group == name })
	if i < 0 {
		return groupResult{}, false
	}
	return r.Groups[i], true
}

// find returns a contender's series.
func (g groupResult) find(work string, callers int, contender string) (series, bool) {
	i := slices.IndexFunc(g.Series, func(s series) bool {
		return s.Work == work && s.Callers == callers && s.Contender == contender
	})
	if i < 0 {
		return series{}, false
	}
	return g.Series[i], true
}
