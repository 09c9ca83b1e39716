package main

import (
	"errors"
	"fmt"
	"io"
	"strings"
)

// lastRPCSection is the last of the sections that describe RPC itself, the ones that --min is about.
const lastRPCSection = 13

// verify finds citations that prove nothing.
func verify(catalogue []section, citations []citation) error {
	rows := map[string]row{}
	for _, s := range catalogue {
		for _, r := range s.rows {
			rows[r.id] = r
		}
	}
	var problems []error
	for _, c := range citations {
		r, known := rows[c.id]
		switch {
		case !known:
			problems = append(problems, fmt.Errorf("%s:%d: docs/conformance.md has no row %q", c.pos.Filename, c.pos.Line, c.id))
		case r.kind() == kindNever:
			problems = append(problems, fmt.Errorf("%s:%d: the row %s is marked %q; either is wrong", c.pos.Filename, c.pos.Line, c.id, r.applies))
		case c.problem != "":
			problems = append(problems, fmt.Errorf("%s:%d: %s: %s", c.pos.Filename, c.pos.Line, c.id, c.problem))
		}
	}
	return errors.Join(problems...)
}

// A report is what the citations cover of the catalogue.
type report struct {
	catalogue []section
	covered   map[string]bool
}

func newReport(catalogue []section, citations []citation) report {
	covered := map[string]bool{}
	for _, c := range citations {
		covered[c.id] = true
	}
	return report{catalogue: catalogue, covered: covered}
}

// count returns how many of the section's rows that count are covered, and the others.
func (r report) count(s section) (covered int, open []row) {
	for _, row := range s.rows {
		switch {
		case !row.counts():
		case r.covered[row.id]:
			covered++
		default:
			open = append(open, row)
		}
	}
	return covered, open
}

// write prints the table and fails when the RPC sections stay below the least percentage.
func (r report) write(w io.Writer, least float64, verbose bool) error {
	var text strings.Builder
	fmt.Fprintf(&text, "%-62s %7s   %5s\n", "section", "covered", "total")
	rpcCovered, rpcTotal := 0, 0
	var open []row
	for _, s := range r.catalogue {
		covered, missing := r.count(s)
		total := covered + len(missing)
		if s.number <= lastRPCSection {
			rpcCovered += covered
			rpcTotal += total
		}
		open = append(open, missing...)
		fmt.Fprintf(&text, "%2d. %-58s %7d / %5d   %s\n", s.number, s.title, covered, total, percent(covered, total))
	}
	fmt.Fprintf(&text, "    %-58s %7d / %5d   %s\n", "sections 1 to 13", rpcCovered, rpcTotal, percent(rpcCovered, rpcTotal))
	if verbose && len(open) > 0 {
		text.WriteString("\nnot covered:\n")
		for _, row := range open {
			fmt.Fprintf(&text, "  %-15s %-5s %s (%s)\n", row.id, row.tag, row.behaviour, row.applies)
		}
	}
	if _, err := io.WriteString(w, text.String()); err != nil {
		return err
	}
	if float64(rpcCovered)*100 < least*float64(rpcTotal) {
		return fmt.Errorf("sections 1 to 13: %d of %d rows are covered, fewer than %g %%; -v lists the others", rpcCovered, rpcTotal, least)
	}
	return nil
}

func percent(part, whole int) string {
	if whole == 0 {
		return "  -"
	}
	return fmt.Sprintf("%3d %%", part*100/whole)
}
