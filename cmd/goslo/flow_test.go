package main

import (
	"encoding/json"
	"strings"
	"testing"
)

// TestFlow needs no bus, and no more than the folder that it runs in.
func TestFlow(t *testing.T) {
	t.Parallel()
	s := newShell(t)
	const tricky = "../../internal/flow/testdata/tricky/..."

	got := s.run(t, "flow", tricky, "--route", "POST /ships").want(t, 0)
	if strings.Count(got.out, "testdata/tricky/web/web.go:") != 2 || !strings.Contains(got.out, "shop.(*Manager).Ship") || strings.Contains(got.out, "/packs") {
		t.Errorf("output:\n%s", got.out)
	}

	got = s.run(t, "flow", tricky, "--method", "refill", "--json").want(t, 0)
	var f struct {
		Roots []struct {
			Kind, Name, At string
			Steps          []json.RawMessage
		}
		Methods []struct {
			Method, Topic   string
			Called, Handled bool
		}
	}
	if err := json.Unmarshal([]byte(got.out), &f); err != nil {
		t.Fatalf("%v\n%s", err, got.out)
	}
	if len(f.Roots) < 2 || f.Roots[0].Kind != "route" || len(f.Roots[0].Steps) == 0 || got.err != "" {
		t.Errorf("roots %+v\nstandard error: %s", f.Roots, got.err)
	}
	if i := len(f.Methods) - 1; i < 0 || !f.Methods[i].Called || !f.Methods[i].Handled || f.Methods[i].Topic != "stock" {
		t.Errorf("methods %+v", f.Methods)
	}

	s.run(t, "flow", "POST /ships").want(t, 2).wantErr(t, "--route \"POST /ships\"")
	s.run(t, "flow", tricky, "--route", "POST /shipz").want(t, 2).wantErr(t, `did you mean "POST /ships"?`)
	got = s.run(t, "flow", "../../internal/flow/testdata/broken").want(t, 1)
	got.wantErr(t, "../../internal/flow/testdata/broken/broken.go:9:27: undefined: undefined", "go build")
	if strings.Count(got.err, "goslo: ") > 2 || strings.Contains(got.err, "flow: the") {
		t.Errorf("standard error:\n%s", got.err)
	}

	if got := s.run(t, "__complete", "flow", tricky, "--route", "").want(t, 0); !strings.Contains(got.out, "POST /v1/orders\n") {
		t.Errorf("completion of --route: %s", got.out)
	}
	if got := s.run(t, "__complete", "flow", tricky, "--method", "").want(t, 0); !strings.Contains(got.out, "create_order\n") {
		t.Errorf("completion of --method: %s", got.out)
	}
}
