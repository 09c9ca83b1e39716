package chaos_test

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"
)

// A report is what one run found.
type report struct {
	Date   time.Time     `json:"date"`
	Took   time.Duration `json:"took_ns"`
	Go     string        `json:"go"`
	Broker string        `json:"rabbitmq"`
	Python string        `json:"oslo_messaging"`
	// Stalled is for how many seconds the machine did not let the process run, altogether and the longest time.
	Stalled      float64  `json:"stalled_seconds"`
	LongestStall float64  `json:"longest_stall_seconds"`
	Rows         []row    `json:"rows"`
	Failed       []string `json:"goals_failed"`

	titles map[string]string // of the faults
	mu     sync.Mutex        // settings of the short version run side by side
}

// against notes the versions of what was tested against.
func (r *report) against(broker, oslo string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.Broker, r.Python = strings.Trim(broker, `"`), oslo
}

// add takes in a row, and the goals that it misses.
func (r *report) add(x row, missed []string) {
	r.mu.Lock()
	r.Rows = append(r.Rows, x)
	r.mu.Unlock()
	for _, goal := range missed {
		r.miss(r.titles[x.Fault]+": "+x.Pair, goal)
	}
}

func (r *report) stalled(all []stall) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, s := range all {
		d := s.to.Sub(s.from).Seconds()
		r.Stalled += d
		r.LongestStall = max(r.LongestStall, d)
	}
}

func (r *report) miss(where, goal string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.Failed = append(r.Failed, where+": "+goal)
}

// tables writes the rows in Markdown, which people can read as it is: one table for each pair.
func (r *report) tables(w io.Writer) {
	for _, p := range pairs {
		fmt.Fprintf(w, "%s:\n\n", p)
		fmt.Fprintln(w, "| fault | calls: sent / answered / failed | casts: confirmed / delivered / lost / failed | executed twice | fanouts: sent / delivered | recovery, s: call / cast / fanout | last failure, s | errors |")
		fmt.Fprintln(w, "|---|---|---|---|---|---|---|---|")
		for _, x := range r.Rows {
			if x.Pair == p.String() {
				fmt.Fprintf(w, "| %s, %dx %s\n", r.titles[x.Fault], x.Rounds, x.cells())
			}
		}
		fmt.Fprintln(w)
	}
}

// cells are those of the row after the first.
func (r row) cells() string {
	calls := fmt.Sprintf("%d / %d / %d", r.Calls.Sent, r.Calls.Answered, r.Calls.Failed)
	if n := r.Calls.Hanging; n > 0 {
		calls += fmt.Sprintf(" (%d late or never)", n)
	}
	lost := fmt.Sprint(r.Casts.Lost)
	if n := r.Casts.Deleted; n > 0 {
		lost += fmt.Sprintf(" (and %d deleted)", n)
	}
	var errs []string
	for _, e := range r.errors() {
		errs = append(errs, fmt.Sprintf("%d %s", r.Failures[e], e))
	}
	return fmt.Sprintf("| %s | %d / %d / %s / %d | %d | %d / %d | %s / %s / %s | %.1f | %s |",
		calls, r.Casts.Confirmed, r.Casts.Delivered, lost, r.Casts.Failed, r.Twice, r.Fanouts.Sent, r.Fanouts.Delivered,
		after(r.worst(call)), after(r.worst(cast)), after(r.worst(fanout)), r.LastFailure, strings.Join(errs, "; "))
}

func after(seconds float64) string {
	if seconds < 0 {
		return "not seen"
	}
	return fmt.Sprintf("%.2f", seconds)
}

// save writes the report as JSON.
func (r *report) save(path string) error {
	b, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(path, append(b, '\n'), 0o600)
}
