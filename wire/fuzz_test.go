package wire_test

import (
	"encoding/json"
	"errors"
	"math/big"
	"regexp"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/goslo/goslo/transport"
	"github.com/goslo/goslo/wire"
)

// valid is encoding/json's opinion of a text in which NaN and infinities stand for numbers.
func valid(text []byte) bool {
	plain := tokens.ReplaceAllFunc(text, func(token []byte) []byte {
		if token[0] == '"' {
			return token
		}
		return []byte(" 0 ")
	})
	return json.Valid(plain) && utf8.Valid(text)
}

// tooDeep tells the one reason to refuse what encoding/json takes.
func tooDeep(err error) bool {
	var p *wire.ParseError
	return errors.As(err, &p) && strings.Contains(p.Problem, "wire.MaxDepth")
}

// object decodes the members of an object with encoding/json.
func object(text []byte) (map[string]json.RawMessage, error) {
	var m map[string]json.RawMessage
	err := json.Unmarshal([]byte(neutral(string(text))), &m)
	if err == nil && m == nil {
		err = errors.New("null")
	}
	return m, err
}

// isString reports whether v, out of a neutral text, was a string before.
func isString(v json.RawMessage) bool {
	return v[0] == '"' && !strings.HasPrefix(string(v), `"non-finite `)
}

// reference is Parse as one would write it with encoding/json, of the fields that need no interpretation.
func reference(body []byte) (fields, context map[string]any, err error) {
	if !utf8.Valid(body) {
		return nil, nil, errors.New("not UTF-8")
	}
	members, err := object(body)
	if err != nil {
		return nil, nil, err
	}
	if version, ok := members["oslo.version"]; ok && members["oslo.message"] != nil {
		var v, message string
		if !isString(version) || !isString(members["oslo.message"]) {
			return nil, nil, errors.New("envelope of another kind")
		}
		if err := errors.Join(json.Unmarshal(version, &v), json.Unmarshal(members["oslo.message"], &message)); err != nil {
			return nil, nil, err
		}
		if ok, _ := compatible("2.0", v); !ok {
			return nil, nil, errors.New("envelope of another version")
		}
		if members, err = object([]byte(message)); err != nil {
			return nil, nil, err
		}
	}
	for _, id := range []string{"_msg_id", "_reply_q", "_unique_id"} {
		if v := members[id]; v != nil && !isString(v) && v[0] != 'n' {
			return nil, nil, errors.New("an id of another kind")
		}
	}
	fields, context = map[string]any{}, map[string]any{}
	for k, v := range members {
		if !isString(v) && v[0] == '"' && !strings.HasPrefix(k, "_context_") && k != "args" && k != "result" {
			continue
		}
		var decoded any
		d := json.NewDecoder(strings.NewReader(string(v)))
		d.UseNumber()
		if err := d.Decode(&decoded); err != nil {
			return nil, nil, err
		}
		fields[k] = decoded
		after, ok := strings.CutPrefix(k, "_context_")
		if ok && after != "msg_id" && after != "reply_q" && after != "client_timeout" {
			context[after] = decoded
		}
	}
	return fields, context, nil
}

