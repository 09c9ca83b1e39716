package config_test

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/goslo/goslo/config"
)

func TestErrorsAreToldAllAtOnce(t *testing.T) {
	t.Parallel()
	type options struct {
		Level slog.Level `config:"level"`
		API   struct {
			Workers  int           `config:"workers" min:"1" max:"64"`
			Strategy string        `config:"strategy" choices:"classic,quorum"`
			Hosts    []string      `config:"hosts" type:"host"`
			Ports    []int         `config:"ports,multi" type:"port"`
			Timeout  time.Duration `config:"timeout"`
			Needed   string        `config:"needed,required"`
			Blank    *int          `config:"blank,required"`
			Tiny     uint8         `config:"tiny"`
			Least    float64       `config:"least" min:"0.5"`
			Endless  string        `config:"endless"`
		} `config:"api"`
	}
	s := source(t, `[api]
workers = 65
blank =
strategy = mirrored
hosts = a, b_c
ports = 1
ports = x
ports = 2
timeout = soon
least = 0.4
`, `nothing
[api]
tiny = 256
   and
[broken
   more
endless = is in no section
`, `[api]
endless = ${api.endless}
workers = 0
`)
	s.Files = append(s.Files, filepath.Join(filepath.Dir(s.Files[0]), "nosuch.conf"))
	s.Env = lookup(map[string]string{"OS_DEFAULT__LEVEL": "loud"})
	_, err := config.Load(s, options{})
	want := []string{
		"config: 2.conf:1: neither a [section], a comment, nor an assignment with \"=\" or \":\"",
		"config: 2.conf:5: a section must end with \"]\"",
		"config: open nosuch.conf: no such file or directory",
		`config: $OS_DEFAULT__LEVEL: [DEFAULT] level = "loud": slog: level string "loud": unknown name`,
		`config: 3.conf:3: [api] workers = "0": not from 1 to 64`,
		`config: 1.conf:4: [api] strategy = "mirrored": not one of classic, quorum`,
		`config: 1.conf:5: [api] hosts = "a, b_c": neither an IP address nor a host name`,
		`config: 1.conf:7: [api] ports = "x": not a port, from 0 to 65535`,
		`config: 1.conf:9: [api] timeout = "soon": neither a number of seconds nor a duration such as 1m30s`,
		`config: [api] needed: a value is required, and nobody gives one`,
		`config: 1.conf:3: [api] blank: a value is required, and this is none`,
		`config: 1.conf:10: [api] least = "0.4": not at least 0.5`,
		`config: 3.conf:2: [api] endless = "${api.endless}": $api.endless refers back to this option`,
	}
	if diff := cmp.Diff(want, messages(t, s, err)); diff != "" {
		t.Error(diff)
	}
	var problem *config.Problem
	if !errors.As(err, &problem) || problem.Option != "level" || problem.Value != "loud" {
		t.Errorf("the first problem is %#v", problem)
	}
	if !errors.Is(err, fs.ErrNotExist) {
		t.Error("the missing file is not in the error")
	}
}

type span struct {
	Least int `config:"least" default:"1"`
	Most  int `config:"most" default:"2"`
}

func (s *span) Validate() error {
	if s.Least > s.Most {
		return fmt.Errorf("[span] least = %d is more than most = %d", s.Least, s.Most)
	}
	return nil
}

func TestValidate(t *testing.T) {
	t.Parallel()
	type options struct {
		Span span `config:"span"`
	}
	if _, err := config.Load(source(t, ""), options{}); err != nil {
		t.Error(err)
	}
	s := source(t, "[span]\nleast = 3")
	_, err := config.Load(s, options{})
	if diff := cmp.Diff([]string{"config: [span] least = 3 is more than most = 2"}, messages(t, s, err)); diff != "" {
		t.Error(diff)
	}
	// Values that are not there are not compared.
	s = source(t, "[span]\nleast = three")
	_, err = config.Load(s, options{})
	if got := messages(t, s, err); len(got) != 1 || !strings.Contains(got[0], "not an integer") {
		t.Errorf("errors: %q", got)
	}
}
