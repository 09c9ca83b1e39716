package middleware_test

import (
	"maps"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/goslo/goslo/rest/middleware"
)

// rows are the cells of the table under a heading of docs/paste.md.
func rows(t *testing.T, heading string) [][]string {
	t.Helper()
	text, err := os.ReadFile("../../docs/paste.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, found := strings.Cut(string(text), "\n## "+heading+"\n")
	if !found {
		t.Fatalf("docs/paste.md has no %q", heading)
	}
	section, _, _ = strings.Cut(section, "\n## ")
	var all [][]string
	for line := range strings.Lines(section) {
		cells := strings.Split(strings.Trim(line, "|\n"), "|")
		if strings.HasPrefix(line, "| ") && len(cells) > 1 {
			for i := range cells {
				cells[i] = strings.TrimSpace(cells[i])
			}
			all = append(all, cells)
		}
	}
	return all[1:]
}

var code = regexp.MustCompile("`([^`]+)`")

// The operators' page names the factories that there are, and no others.
func TestDocsNameEveryFactory(t *testing.T) {
	t.Parallel()
	f := middleware.Factories(middleware.Config{})
	for heading, have := range map[string][]string{
		"Filters":      slices.Collect(maps.Keys(f.Filters)),
		"Applications": slices.Collect(maps.Keys(f.Apps)),
		"Composites":   slices.Collect(maps.Keys(f.Composites)),
	} {
		var told []string
		for _, row := range rows(t, heading) {
			for _, m := range code.FindAllStringSubmatch(row[1], -1) {
				told = append(told, m[1])
			}
		}
		if diff := cmp.Diff(slices.Sorted(slices.Values(have)), slices.Sorted(slices.Values(told))); diff != "" {
			t.Errorf("%s: the code (-) and docs/paste.md (+) disagree:\n%s", heading, diff)
		}
	}
}

// It tells the options and their defaults.
func TestDocsTellEveryOption(t *testing.T) {
	t.Parallel()
	have := map[string]string{}
	var walk func(group string, of reflect.Type)
	walk = func(group string, of reflect.Type) {
		for field := range of.Fields() {
			name, _, _ := strings.Cut(field.Tag.Get("config"), ",")
			switch {
			case field.Type.Kind() != reflect.Struct:
				have["["+group+"] "+name] = field.Tag.Get("default")
			case name != "":
				walk(name, field.Type)
			default:
				walk(group, field.Type)
			}
		}
	}
	walk("", reflect.TypeFor[middleware.Options]())
	told := map[string]string{}
	for _, row := range rows(t, "Settings") {
		told[strings.Trim(row[0], "`")] = row[1]
	}
	if diff := cmp.Diff(have, told); diff != "" {
		t.Errorf("the code (-) and docs/paste.md (+) disagree:\n%s", diff)
	}
}
