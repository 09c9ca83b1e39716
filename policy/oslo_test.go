package policy_test

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/goslo/goslo/policy"
)

// samples are rules whose sample file is compared with oslo.policy's, in testdata and now.
var samples = []policy.Default{
	{Name: "admin", Check: "role:admin"},
	{
		Name:  "orders:create",
		Check: "role:member and project_id:%(project_id)s",
		Description: "Create an order, which is a thing that takes more than one line to explain to people who have never created any.\n" +
			"It goes on.\n\nA second paragraph:\n\n    as it is,   and stays so\n    whatever-it-takes-to-be-longer-than-seventy-characters-in-a-line-of-its-own-and-more",
		Operations: []policy.Operation{{Method: "POST", Path: "/v1/orders"}, {Method: "PUT", Path: "/v1/orders/{id}"}},
		ScopeTypes: []string{"system", "project"},
	},
	{
		Name: "orders:delete", Check: "!", Description: "Delete an order.", Operations: []policy.Operation{{Method: "DELETE", Path: "/v1/orders/{id}"}},
	},
}

// python runs a program that reads JSON and writes JSON.
func python(t *testing.T, program string, input, output any) {
	t.Helper()
	in, err := json.Marshal(input)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "/usr/bin/python3", "-W", "ignore", "-c", program)
	cmd.Stdin = bytes.NewReader(in)
	var said bytes.Buffer
	cmd.Stderr = &said
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("oslo.policy did not run: %v; install it: apt-get install python3-oslo.policy\n%s", err, said.String())
	}
	if err := json.Unmarshal(out, output); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
}

const sampleProgram = `
import json, sys
from oslo_policy import generator, policy
text = ""
for d in json.load(sys.stdin):
    if d["Operations"]:
        rule = policy.DocumentedRuleDefault(d["Name"], d["Check"], d["Description"],
            [{"method": o["Method"], "path": o["Path"]} for o in d["Operations"]], scope_types=d["ScopeTypes"])
    else:
        rule = policy.RuleDefault(d["Name"], d["Check"])
    text += generator._format_rule_default_yaml(rule)
json.dump(text, sys.stdout)
`

func TestSampleIsThatOfOsloPolicy(t *testing.T) {
	t.Parallel()
	var want string
	python(t, sampleProgram, samples, &want)
	recorded, err := os.ReadFile("testdata/sample.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, string(recorded)); diff != "" {
		t.Errorf("oslo.policy (-) and testdata/sample.yaml (+):\n%s", diff)
	}
}

// askProgram answers true, false, or "error" for all rules and all questions.
const askProgram = `
import json, logging, sys
from oslo_config import cfg
from oslo_policy import policy
logging.disable(logging.CRITICAL)
given = json.load(sys.stdin)
conf = cfg.ConfigOpts()
conf([], project="nosuch", prog="nosuch", default_config_files=[], default_config_dirs=[])
def answers(name, enforcer):
    for q in given["questions"]:
        try:
            yield bool(enforcer.enforce(name, q["target"], dict(q["who"])))
        except Exception as e:
            yield "error"
def ask(file):
    enforcer = policy.Enforcer(conf, policy_file=file)
    return {name: list(answers(name, enforcer)) for name in given["names"]}
json.dump(ask(given["file"]), sys.stdout)
`

type question struct {
	Who    policy.Credentials `json:"who"`
	Target policy.Target      `json:"target"`
}

var questions = func() []question {
	type nested = map[string]any
	who := []policy.Credentials{
		{},
		{"user_id": "u1", "project_id": "p1", "roles": []any{"Member", "reader"}, "is_admin": false, "is_admin_project": true},
		{"user_id": "u2", "project_id": "p2", "roles": []any{"admin"}, "is_admin": true, "level": 5},
		{"user_id": nil, "project_id": nil, "roles": []any{}, "is_admin": "True", "domain_id": "d1"},
		{
			"user_id": "u1", "roles": []any{"ADMIN", "p1"}, "system_scope": "all", "groups": []any{"g1", "g2"},
			"user": nested{"id": "u1", "domain": nested{"id": "d1"}, "grants": []any{nested{"project": "p1"}, nested{"project": "p2"}}},
		},
	}
	targets := []policy.Target{
		{},
		{"project_id": "p1", "user_id": "u1", "role": "admin", "enabled": true, "domain_id": "d1"},
		{"project_id": "p2", "user_id": nil, "user.id": "u1", "level": 5, "enabled": false, "group": "g2"},
		{"project_id": nil, "role": "Member", "enabled": "True", "level": "5"},
	}
	var all []question
	for _, w := range who {
		for _, target := range targets {
			all = append(all, question{w, target})
		}
	}
	return all
}()

