package policy

import (
	"testing"
)

// What is parsed can be written, and means the same when it is read again. What is asked never panics.
func FuzzParse(f *testing.F) {
	for _, seed := range []string{
		"", "@", "!", "role:admin or not (rule:owner and project_id:%(project_id)s)", "'a':%(b)s", "5:%%", "a.b.c:d", "(((@", "not not !",
		"and", "None:%(x)s or", "user.grants.project:%(p)s", "\"x\":y", "role:%(", "a:%(b)s)",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		c, err := parse(text)
		if err != nil {
			return
		}
		again, err := parse(c.String())
		if err != nil {
			t.Fatalf("%q was written as %q: %v", text, c.String(), err)
		}
		if again.String() != c.String() {
			t.Fatalf("%q was written as %q, and that as %q", text, c.String(), again.String())
		}
		for _, each := range []check{c, again} {
			references(each, func(r *reference) { r.rule = &rule{check: constant(false)} })
		}
		q := &question{
			Credentials{"roles": []any{"admin"}, "project_id": "p", "user": map[string]any{"id": 5}, "a": []any{map[string]any{"b": true}}},
			Target{"project_id": "p", "b": "True", "x": nil, "p": []any{}},
		}
		if c.allows(q) != again.allows(q) {
			t.Fatalf("%q and %q differ", text, c.String())
		}
	})
}

// Files of whatever content are refused or read, and what was read can be asked.
func FuzzFile(f *testing.F) {
	for _, seed := range []string{
		"", "# nothing", "a: '@'", "a: !", "{\"a\": [[\"role:x\", \"!\"], \"b:c\"]}", "a: &x '@'\nb: *x", "a: [*x]", "<<: {a: b}", "? [a]\n: b", "a: |\n  role:x\n", "a: {}", "--- a\n--- b",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(_ *testing.T, content []byte) {
		rules, _ := parseFile("policy.yaml", content)
		for _, r := range rules {
			references(r.check, func(to *reference) { to.rule = &rule{check: constant(false)} })
			r.check.allows(&question{})
		}
	})
}
