package project_test

import (
	"bytes"
	"flag"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/goslo/goslo/config"
	"github.com/goslo/goslo/examples/project/manager"
)

var update = flag.Bool("update", false, "write etc/project.conf.sample anew")

// The sample explains every option of the program but those of transports, and the configuration beside it has no mistake.
func TestSample(t *testing.T) {
	t.Parallel()
	const path = "etc/project.conf.sample"
	var b bytes.Buffer
	if err := config.Sample(&b, manager.Options{}); err != nil {
		t.Fatal(err)
	}
	const blank = "\n\n\n" // between groups
	groups := slices.DeleteFunc(strings.Split(b.String(), blank), func(group string) bool { return strings.HasPrefix(group, "[oslo_messaging_") })
	want := strings.Join(groups, blank)
	if *update {
		if err := os.WriteFile(path, []byte(want), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(text), want); diff != "" {
		t.Errorf("write %s anew with go test ./examples/project -run TestSample -update; -has +should:\n%s", path, diff)
	}
	env := func(string) (string, bool) { return "", false }
	found, err := config.Check(config.Source{Files: []string{"etc/project.conf"}, Env: env}, manager.Options{})
	if err != nil || len(found) > 0 {
		t.Errorf("etc/project.conf: %v, %v", found, err)
	}
}

func TestMainIsShort(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("project-manager/main.go")
	if lines := bytes.Count(text, []byte("\n")); err != nil || lines >= 25 {
		t.Errorf("main.go has %d lines, %v; want less than 25", lines, err)
	}
}
