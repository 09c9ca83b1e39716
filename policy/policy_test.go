package policy_test

import (
	"bytes"
	"errors"
	"io/fs"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/goslo/goslo/policy"
)

// write puts a file into a folder of the test's own.
func write(t *testing.T, path, content string) string {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func file(t *testing.T, content string) string {
	t.Helper()
	return write(t, filepath.Join(t.TempDir(), "policy.yaml"), content)
}

func TestFilesOverrideDefaults(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	options := policy.Options{EnforceScope: true, File: "policy.yaml", Dirs: []string{"policy.d"}}
	c := options.Config(folder)
	write(t, c.File, `
# The operator's.
"orders:show": "role:reader"
"orders:create": "role:writer"
default: "role:fallback"
`)
	write(t, filepath.Join(folder, "policy.d", "10-first.yaml"), `orders:create: "!"`)
	write(t, filepath.Join(folder, "policy.d", "20-second.json"), "{\n\t\"orders:create\": [[\"role:a\", \"role:b\"], \"role:c\"]\n}")
	write(t, filepath.Join(folder, "policy.d", ".hidden"), `orders:show: "!"`)
	c.Defaults = []policy.Default{
		{Name: "orders:show", Check: "role:admin"},
		{Name: "orders:create", Check: "role:admin"},
		{Name: "orders:delete", Check: "role:admin", ScopeTypes: []string{"project"}},
	}
	e, err := policy.Load(c)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		rule, roles string
		allowed     bool
	}{
		{"orders:show", "reader", true},
		{"orders:show", "READER", true},
		{"orders:show", "admin", false},
		{"orders:create", "a b", true},
		{"orders:create", "c", true},
		{"orders:create", "a", false},
		{"orders:create", "writer", false},
		{"orders:delete", "admin", true},
		{"orders:delete", "", false},
		{"orders:unknown", "fallback", true},
		{"orders:unknown", "admin", false},
	} {
		err := e.Check(t.Context(), c.rule, policy.Credentials{"roles": strings.Fields(c.roles)}, nil)
		if (err == nil) != c.allowed {
			t.Errorf("%s for roles %q: %v, want allowed: %v", c.rule, c.roles, err, c.allowed)
		}
	}
}

func TestRefusalsAreForbidden(t *testing.T) {
	t.Parallel()
	e, err := policy.Load(policy.Config{Defaults: []policy.Default{
		{Name: "nobody", Check: "!"},
		{Name: "cloud", Check: "@", ScopeTypes: []string{"system", "domain"}},
	}})
	if err != nil {
		t.Fatal(err)
	}
	for rule, want := range map[string]string{
		"nobody":  "policy does not allow nobody",
		"unknown": "policy does not allow unknown: nobody defines this rule, nor a default rule",
		"cloud":   "policy does not allow cloud: it is for tokens of scope system or domain, and this one is of scope project",
	} {
		err := e.Check(t.Context(), rule, policy.Credentials{"project_id": "p"}, policy.Target{})
		refused, ok := errors.AsType[*policy.NotAuthorizedError](err)
		if !ok || refused.Error() != want || refused.Rule != rule || refused.HTTPStatus() != http.StatusForbidden {
			t.Errorf("%s: %v, want %s", rule, err, want)
		}
	}
	for _, who := range []policy.Credentials{{"system_scope": "all"}, {"domain_id": "d"}} {
		if err := e.Check(t.Context(), "cloud", who, nil); err != nil {
			t.Error(err)
		}
	}
}

