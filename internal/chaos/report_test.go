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
	Rows   []row         `json:"rows"`
	Failed []string      `json:"goals_failed"`

	titles map[string]string // of the faults
	mu     sync.Mutex        // settings of the short version run side by side
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

func (r *report) miss(where, goal string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.Failed = append(r.Failed, where+": "+goal)
}

// table writes the rows in Markdown, which people can read as it is.
func (r *report) table(w io.Writer) {
	fmt.Fprintln(w, "| fault | from, to | calls: sent / answered / failed | casts: confirmed / delivered / lost / failed | executed twice | fanouts: sent / delivered | recovery, s: call / cast / fanout | last failure, s | errors |")
	fmt.Fprintln(w, "|---|---|---|---|---|---|---|---|---|")
	for _, x := range r.Rows {
		hanging := ""
		if n := x.Calls.Hanging; n > 0 {
			hanging = fmt.Sprintf(" (%d late or never)", n)
		}
		lost := fmt.Sprint(x.Casts.Lost)
		if n := x.Casts.Deleted; n > 0 {
			lost += fmt.Sprintf(" (and %d deleted)", n)
		}
		var errs []string
		for _, e := range x.errors() {
			errs = append(errs, fmt.Sprintf("%d %s", x.Failures[e], e))
		}
		fmt.Fprintf(w, "| %s, %dx | %s | %d / %d / %d%s | %d / %d / %s / %d | %d | %d / %d | %s / %s / %s | %.1f | %s |\n",
			r.titles[x.Fault], x.Rounds, x.Pair,
			x.Calls.Sent, x.Calls.Answered, x.Calls.Failed, hanging,
			x.Casts.Confirmed, x.Casts.Delivered, lost, x.Casts.Failed,
			x.Twice,
			x.Fanouts.Sent, x.Fanouts.Delivered,
			after(x.worst(call)), after(x.worst(cast)), after(x.worst(fanout)), x.LastFailure,
			strings.Join(errs, "; "))
	}
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
