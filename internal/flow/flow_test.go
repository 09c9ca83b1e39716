package flow_test

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/goslo/goslo/internal/flow"
)

var update = flag.Bool("update", false, "write the golden files anew")

// analyze reads packages of a folder below this one.
func analyze(t *testing.T, dir string, patterns ...string) *flow.Flow {
	t.Helper()
	f, err := flow.Analyze(t.Context(), flow.Config{Dir: dir, Patterns: patterns})
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(strings.Split(string(want), "\n"), strings.Split(got, "\n")); diff != "" {
		t.Errorf("%s (-want +got); if that is meant: go test ./internal/flow -update\n%s", path, diff)
	}
}

func printed(t *testing.T, f *flow.Flow) string {
	t.Helper()
	var b strings.Builder
	if err := f.Print(&b); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestTrickyShapes(t *testing.T) {
	t.Parallel()
	f := analyze(t, "testdata/tricky")
	golden(t, "tricky.txt", printed(t, f))
	encoded, err := json.MarshalIndent(f, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "tricky.json", string(encoded)+"\n")
	if diff := cmp.Diff(f, analyze(t, "testdata/tricky")); diff != "" {
		t.Errorf("read again, it is another flow (-first +second):\n%s", diff)
	}
}

func TestRest(t *testing.T) {
	t.Parallel()
	golden(t, "rested.txt", printed(t, analyze(t, "testdata/rested")))
}

func TestProblemsAreToldLikeTheCompiler(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name, dir, pattern string
		want               []string
	}{
		{"does not compile", "testdata", "./broken", []string{
			filepath.Join("broken", "broken.go") + ":7:25: unknown field Subject",
			filepath.Join("broken", "broken.go") + ":9:27: undefined: undefined",
		}},
		{"no such folder", "testdata", "./nosuch", []string{"nosuch"}},
		{"no packages", "testdata", "./nosuch...", []string{"no packages match"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			_, err := flow.Analyze(t.Context(), flow.Config{Dir: test.dir, Patterns: []string{test.pattern}})
			var problem *flow.LoadError
			if !errors.As(err, &problem) {
				t.Fatalf("error = %v", err)
			}
			for _, want := range test.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("error lacks %q:\n%v", want, err)
				}
			}
		})
	}
}

func TestInterrupted(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := flow.Analyze(ctx, flow.Config{Dir: "testdata/tricky"}); !errors.Is(err, context.Canceled) {
		t.Errorf("error = %v", err)
	}
}

// numbers are those of lines, which change whenever an example does.
var numbers = regexp.MustCompile(`(\.go):\d+`)

func TestExamples(t *testing.T) {
	t.Parallel()
	f := analyze(t, "../..", "./examples/...")
	golden(t, "examples.txt", squeeze(numbers.ReplaceAllString(printed(t, f), "$1")))
	for _, root := range f.Roots {
		checkPlaces(t, "../..", root)
	}
}

// checkPlaces looks at each place in the source, whether it is the line that it claims to be.
func checkPlaces(t *testing.T, dir string, s *flow.Step) {
	t.Helper()
	last := s.Name[strings.LastIndex(s.Name, ".")+1:]
	switch {
	case strings.HasPrefix(s.Name, "func in "):
		last = "func("
	case s.Kind == flow.Route && strings.Contains(lineAt(t, dir, s.At), "rest."):
		last = "rest." // whose paths are put together
	case s.Kind == flow.Route:
		_, last, _ = strings.Cut(s.Name, " ")
	case s.Kind == flow.Task:
		last = "service.Every"
	}
	if line := lineAt(t, dir, s.At); s.Name != flow.AtRunTime && !strings.Contains(line, last) {
		t.Errorf("%s %s: %s is the line %q", s.Kind, s.Name, s.At, line)
	}
	if s.Sent != nil && s.Sent.Handled != (len(s.Steps) > 0) {
		t.Errorf("%s: handled = %v, with %d handlers", s.Name, s.Sent.Handled, len(s.Steps))
	}
	if s.Sent != nil {
		if line := lineAt(t, dir, s.Sent.ContractAt); !strings.Contains(line, s.Sent.Method.Method) {
			t.Errorf("contract %s: %s is the line %q", s.Name, s.Sent.ContractAt, line)
		}
	}
	for _, next := range s.Steps {
		checkPlaces(t, dir, next)
	}
}

func lineAt(t *testing.T, dir, at string) string {
	t.Helper()
	path, number, _ := strings.Cut(at, ":")
	n, err := strconv.Atoi(number)
	if err != nil {
		t.Fatalf("place %q: %v", at, err)
	}
	text, err := os.ReadFile(filepath.Join(dir, path))
	if err != nil {
		t.Fatal(err)
	}
	return strings.Split(string(text), "\n")[n-1]
}
