package doctor_test

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/goslo/goslo/internal/doctor"
)

// TestEveryCheckHasAnEntry keeps docs/operating.md in step: each id has its section there, which says what to do, and none is left of a
// check that has gone.
func TestEveryCheckHasAnEntry(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../../docs/operating.md")
	if err != nil {
		t.Fatal(err)
	}
	entries := make(map[string]string)
	for _, section := range regexp.MustCompile(`(?m)^##`).Split(string(page), -1) {
		title, text, _ := strings.Cut(section, "\n")
		entries[strings.TrimSpace(strings.TrimLeft(title, "# "))] = text
	}
	ids := make(map[string]bool)
	for _, c := range doctor.Checks() {
		ids[c.ID] = true
		if text := entries[c.ID+" "+c.Name]; !strings.Contains(text, "*Do:*") {
			t.Errorf("docs/operating.md has no section %q with a paragraph *Do:*", "### "+c.ID+" "+c.Name)
		}
	}
	for title := range entries {
		if id, _, _ := strings.Cut(title, " "); regexp.MustCompile(`^B\d\d$`).MatchString(id) && !ids[id] {
			t.Errorf("docs/operating.md explains %s, and there is no such check", title)
		}
	}
}
