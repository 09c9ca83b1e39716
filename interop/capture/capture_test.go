package capture_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/goslo/goslo/transport"
	"github.com/goslo/goslo/wire"
)

// The system's Python, which is the one that has the packaged oslo.messaging.
const python = "/usr/bin/python3"

const (
	golden        = "../../wire/testdata/golden"
	notifications = "../../wire/testdata/notifications"
)

// run runs one of the programs to its end and returns what it printed.
func run(t *testing.T, input []byte, program string, args ...string) []byte {
	t.Helper()
	c := exec.CommandContext(t.Context(), python, append([]string{"-B", program}, args...)...)
	var stderr bytes.Buffer
	c.Stdin, c.Stderr = bytes.NewReader(input), &stderr
	c.WaitDelay = 10 * time.Second
	output, err := c.Output()
	if err != nil {
		t.Fatalf("%s: %v\n%s\nThis test needs the real library: apt-get install python3-oslo.messaging", program, err, stderr.Bytes())
	}
	return output
}

// decode returns what the real library makes of each body, one line of JSON each.
func decode(t *testing.T, bodies []string) []string {
	t.Helper()
	return answers(t, bodies, "decode.py")
}

// answers are what a program says to each body.
func answers(t *testing.T, bodies []string, program string, args ...string) []string {
	t.Helper()
	var input bytes.Buffer
	for _, body := range bodies {
		line, err := json.Marshal(body)
		if err != nil {
			t.Fatal(err)
		}
		input.Write(append(line, '\n'))
	}
	output := run(t, input.Bytes(), program, args...)
	var answers []string
	for s := bufio.NewScanner(bytes.NewReader(output)); s.Scan(); {
		answers = append(answers, s.Text())
	}
	if len(answers) != len(bodies) {
		t.Fatalf("%d answers to %d bodies:\n%s", len(answers), len(bodies), output)
	}
	return answers
}

// bodies returns the files of a folder by name.
func bodies(t *testing.T, folder string) map[string]string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(folder, "*.json"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no bodies in %s: %v", folder, err)
	}
	found := make(map[string]string, len(files))
	for _, f := range files {
		body, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		found[filepath.Base(f)] = string(body)
	}
	return found
}

// lines are where a traceback says at which line of the library it was.
var lines = regexp.MustCompile(`line [0-9]+`)

// The golden files are what the library writes today: nobody edited them, and it has not changed. Line
// numbers in tracebacks differ from release to release.
func TestGoldenFilesAreCaptured(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	run(t, nil, "capture.py", folder)
	number := func(all map[string]string) map[string]string {
		for name, body := range all {
			all[name] = lines.ReplaceAllString(body, "line N")
		}
		return all
	}
	if diff := cmp.Diff(number(bodies(t, golden)), number(bodies(t, folder))); diff != "" {
		t.Errorf("run capture.py %s: -golden +captured:\n%s", golden, diff)
	}
}

// The real library makes the same of a body that we write as of the one that it wrote itself, in an
// envelope and without one.
//
// conforms: ENV-01, ENV-06, ENV-07, ENV-08, ENV-09, ENV-10, ENV-18, ENV-23, CTX-01, CTX-03, EXC-01
func TestPythonDecodesOurs(t *testing.T) {
	t.Parallel()
	goldens := bodies(t, golden)
	var names, ask []string
	for name, body := range goldens {
		m, err := wire.Parse([]byte(body))
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if m.Version == "1.0" {
			m.Version = "" // No golden request says 1.0: it is what a missing version reads.
		}
		if m.Failure != nil {
			m.Failure = again(t, m.Failure)
		}
		ours, err := wire.AppendEnvelope(nil, m)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		bare, err := wire.AppendMessage(nil, m)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		names = append(names, name)
		ask = append(ask, body, string(ours), string(bare))
	}
	answers := decode(t, ask)
	for i, name := range names {
		theirs, ours, bare := answers[3*i], answers[3*i+1], answers[3*i+2]
		if strings.HasPrefix(theirs, `{"error"`) {
			t.Errorf("%s: Python refuses its own body: %s", name, theirs)
		}
		if diff := cmp.Diff(theirs, ours); diff != "" {
			t.Errorf("%s: -Python's body +ours:\n%s", name, diff)
		}
		// conforms: ENV-02, ENV-13
		if diff := cmp.Diff(theirs, bare); diff != "" {
			t.Errorf("%s: -Python's body +ours without an envelope:\n%s", name, diff)
		}
	}
}