func FuzzParse(f *testing.F) {
	for _, name := range goldens(f) {
		body := golden(f, name)
		f.Add(body)
		f.Add([]byte(inner(f, body)))
	}
	for _, m := range messages() {
		body, err := wire.AppendEnvelope(nil, m)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(body)
	}
	f.Add([]byte(`{"oslo.version":"2.0","oslo.message":"{\"method\":5,\"args\":null,\"method\":\"\\ud83d\"}"}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		m, err := wire.Parse(body)
		fields, context, refErr := reference(body)
		if (err == nil) != (refErr == nil) && !tooDeep(err) {
			t.Fatalf("Parse: %v\nencoding/json: %v", err, refErr)
		}
		if err != nil {
			return
		}
		text := func(key string) string {
			s, _ := fields[key].(string)
			return s
		}
		if m.ID != text("_msg_id") || m.UniqueID != text("_unique_id") || m.ReplyTo != text("_reply_q") {
			t.Errorf("ids %q, %q, %q of %v", m.ID, m.UniqueID, m.ReplyTo, fields)
		}
		if s, ok := fields["method"].(string); ok && m.Method != s {
			t.Errorf("method %q, want %q", m.Method, s)
		}
		if m.Monitor < 0 {
			t.Errorf("monitor %v", m.Monitor)
		}
		switch {
		case m.Args != nil:
			checkRequest(t, m, fields, context)
		case fields["result"] != nil:
			if diff := cmp.Diff(fields["result"], value(t, m.Result)); diff != "" {
				t.Errorf("result: %s", diff)
			}
		}
		if m.Method != "" || m.Args == nil {
			roundTrip(t, m)
		}
	})
}

func checkRequest(t *testing.T, m *transport.Message, fields, context map[string]any) {
	t.Helper()
	want, ok := fields["args"]
	if !ok {
		want = map[string]any{}
	}
	if diff := cmp.Diff(want, value(t, m.Args)); diff != "" {
		t.Errorf("args: -want +got:\n%s", diff)
	}
	got, _ := value(t, m.Context).(map[string]any)
	if len(context) != len(got) || len(got) > 0 && !cmp.Equal(context, got) {
		t.Errorf("context %s, want %v", m.Context, context)
	}
	if s, ok := fields["version"].(string); ok && m.Version != s {
		t.Errorf("version %q, want %q", m.Version, s)
	}
	if s, ok := fields["namespace"].(string); ok && m.Namespace != s {
		t.Errorf("namespace %q, want %q", m.Namespace, s)
	}
}

// roundTrip writes m, if it can be written, in both forms, and reads it again.
func roundTrip(t *testing.T, m *transport.Message) {
	t.Helper()
	want := *m
	if want.Method != "" && want.Version == "" {
		want.Version = "1.0"
	}
	if want.ID == "" && want.ReplyTo == "" {
		want.Monitor = 0
	}
	for _, encode := range []func([]byte, *transport.Message) ([]byte, error){wire.AppendEnvelope, wire.AppendMessage} {
		body, err := encode(nil, m)
		if err != nil {
			continue
		}
		for i, c := range body {
			if c < ' ' || c > '~' {
				t.Fatalf("byte %d is %#x: %s", i, c, body)
			}
		}
		if !valid(body) {
			t.Fatalf("encoding/json cannot read %s", body)
		}
		again, err := wire.Parse(body)
		if err != nil {
			t.Fatalf("%v\n%s", err, body)
		}
		if m.UniqueID == "" {
			again.UniqueID = ""
		}
		if want.Failure != nil && string(want.Failure) == "null" {
			want.Failure = nil
		}
		// Seconds are a float64 on the wire, which has fewer digits than a Duration.
		if d := again.Monitor - want.Monitor; d.Abs() <= want.Monitor/1e15 {
			again.Monitor = want.Monitor
		}
		if want.Method != "" && len(value0(t, want.Args)) == 0 {
			want.Args, again.Args = nil, nil
		}
		if diff := cmp.Diff(&want, again, sameJSON(t)); diff != "" {
			t.Fatalf("-sent +received:\n%s\n%s", diff, body)
		}
	}
}

// value0 decodes an object, for which null will do.
func value0(t *testing.T, text []byte) map[string]any {
	t.Helper()
	v, _ := value(t, text).(map[string]any)
	return v
}

func FuzzAppend(f *testing.F) {
	for _, m := range messages() {
		f.Add(m.Method, m.Namespace, m.Version, []byte(m.Args), []byte(m.Context), m.ID, m.ReplyTo, int64(m.Monitor), m.UniqueID, []byte(m.Result), []byte(m.Failure), m.Ending)
	}
	f.Fuzz(func(t *testing.T, method, namespace, version string, args, context []byte, id, replyTo string, monitor int64, uniqueID string, result, failure []byte, ending bool) {
		for _, s := range []*string{&method, &namespace, &version, &id, &replyTo, &uniqueID} {
			*s = strings.ToValidUTF8(*s, "\ufffd")
		}
		var m *transport.Message
		if method != "" {
			m = &transport.Message{Method: method, Namespace: namespace, Version: version, Args: args, Context: context, ID: id, ReplyTo: replyTo, Monitor: time.Duration(monitor), UniqueID: uniqueID}
		} else {
			m = &transport.Message{ID: id, UniqueID: uniqueID, Result: result, Failure: failure, Ending: ending}
		}
		body, err := wire.AppendMessage(nil, m)
		ok := valid(orNull(args)) && valid(orNull(context)) && isObject(args) && isObject(context) && monitor >= 0
		if method == "" {
			ok = valid(orNull(result)) && valid(orNull(failure)) && isObject(failure) && id != ""
		}
		if ok != (err == nil) && !tooDeep(err) {
			t.Fatalf("AppendMessage: %v, want success: %t", err, ok)
		}
		if err != nil {
			return
		}
		fields, err := object(body)
		if err != nil {
			t.Fatalf("%v\n%s", err, body)
		}
		var got string
		if err := json.Unmarshal(fields["_unique_id"], &got); err != nil || uniqueID != "" && got != uniqueID {
			t.Errorf("unique id %q, want %q: %v", got, uniqueID, err)
		}
		for _, hidden := range []string{"msg_id", "reply_q", "client_timeout"} {
			if _, ok := fields["_context_"+hidden]; ok {
				return
			}
		}
		if m.Context != nil && len(value0(t, m.Context)) == 0 {
			m.Context = nil
		}
		if len(m.Result) == 0 || value(t, m.Result) == nil {
			m.Result = nil
		}
		if len(m.Failure) == 0 || value(t, m.Failure) == nil {
			m.Failure = nil
		}
		roundTrip(t, m)
	})
}

func orNull(text []byte) []byte {
	if len(text) == 0 {
		return []byte("null")
	}
	return text
}

func isObject(text []byte) bool {
	text = []byte(strings.TrimLeft(string(orNull(text)), " \n\r\t"))
	return len(text) > 0 && (text[0] == '{' || text[0] == 'n')
}

func FuzzParseFailure(f *testing.F) {
	for name := range goldenFailures() {
		m, err := wire.Parse(golden(f, name))
		if err != nil {
			f.Fatal(err)
		}
		f.Add([]byte(m.Failure))
	}
	f.Add([]byte(`{"class":5,"message":{"a":1},"tb":"all of it","args":"alone","kwargs":[1],"class":null}`))
	f.Add([]byte(`{"class":"C_Remote","module":"m_Remote","args":[ NaN , [1, {}], "a"],"tb":[1 ,null]}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		failure, err := wire.ParseFailure(text)
		fields, refErr := object(text)
		if (err == nil) != (refErr == nil && utf8.Valid(text)) && !tooDeep(err) {
			t.Fatalf("ParseFailure: %v\nencoding/json: %v", err, refErr)
		}
		if err != nil {
			return
		}
		var class string
		if json.Unmarshal(fields["class"], &class) == nil && failure.Class != class {
			t.Errorf("class %q, want %q", failure.Class, class)
		}
		var args []json.RawMessage
		if json.Unmarshal(fields["args"], &args) == nil && len(args) != len(failure.Args) {
			t.Errorf("%d arguments, want %d", len(failure.Args), len(args))
		}
		body, err := wire.AppendFailure(nil, failure)
		if tooDeep(err) {
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		again, err := wire.ParseFailure(body)
		if err != nil {
			t.Fatalf("%v\n%s", err, body)
		}
		if strings.HasSuffix(failure.Class, "_Remote") && strings.HasSuffix(failure.Module, "_Remote") {
			failure.Class = strings.TrimSuffix(failure.Class, "_Remote")
			failure.Module = strings.TrimSuffix(failure.Module, "_Remote")
		}
		if failure.Module == "exceptions" {
			failure.Module = "builtins"
		}
		if failure.Kwargs == nil {
			failure.Kwargs = json.RawMessage(`{}`)
		}
		if diff := cmp.Diff(failure, again, sameJSON(t), cmp.Transformer("length", func(list []json.RawMessage) map[int]json.RawMessage {
			m := map[int]json.RawMessage{}
			for i, v := range list {
				m[i] = v
			}
			return m
		})); diff != "" {
			t.Errorf("-sent +received:\n%s\n%s", diff, body)
		}
	})
}

func FuzzUnmarshal(f *testing.F) {
	for _, name := range goldens(f) {
		body := golden(f, name)
		f.Add(body)
		f.Add([]byte(inner(f, body)))
	}
	f.Add([]byte(` [NaN,-Infinity,"NaN",{"Infinity":Infinity}, -1.5e-7, "\ud83d", 1e999] `))
	for _, text := range shapedTexts {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		sameAsEncodingJSON(t, data)
		var raw json.RawMessage
		err := wire.Unmarshal(data, &raw)
		if (err == nil) != valid(data) && !tooDeep(err) {
			t.Fatalf("Unmarshal: %v, valid: %t", err, valid(data))
		}
		if err != nil {
			return
		}
		if string(raw) != strings.Trim(string(data), " \n\r\t") {
			t.Errorf("raw %q", raw)
		}
		var got any
		if err := wire.Unmarshal(data, &got); err != nil {
			t.Fatal(err)
		}
		want := value(t, []byte(tokens.ReplaceAllStringFunc(string(data), func(token string) string {
			if token[0] == '"' {
				return token
			}
			return `"` + token + `"`
		})))
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("-encoding/json +wire:\n%s", diff)
		}
	})
}