// Whatever is unclear is refused when it is read, where the operator sees it, and not when somebody asks.
func TestUnclearFilesAreRefused(t *testing.T) {
	t.Parallel()
	for content, want := range map[string]string{
		"a: 'role:x and'":             `policy.yaml:1: rule "a": "role:x and": it ends where a check is expected`,
		"a: 'role:x role:y'":          `policy.yaml:1: rule "a": "role:x role:y": "role:y": expected "and" or "or" before it`,
		"\na: '(role:x'":              `policy.yaml:2: rule "a": "(role:x": a parenthesis is not closed`,
		"a: 'role:x)'":                `policy.yaml:1: rule "a": "role:x)": ")": expected "and" or "or" before it`,
		"a: 'or role:x'":              `policy.yaml:1: rule "a": "or role:x": "or": a check is expected here`,
		"a: admin":                    `policy.yaml:1: rule "a": "admin": "admin": a check is KIND:MATCH, or one of @ and ! alone`,
		"a: ' '":                      `policy.yaml:1: rule "a": " ": it ends where a check is expected`,
		"a: \"'x':'y'\"":              `policy.yaml:1: rule "a": "'x':'y'": 'x':'y': a quoted string is no check; a check is KIND:MATCH`,
		"a: 'http://host/%(x)s'":      `policy.yaml:1: rule "a": "http://host/%(x)s": "http://host/%(x)s": rules that ask a remote server are not supported; write the rule itself`,
		"a: 'x:%(y)d'":                `policy.yaml:1: rule "a": "x:%(y)d": "%(y)d": a % must begin %(NAME)s, or be doubled`,
		"a: '007:x'":                  `policy.yaml:1: rule "a": "007:x": "007:x": before the colon stands rule, role, the name of a credential (user.domain.id), or a literal ('text', 5, True)`,
		"a:":                          `policy.yaml:1: rule "a": it has no value; write "@" to allow everybody, or "!" to allow nobody`,
		"a: !":                        `policy.yaml:1: rule "a": it has no value; write "@" to allow everybody, or "!" to allow nobody`,
		"a: true":                     `policy.yaml:1: rule "a": true: a rule is a string`,
		"a: {b: c}":                   `policy.yaml:1: rule "a": a rule is a string, or a list of lists of checks`,
		"a: [[5]]":                    `policy.yaml:1: rule "a": "5": a check is KIND:MATCH, or one of @ and ! alone`,
		"- a":                         `policy.yaml:1: a policy file is a mapping from names to rules`,
		"a: '@'\nb: '!'\na: 'role:x'": `policy.yaml:3: rule "a": line 1 has it too`,
		"a: 'rule:a'":                 `policy.yaml:1: rule "a" refers to itself: a -> a`,
		"a: 'not rule:b'\nb: '@ or (role:x and rule:c)'\nc: [['rule:a']]": `policy.yaml:1: rule "a" refers to itself: a -> b -> c -> a`,
		"amdin: 'role:x'\nb: 'rule:admin'":                                `policy.yaml:2: rule "b" refers to rule:admin, which nobody defines; did you mean rule:amdin?`,
		"default: 'rule:nowhere'":                                         `policy.yaml:1: rule "default" refers to itself: default -> default`,
	} {
		_, err := policy.Load(policy.Config{File: file(t, content)})
		if err == nil || !strings.HasPrefix(err.Error(), "policy: ") || !strings.HasSuffix(err.Error(), want) {
			t.Errorf("%q:\n got %v\nwant policy: .../%s", content, err, want)
		}
	}
	_, err := policy.Load(policy.Config{Defaults: []policy.Default{{Name: "a", Check: "role:"}, {Name: "a", Check: "x"}}})
	if want := "policy: rule \"a\": it is registered twice\nrule \"a\": \"x\": \"x\": a check is KIND:MATCH, or one of @ and ! alone"; err == nil || err.Error() != want {
		t.Errorf("got %v\nwant %s", err, want)
	}
}

// A reference that leads to a rule which nobody defines is the default rule's business, if there is one.
func TestReferencesFallBackToTheDefaultRule(t *testing.T) {
	t.Parallel()
	e, err := policy.Load(policy.Config{DefaultRule: "fallback", Defaults: []policy.Default{
		{Name: "a", Check: "rule:nowhere and role:x"},
		{Name: "fallback", Check: "role:y"},
	}})
	if err != nil {
		t.Fatal(err)
	}
	if err := e.Check(t.Context(), "a", policy.Credentials{"roles": []any{"x", "y"}}, nil); err != nil {
		t.Error(err)
	}
	if err := e.Check(t.Context(), "a", policy.Credentials{"roles": []any{"x"}}, nil); err == nil {
		t.Error("the default rule was not asked")
	}
}

