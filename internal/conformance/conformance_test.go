package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const document = `# Title

| ID | tag | not a row of a section |

## 1. First

| ID | tag | behaviour | applies |
|---|---|---|---|
| ONE-01 | W·T | a peer sees it | rpc |
| ONE-02 | A·CV | a program sees it | differs: ours is better |
| ONE-03 | L·C | a log line | rpc |
| ONE-04 | A·C | only there | n/a: Python |
| TWO-WORDS-05 | W·V | not yet | later: part |

## 18. Second

| ID | tag | behaviour | applies |
|---|---|---|---|
| RMQ-01 | W·V | the broker sees it | rpc |
`

// tree writes the files below a new folder, the document of this test among them.
func tree(t *testing.T, files map[string]string) string {
	t.Helper()
	root := t.TempDir()
	all := map[string]string{"docs/conformance.md": document}
	for name, text := range files {
		all[name] = text
	}
	for name, text := range all {
		path := filepath.Join(root, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o750); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

func TestCountsRowsThatApply(t *testing.T) {
	t.Parallel()
	root := tree(t, map[string]string{
		"a/a_test.go": "package a\n\n// Proves it.\n// conforms: ONE-01, RMQ-01\nfunc TestA(t *T) {}\n",
		"a/a.go":      "package a\n\n// conforms: ONE-02\nfunc NotATest() {}\n",
	})
	catalogue, err := readCatalogue(root)
	if err != nil {
		t.Fatal(err)
	}
	citations, err := scan(root)
	if err != nil {
		t.Fatal(err)
	}
	if err := verify(catalogue, citations); err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	err = newReport(catalogue, citations).write(&out, 85, true)
	if err == nil || !strings.Contains(err.Error(), "1 of 2 rows are covered, fewer than 85 %") {
		t.Errorf("at 50 %% with --min 85 the error is %v", err)
	}
	want := [][]string{
		{"section", "covered", "total"},
		{"1.", "First", "1", "/", "2", "50", "%"},
		{"18.", "Second", "1", "/", "1", "100", "%"},
		{"sections", "1", "to", "13", "1", "/", "2", "50", "%"},
		{},
		{"not", "covered:"},
		{"ONE-02", "A·CV", "a", "program", "sees", "it", "(differs:", "ours", "is", "better)"},
	}
	var got [][]string
	for line := range strings.Lines(out.String()) {
		got = append(got, strings.Fields(line))
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("report (-want +got):\n%s", diff)
	}
	if err := newReport(catalogue, citations).write(&out, 50, false); err != nil {
		t.Errorf("at 50 %% with --min 50: %v", err)
	}
}

func TestReachableCitations(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		path, text, problem string
	}{
		"above a test":         {"a/a_test.go", "// conforms: ONE-01\nfunc TestA(t *T) {}\n", ""},
		"in a test":            {"a/a_test.go", "func TestA(t *T) {\n\t// conforms: ONE-01\n}\n", ""},
		"behind a case":        {"a/a_test.go", "func FuzzA(f *F) {\n\tf.Add(1) // conforms: ONE-01\n}\n", ""},
		"in a table":           {"a/a_test.go", "var cases = []int{\n\t1, // conforms: ONE-01\n}\n\nfunc TestA(t *T) { _ = cases }\n", ""},
		"in a suite":           {"atest/a.go", "// conforms: ONE-01\nfunc Run(t *T) {}\n", ""},
		"in an unused helper":  {"a/a_test.go", "func helper() {\n\t// conforms: ONE-01\n}\n", "no test uses helper"},
		"in a benchmark":       {"a/a_test.go", "func BenchmarkA(b *B) {\n\t// conforms: ONE-01\n}\n", "no test uses BenchmarkA"},
		"nowhere":              {"a/a_test.go", "// conforms: ONE-01\n\nfunc TestA(t *T) {}\n", "it stands in no test"},
		"of an unknown row":    {"a/a_test.go", "// conforms: ONE-1\nfunc TestA(t *T) {}\n", `has no row "ONE-1"`},
		"of nothing":           {"a/a_test.go", "// conforms:\nfunc TestA(t *T) {}\n", `has no row ""`},
		"of what cannot apply": {"a/a_test.go", "// conforms: ONE-04\nfunc TestA(t *T) {}\n", `marked "n/a: Python"`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			root := tree(t, map[string]string{c.path: "package a\n\n" + c.text})
			catalogue, err := readCatalogue(root)
			if err != nil {
				t.Fatal(err)
			}
			citations, err := scan(root)
			if err != nil {
				t.Fatal(err)
			}
			if len(citations) != 1 {
				t.Fatalf("found %d citations, want 1", len(citations))
			}
			err = verify(catalogue, citations)
			switch {
			case c.problem == "" && err != nil:
				t.Error(err)
			case c.problem != "" && (err == nil || !strings.Contains(err.Error(), c.problem)):
				t.Errorf("error %v, want one with %q", err, c.problem)
			case c.problem != "" && !strings.HasPrefix(err.Error(), filepath.FromSlash(c.path)+":"):
				t.Errorf("error %q does not start with the place", err)
			}
		})
	}
}

func TestRefusesBadDocuments(t *testing.T) {
	t.Parallel()
	for text, problem := range map[string]string{
		"":                        "no rows",
		"## 1. A\n":               "no rows",
		"| A-1 | W·T | x | rpc |": "no rows", // not below a heading
		"## 1. A\n| A-1 | W·T | x | rpc |\n| A-1 | W·T | x | rpc |": "line 3: A-1 is there twice",
		"## 1. A\n| A-1 | W·T | x |":                                "4 cells, this one 3",
		"## 1. A\n| a-1 | W·T | x | rpc |":                          `"a-1" is no ID`,
		"## 1. A\n| A-1 | Z·T | x | rpc |":                          `"Z·T" is no tag`,
		"## 1. A\n| A-1 | W·T | x | maybe |":                        `unknown kind "maybe"`,
		"## 1. A\n| A-1 | W·T | x | n/a |":                          "none where it should",
		"## 1. A\n| A-1 | W·T | x | rpc: why |":                     "where it should not",
	} {
		if _, err := parseCatalogue(text); err == nil || !strings.Contains(err.Error(), problem) {
			t.Errorf("%q: error %v, want one with %q", text, err, problem)
		}
	}
}

func TestOwnDocument(t *testing.T) {
	t.Parallel()
	sections, err := readCatalogue(filepath.Join("..", ".."))
	if err != nil {
		t.Fatal(err)
	}
	numbers := make([]int, 0, len(sections))
	for _, s := range sections {
		numbers = append(numbers, s.number)
	}
	if diff := cmp.Diff([]int{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26}, numbers); diff != "" {
		t.Errorf("sections (-want +got):\n%s", diff)
	}
}