// again decodes and encodes a failure.
func again(t *testing.T, failure json.RawMessage) json.RawMessage {
	t.Helper()
	f, err := wire.ParseFailure(failure)
	if err != nil {
		t.Fatal(err)
	}
	text, err := wire.AppendFailure(nil, f)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func TestPythonAtTheEdges(t *testing.T) {
	t.Parallel()
	message := func(m *transport.Message) string {
		body, err := wire.AppendEnvelope(nil, m)
		if err != nil {
			t.Fatal(err)
		}
		return string(body)
	}
	failure := func(class, module string) string {
		text, err := wire.AppendFailure(nil, &wire.Failure{
			Class: class, Module: module, Message: "none", Traceback: []string{"l1\n", "l2\n"},
			Args: []json.RawMessage{json.RawMessage(`"none"`)}, Kwargs: json.RawMessage(`{"sku":7}`),
		})
		if err != nil {
			t.Fatal(err)
		}
		return message(&transport.Message{ID: "m", UniqueID: "u", Ending: true, Failure: text})
	}
	const rebuilt = `{"ending": true, "exception": {"args": ["none"], "bases": ["OutOfStock_Remote", "OutOfStock", "Exception", "BaseException", "object"], ` +
		`"kwargs": {"sku": 7}, "module": "shop.errors_Remote", "text": "none\nl1\n\nl2\n", "type": "OutOfStock_Remote"}, "msg_id": "m"}`
	tests := []struct{ body, want string }{
		// conforms: ENV-17
		{
			message(&transport.Message{Method: "m\u00e9\"\\\x7f😀", Namespace: "n", UniqueID: "u", Args: json.RawMessage("{\n\t\"a\" : [ 1 ]\r\n}")}),
			`{"context": {"client_timeout": null}, "message": {"args": {"a": [1]}, "method": "m\u00e9\"\\\u007f\ud83d\ude00", "namespace": "n"}, "msg_id": null, "reply_q": null, "unique_id": "u"}`,
		},
		// conforms: EXC-01
		{failure("OutOfStock", "shop.errors"), rebuilt},
		// conforms: EXC-06
		{failure("OutOfStock_Remote", "shop.errors_Remote"), rebuilt},
		// Why a failure must be a string.
		//
		// conforms: EXC-02
		{
			`{"_msg_id":"m","ending":true,"result":null,"failure":{"class":"ValueError","module":"builtins"}}`,
			`{"error": "JSONDecodeError('Expecting property name enclosed in double quotes: line 1 column 2 (char 1)')"}`,
		},
	}
	ask := make([]string, 0, len(tests))
	for _, test := range tests {
		ask = append(ask, test.body)
	}
	for i, answer := range decode(t, ask) {
		if diff := cmp.Diff(tests[i].want, answer); diff != "" {
			t.Errorf("%s: -want +Python's answer:\n%s", ask[i], diff)
		}
	}
}

// What Parse refuses of bodies, Python refuses too, and what it takes, Python takes.
//
// conforms: ENV-02, ENV-03, ENV-04, ENV-05, ENV-11, ENV-12, ENV-14
func TestPythonAgreesOnBodies(t *testing.T) {
	t.Parallel()
	const reply = `\"result\":1,\"failure\":null,\"ending\":true,\"_msg_id\":\"m\"`
	refused := []string{
		`{"oslo.version":"1.0","oslo.message":"{` + reply + `}"}`,
		`{"oslo.version":"2.1","oslo.message":"{` + reply + `}"}`,
		`{"oslo.version":"3.0","oslo.message":"{` + reply + `}"}`,
		`{"oslo.version":"2","oslo.message":"{` + reply + `}"}`,
		`{"oslo.version":null,"oslo.message":"{` + reply + `}"}`,
		`{"oslo.version":2.0,"oslo.message":"{` + reply + `}"}`,
		`{"oslo.version":"2.0","oslo.message":{}}`,
		`{"oslo.version":"2.0","oslo.message":null}`,
		`{"oslo.version":"2.0","oslo.message":"[1]"}`,
		`{"oslo.version":"2.0","oslo.message":""}`,
		`"text"`, `[{}]`, `5`, `nul`, `{"a":1,}`, `{"a":01}`, `{"a":"\x"}`, "{\"a\":\"\n\"}",
	}
	taken := map[string]string{
		`{"oslo.version":"2.0","oslo.message":"{` + reply + `}"}`:                             `{"ending": true, "msg_id": "m", "result": 1}`,
		`{"oslo.version":"2.0.0","oslo.message":"{` + reply + `}","x":1}`:                     `{"ending": true, "msg_id": "m", "result": 1}`,
		`{"oslo.version":"9","result":[NaN],"failure":"","ending":1,"ending":true}`:           `{"ending": true, "msg_id": null, "result": [NaN]}`,
		`{"result":{"a":1},"failure":false,"_msg_id":"m"}`:                                    `{"ending": false, "msg_id": "m", "result": {"a": 1}}`,
		`{"failure":null,"ending":true,"_msg_id":"m"}`:                                        `{"ending": true, "msg_id": "m", "result": null}`,
		`{"result":null,"failure":null,"ending":false,"_msg_id":"m","_unique_id":"u"}`:        `{"ending": false, "msg_id": "m", "result": null}`,
		`{"result":1,"_msg_id":"m"}`:                                                          `{"error": "KeyError('failure')"}`,
		`{"failure":"it broke","ending":true}`:                                                `{"error": "JSONDecodeError('Expecting value: line 1 column 1 (char 0)')"}`,
		`{"method":"m","_context_":0,"_context_msg_id":1,"_context_client_timeout":2,"x":[]}`: `{"context": {"": 0, "client_timeout": null}, "message": {"method": "m", "x": []}, "msg_id": null, "reply_q": null, "unique_id": null}`,
	}
	answers := decode(t, refused)
	for i, body := range refused {
		if _, err := wire.Parse([]byte(body)); err == nil || !strings.HasPrefix(answers[i], `{"error"`) {
			t.Errorf("%s\nParse: %v\nPython: %s", body, err, answers[i])
		}
	}
	ask := make([]string, 0, len(taken))
	for body := range taken {
		ask = append(ask, body)
	}
	slices.Sort(ask)
	for i, answer := range decode(t, ask) {
		if _, err := wire.Parse([]byte(ask[i])); err != nil || answer != taken[ask[i]] {
			t.Errorf("%s\nParse: %v\nPython: %s\nwant:   %s", ask[i], err, answer, taken[ask[i]])
		}
	}
}