// number is Python's int() for ASCII digits, nil for a value error.
func number(text string) *big.Int {
	text = strings.TrimSpace(text)
	if !regexp.MustCompile(`^[+-]?[0-9]+(_[0-9]+)*$`).MatchString(text) {
		return nil
	}
	n, _ := new(big.Int).SetString(strings.ReplaceAll(text, "_", ""), 10)
	return n
}

func FuzzCompatible(f *testing.F) {
	for _, pair := range [][2]string{{"1.23", "1.23.1"}, {"", "1.0"}, {"1.0", ""}, {"1.0", "2"}, {"1._0", "1.0_0.5"}, {" 1.-0 ", "+1.0.x"}, {"9999999999999999999999.0", "1"}} {
		f.Add(pair[0], pair[1])
	}
	f.Fuzz(func(t *testing.T, implemented, requested string) {
		got, err := wire.Compatible(implemented, requested)
		want, ok := compatible(implemented, requested)
		if ok != (err == nil) || got != want {
			t.Fatalf("Compatible(%q, %q) = %t, %v, want %t without error: %t", implemented, requested, got, err, want, ok)
		}
	})
}

// compatible is the rule of section 7 in so many words. It reports false, false for a value or index error.
func compatible(implemented, requested string) (answer, ok bool) {
	if implemented == "" || requested == "" {
		return implemented == "", true
	}
	a, b := strings.Split(implemented, "."), strings.Split(requested, ".")
	compare := func(i int) (int, bool) {
		x, y := "0", "0"
		if i < 2 && (len(a) <= i || len(b) <= i) {
			return 0, false
		}
		if i < len(a) {
			x = a[i]
		}
		if i < len(b) {
			y = b[i]
		}
		m, n := number(x), number(y)
		if m == nil || n == nil {
			return 0, false
		}
		return m.Cmp(n), true
	}
	for i := range 3 {
		c, ok := compare(i)
		switch {
		case !ok:
			return false, false
		case i == 0 && c != 0:
			return false, true
		case i == 1 && c != 0:
			return c > 0, true
		case i == 2:
			return c >= 0, true
		}
	}
	return true, true
}
