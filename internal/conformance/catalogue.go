package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
)

// A section is one numbered heading of the document with its rows, in the document's order.
type section struct {
	number int
	title  string
	rows   []row
}

// A row is one observable behaviour.
type row struct {
	id        string
	tag       string // scope, a middle dot, evidence
	behaviour string
	applies   string // the kind, then for some kinds a colon and the reason
}

// The kinds of row, the first word of its last column.
const (
	kindRPC     = "rpc"     // must hold
	kindDiffers = "differs" // upstream's behaviour, replaced on purpose; a test proves ours
	kindNever   = "n/a"     // cannot hold in Go
)

// reasonWanted tells whether rows of a kind must give a reason, and whether there is such a kind.
func reasonWanted(kind string) (wanted, known bool) {
	switch kind {
	case kindRPC, "notify":
		return false, true
	case kindDiffers, kindNever, "later":
		return true, true
	}
	return false, false
}

func (r row) kind() string {
	kind, _, _ := strings.Cut(r.applies, ":")
	return kind
}

// counts tells whether the row is part of the total: a peer or a program sees it, and it applies.
func (r row) counts() bool {
	seen := strings.HasPrefix(r.tag, "W") || strings.HasPrefix(r.tag, "A")
	return seen && (r.kind() == kindRPC || r.kind() == kindDiffers)
}

var (
	headingPattern = regexp.MustCompile(`^## (\d+)\. (.+)$`)
	idPattern      = regexp.MustCompile(`^[A-Z]+[0-9]*(-[A-Z]+)*-[0-9]+$`)
	tagPattern     = regexp.MustCompile(`^[WAL]·[TCDV]+$`)
)

// readCatalogue reads docs/conformance.md below root.
func readCatalogue(root string) ([]section, error) {
	path := filepath.Join(root, "docs", "conformance.md")
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	sections, err := parseCatalogue(string(text))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return sections, nil
}

func parseCatalogue(text string) ([]section, error) {
	var sections []section
	seen := map[string]bool{}
	for i, line := range strings.Split(text, "\n") {
		if m := headingPattern.FindStringSubmatch(line); m != nil {
			number, err := strconv.Atoi(m[1])
			if err != nil {
				return nil, fmt.Errorf("line %d: %w", i+1, err)
			}
			sections = append(sections, section{number: number, title: m[2]})
			continue
		}
		if len(sections) == 0 || !strings.HasPrefix(line, "| ") || strings.HasPrefix(line, "| ID |") {
			continue
		}
		r, err := parseRow(line)
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", i+1, err)
		}
		if seen[r.id] {
			return nil, fmt.Errorf("line %d: %s is there twice", i+1, r.id)
		}
		seen[r.id] = true
		last := &sections[len(sections)-1]
		last.rows = append(last.rows, r)
	}
	if len(seen) == 0 {
		return nil, errors.New("no rows found")
	}
	return sections, nil
}

func parseRow(line string) (row, error) {
	cells := strings.Split(strings.Trim(line, "|"), "|")
	if len(cells) != 4 {
		return row{}, fmt.Errorf("a row has 4 cells, this one %d", len(cells))
	}
	for i := range cells {
		cells[i] = strings.TrimSpace(cells[i])
	}
	r := row{id: cells[0], tag: cells[1], behaviour: cells[2], applies: cells[3]}
	if !idPattern.MatchString(r.id) {
		return row{}, fmt.Errorf("%q is no ID", r.id)
	}
	if !tagPattern.MatchString(r.tag) {
		return row{}, fmt.Errorf("%s: %q is no tag", r.id, r.tag)
	}
	wanted, known := reasonWanted(r.kind())
	if !known {
		return row{}, fmt.Errorf("%s: unknown kind %q", r.id, r.kind())
	}
	if _, reason, _ := strings.Cut(r.applies, ":"); wanted != (strings.TrimSpace(reason) != "") {
		return row{}, fmt.Errorf("%s: %q gives a reason where it should not, or none where it should", r.id, r.applies)
	}
	return r, nil
}