// asked are rules on which oslo.policy and this package agree.
var asked = []any{
	"", "@", "!",
	[]any{},
	[]any{[]any{}},
	[]any{"@"},
	"role:admin", "role:ADMIN", "role:%(role)s", "role:%(project_id)s", "role:member",
	"is_admin:True", "is_admin:False", "is_admin:1", "is_admin_project:True", "True:%(enabled)s", "False:%(enabled)s",
	"project_id:%(project_id)s", "user_id:%(user_id)s", "user_id:None", "None:%(user_id)s", "user_id:%(user.id)s",
	"tenant:%(tenant)s", "project_id:p%%1", "project_id:%(project_id)s%(project_id)s", "project_id:p1",
	"'Member':%(role)s", `"Member":%(role)s`, "'':%(role)s", "5:%(level)s", "-5:%(level)s", "0:0", "level:%(level)s", "level:5",
	"groups:%(group)s", "groups:g1", "user.domain.id:%(domain_id)s", "user.id:%(user_id)s", "user.grants.project:%(project_id)s",
	"system_scope:all", "system:all", "domain_id:%(domain_id)s",
	"rule:admin", "rule:owner", "rule:admin_or_owner", "not rule:admin_or_owner", "rule:admin and not rule:owner",
	"role:admin or role:reader and role:nosuch", "role:admin and role:reader or role:member", "not role:admin and role:member",
	"not (role:admin and role:member)", "not not role:admin", "(role:admin)", "((role:admin or (role:reader)))",
	"role:admin OR role:reader", "Not role:admin", "( role:admin  or\trole:reader )\n", "role:a or role:b or role:admin and not role:c",
	"(role:reader or role:admin) and (project_id:%(project_id)s or user_id:%(user_id)s)", "role:a or not role:b and not role:c or !",
	"role:member or (role:x and role:y) and role:admin", "role:member and (role:reader and project_id:p1) or @ and !",
	[]any{"role:admin"},
	[]any{[]any{"role:admin"}, []any{"role:member", "role:reader"}},
	[]any{"rule:admin", []any{"role:x"}},
	[]any{[]any{"role:Member", "project_id:%(project_id)s"}, "is_admin:True"},
	[]any{[]any{}, "role:reader"},
	"role:compute:admin", "a:b:c", "os-ext:x", "user_id:", "rule:unknown",
}

// refused are rules that this package does not load. oslo.policy loads them, and none allows anything that was not asked for.
var refused = []any{
	"role:admin and", "or role:admin", "role:admin role:reader", "(role:admin", "role:admin)", ")(", "not", "admin", " ",
	"'a':'a'", "role:admin and and role:reader", "user_id:%(user_id)d", "user_id:%", "07:%(level)s", "'it:%(role)s", "[1]:x", "a!b:c",
}

func TestRulesMeanWhatTheyMeanToOsloPolicy(t *testing.T) {
	t.Parallel()
	rules := map[string]any{
		"admin": "role:admin", "owner": "project_id:%(project_id)s", "admin_or_owner": "rule:admin or rule:owner", "default": "role:reader",
	}
	var names []string
	for i, rule := range append(asked, refused...) {
		names = append(names, "r"+strconv.Itoa(i))
		rules[names[i]] = rule
	}
	content, err := json.Marshal(rules)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "policy.json")
	write(t, path, string(content))
	answers := make(map[string][]any)
	python(t, askProgram, map[string]any{"file": path, "names": names, "questions": questions}, &answers)

	allowed := 0
	for i, rule := range asked {
		e := loaded(t, rules, names[i])
		for j, q := range questions {
			err := e.Check(t.Context(), names[i], q.Who, q.Target)
			want := answers[names[i]][j]
			if want == "error" { // an internal error there is a refusal here
				want = false
			}
			if got := err == nil; got != want {
				t.Errorf("%q for %v on %v: %v (%v), oslo.policy says %v", rule, q.Who, q.Target, got, err, want)
			}
			if want == true {
				allowed++
			}
		}
	}
	if all := len(asked) * len(questions); allowed < all/5 || allowed > all*4/5 {
		t.Errorf("of %d answers %d allow something: the table does not tell rules apart", all, allowed)
	}
	for i, rule := range refused {
		name := names[len(asked)+i]
		if _, err := policy.Load(policy.Config{File: file(t, document(t, map[string]any{name: rule}))}); err == nil {
			t.Errorf("%q was loaded", rule)
		}
		for j, q := range questions {
			if answers[name][j] == true {
				t.Errorf("%q allows %v something on %v in oslo.policy: find out why it is refused here", rule, q.Who, q.Target)
			}
		}
	}
}

func document(t *testing.T, rules map[string]any) string {
	t.Helper()
	content, err := json.Marshal(rules)
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}

// loaded has one of the rules, and those that it may refer to.
func loaded(t *testing.T, rules map[string]any, name string) *policy.Enforcer {
	t.Helper()
	some := map[string]any{name: rules[name]}
	for _, shared := range []string{"admin", "owner", "admin_or_owner", "default"} {
		some[shared] = rules[shared]
	}
	e, err := policy.Load(policy.Config{File: file(t, document(t, some))})
	if err != nil {
		t.Fatalf("%q: %v", rules[name], err)
	}
	return e
}
