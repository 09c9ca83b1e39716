package wire_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"os/exec"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/goslo/goslo/transport"
	"github.com/goslo/goslo/wire"
)

// The system's Python, which is the one that has the packaged oslo.messaging.
const python = "/usr/bin/python3"

// pythonDecodes returns what the real library makes of each body, one JSON object each.
func pythonDecodes(t *testing.T, bodies [][]byte) []string {
	t.Helper()
	var input, stderr bytes.Buffer
	for _, body := range bodies {
		line, err := json.Marshal(string(body))
		if err != nil {
			t.Fatal(err)
		}
		input.Write(append(line, '\n'))
	}
	c := exec.CommandContext(t.Context(), python, "-B", "../interop/capture/decode.py")
	c.Stdin, c.Stderr = &input, &stderr
	c.WaitDelay = 10 * time.Second
	output, err := c.Output()
	if err != nil {
		t.Fatalf("decode.py: %v\n%s\nThis test needs the real library: apt-get install python3-oslo.messaging", err, stderr.Bytes())
	}
	var answers []string
	for s := bufio.NewScanner(bytes.NewReader(output)); s.Scan(); {
		answers = append(answers, s.Text())
	}
	if len(answers) != len(bodies) {
		t.Fatalf("%d answers to %d bodies:\n%s", len(answers), len(bodies), stderr.Bytes())
	}
	return answers
}

// The real library makes the same of a body that we write as of the one that it wrote itself.
//
// conforms: ENV-01, ENV-06, ENV-07, ENV-08, ENV-09, ENV-10, ENV-18, ENV-23, CTX-01, CTX-03, EXC-01
func TestPythonDecodesOurGoldens(t *testing.T) {
	t.Parallel()
	var names []string
	var bodies [][]byte
	add := func(name string, m *transport.Message) {
		ours, err := wire.AppendEnvelope(nil, m)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		bare, err := wire.AppendMessage(nil, m)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		names = append(names, name)
		bodies = append(bodies, golden(t, name), ours, bare)
	}
	parsed := func(name string) *transport.Message {
		m, err := wire.Parse(golden(t, name))
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		return m
	}
	for _, g := range goldenRequests() {
		add(g.file, sent(g, parsed(g.file)))
	}
	for _, g := range goldenReplies() {
		add(g.file, parsed(g.file))
	}
	for name := range goldenFailures() {
		m := parsed(name)
		f, err := wire.ParseFailure(m.Failure)
		if err != nil {
			t.Fatal(err)
		}
		if m.Failure, err = wire.AppendFailure(nil, f); err != nil {
			t.Fatal(err)
		}
		add(name, m)
	}
	answers := pythonDecodes(t, bodies)
	for i, name := range names {
		theirs, ours, bare := answers[3*i], answers[3*i+1], answers[3*i+2]
		if bytes.Contains([]byte(theirs), []byte(`"error"`)) {
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

// What Python makes of bodies at the edges is what the package's documentation says of it.
func TestPythonAtTheEdges(t *testing.T) {
	t.Parallel()
	message := func(m *transport.Message) string {
		body, err := wire.AppendEnvelope(nil, m)
		if err != nil {
			t.Fatal(err)
		}
		return string(body)
	}
	failure := func(f *wire.Failure) *transport.Message {
		text, err := wire.AppendFailure(nil, f)
		if err != nil {
			t.Fatal(err)
		}
		return &transport.Message{ID: "m", UniqueID: "u", Ending: true, Failure: text}
	}
	class := wire.Failure{Class: "OutOfStock", Module: "shop.errors", Message: "none", Args: raws(`"none"`), Kwargs: json.RawMessage(`{"sku":7}`), Traceback: []string{"l1\n", "l2\n"}}
	marked := class
	marked.Class, marked.Module = "OutOfStock_Remote", "shop.errors_Remote"
	const rebuilt = `{"ending": true, "exception": {"args": ["none"], "bases": ["OutOfStock_Remote", "OutOfStock", "Exception", "BaseException", "object"], ` +
		`"kwargs": {"sku": 7}, "module": "shop.errors_Remote", "text": "none\nl1\n\nl2\n", "type": "OutOfStock_Remote"}, "msg_id": "m"}`
	tests := []struct{ body, want string }{
		{
			message(&transport.Message{Method: "m\u00e9\"\\\x7f😀", Namespace: "n", UniqueID: "u", Args: json.RawMessage("{\n\t\"a\" : [ 1 ]\r\n}")}),
			`{"context": {"client_timeout": null}, "message": {"args": {"a": [1]}, "method": "m\u00e9\"\\\u007f\ud83d\ude00", "namespace": "n"}, "msg_id": null, "reply_q": null, "unique_id": "u"}`,
		},
		// conforms: EXC-01
		{message(failure(&class)), rebuilt},
		// conforms: EXC-06
		{message(failure(&marked)), rebuilt},
		// conforms: EXC-02
		{
			`{"_msg_id":"m","ending":true,"result":null,"failure":{"class":"ValueError","module":"builtins"}}`,
			`{"error": "JSONDecodeError('Expecting property name enclosed in double quotes: line 1 column 2 (char 1)')"}`,
		},
	}
	bodies := make([][]byte, 0, len(tests))
	for _, test := range tests {
		bodies = append(bodies, []byte(test.body))
	}
	for i, answer := range pythonDecodes(t, bodies) {
		if diff := cmp.Diff(tests[i].want, answer); diff != "" {
			t.Errorf("%s: -want +Python's answer:\n%s", bodies[i], diff)
		}
	}
}