func TestFilesThatChangeAreReadAgain(t *testing.T) {
	t.Parallel()
	path := file(t, "a: role:x")
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		e, err := policy.Load(policy.Config{File: path, Defaults: []policy.Default{{Name: "a", Check: "role:code"}}, Logger: slog.New(slog.NewTextHandler(&log, nil))})
		if err != nil {
			t.Fatal(err)
		}
		expect := func(role, when string) {
			t.Helper()
			for _, each := range []string{"x", "other", "code"} {
				err := e.Check(t.Context(), "a", policy.Credentials{"roles": []string{each}}, nil)
				if (err == nil) != (each == role) {
					t.Errorf("%s: role %s: %v, want role %s to be allowed", when, each, err, role)
				}
			}
		}
		expect("x", "at first")

		write(t, path, "a: role:other")
		expect("x", "before anybody looked")
		if err := e.Reload(); err != nil {
			t.Error(err)
		}
		expect("other", "after Reload")

		write(t, path, "a: role:x and")
		if err := e.Reload(); err == nil || !strings.Contains(err.Error(), "policy.yaml:1") {
			t.Errorf("a broken file: %v", err)
		}
		expect("other", "after a reload that failed")

		// By itself, a change is seen within a second.
		for _, step := range []struct {
			content, role, when string
		}{
			{"a: role:x # by itself", "x", "by itself"},
			{"a: (role:other", "x", "while the file is broken"},
			{"", "x", "while the file may be on its way"},
			{"", "code", "when the file is gone for good"},
			{"a: role:other", "other", "when it is there again"},
		} {
			if step.content != "" {
				write(t, path, step.content)
			} else if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
				t.Fatal(err)
			}
			<-time.After(time.Second)
			expect(step.role, step.when)
		}
		for _, want := range []string{"read again", "cannot be used; the rules from before stay in force", "a policy file is gone"} {
			if !strings.Contains(log.String(), want) {
				t.Errorf("the log has no %q:\n%s", want, log.String())
			}
		}
	})
}

func TestAsksAndReloadsGoTogether(t *testing.T) {
	t.Parallel()
	path := file(t, "a: role:x")
	e, err := policy.Load(policy.Config{File: path})
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			for range 50 {
				if err := e.Check(t.Context(), "a", policy.Credentials{"roles": []string{"x"}}, nil); err != nil {
					t.Error(err)
				}
				if err := e.Reload(); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
}

func TestRulesThatNobodyAsksForAreSaid(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	_, err := policy.Load(policy.Config{
		File:     file(t, "orders:crate: '!'\nhelper: role:x\norders:show: rule:helper"),
		Defaults: []policy.Default{{Name: "orders:create", Check: "@"}, {Name: "orders:show", Check: "@"}},
		Logger:   slog.New(slog.NewTextHandler(&log, nil)),
	})
	if err != nil {
		t.Fatal(err)
	}
	if lines := strings.Count(log.String(), "\n"); lines != 1 || !strings.Contains(log.String(), "rule=orders:crate") ||
		!strings.Contains(log.String(), "policy.yaml:1 did_you_mean=orders:create") {
		t.Error(log.String())
	}
}

func TestMissingValuesAllowNothing(t *testing.T) {
	t.Parallel()
	e, err := policy.Load(policy.Config{Defaults: []policy.Default{
		{Name: "owner", Check: "project_id:%(project_id)s"},
		{Name: "deep", Check: "token.user.domain:%(d)s"},
		{Name: "role", Check: "role:%(role)s"},
	}})
	if err != nil {
		t.Fatal(err)
	}
	type nested = map[string]any
	for _, c := range []struct {
		rule    string
		who     policy.Credentials
		target  policy.Target
		allowed bool
	}{
		{"owner", policy.Credentials{"project_id": "p"}, policy.Target{"project_id": "p"}, true},
		{"owner", nil, nil, false},
		{"owner", policy.Credentials{"project_id": ""}, policy.Target{}, false},
		{"owner", policy.Credentials{}, policy.Target{"project_id": "p"}, false},
		{"owner", policy.Credentials{"project_id": nested{}}, policy.Target{"project_id": "map[]"}, false},
		{"owner", policy.Credentials{"project_id": "x"}, policy.Target{"project_id": nested{}}, false},
		{"role", policy.Credentials{"roles": []any{nil, "r"}}, policy.Target{"role": "R"}, true},
		{"role", policy.Credentials{"roles": []any{nil}}, policy.Target{"role": nil}, false},
		{"role", policy.Credentials{"roles": []any{true, 5.0}}, policy.Target{"role": true}, false},
		{"deep", policy.Credentials{"token": nested{"user": nested{"domain": "d"}}}, policy.Target{"d": "d"}, true},
		{"deep", policy.Credentials{"token": nested{"user": "text"}}, policy.Target{"d": "d"}, false},
		{"deep", policy.Credentials{"token": nil}, policy.Target{"d": "d"}, false},
	} {
		if err := e.Check(t.Context(), c.rule, c.who, c.target); (err == nil) != c.allowed {
			t.Errorf("%s for %v on %v: %v, want allowed: %v", c.rule, c.who, c.target, err, c.allowed)
		}
	}
}

func TestSample(t *testing.T) {
	t.Parallel()
	var b bytes.Buffer
	if err := policy.WriteSample(&b, samples); err != nil {
		t.Fatal(err)
	}
	want, err := os.ReadFile("testdata/sample.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), b.String()); diff != "" {
		t.Error(diff)
	}
}
