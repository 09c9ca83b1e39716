package rpc_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/goslo/goslo/rpc"
)

var (
	compute = rpc.Target{Topic: "compute", Version: "6.3"}

	getConsole       = rpc.NewCall[consoleArgs, console](compute.Since("6.1"), "get_console_output")
	instanceNotFound = rpc.ErrorClass{Module: "nova.exception", Name: "InstanceNotFound"}
)

type consoleArgs struct {
	Instance string `json:"instance"`
	Lines    int    `json:"lines,omitempty"`
}

type console struct {
	Output string `json:"output"`
}

func getConsoleOutput(_ context.Context, a consoleArgs) (console, error) {
	if a.Instance == "gone" {
		return console{}, fmt.Errorf("get console: %w", instanceNotFound.Errorf("Instance %s could not be found.", a.Instance))
	}
	return console{Output: fmt.Sprintf("%s:%d", a.Instance, a.Lines)}, nil
}

// conforms: RPC-CLIENT-04, RPC-SERVER-11, DISP-15
func TestLocalCall(t *testing.T) {
	t.Parallel()
	client := rpc.Local(getConsole.Handle(getConsoleOutput))
	got, err := getConsole.Call(t.Context(), client, consoleArgs{Instance: "a", Lines: 3})
	if err != nil || got.Output != "a:3" {
		t.Fatalf("Call = %+v, %v", got, err)
	}
	_, err = getConsole.Call(t.Context(), client, consoleArgs{Instance: "gone"})
	if !errors.Is(err, instanceNotFound) {
		t.Fatalf("error %v is not of the class %v", err, instanceNotFound)
	}
	if errors.Is(err, rpc.ErrorClass{Module: "cinder.exception", Name: "InstanceNotFound"}) {
		t.Error("a class of another module matches")
	}
	var remote *rpc.RemoteError
	if !errors.As(err, &remote) || remote.Message != "Instance gone could not be found." {
		t.Fatalf("remote error %+v", remote)
	}
	// conforms: EXC-04
	if diff := cmp.Diff([]json.RawMessage{json.RawMessage(`"Instance gone could not be found."`)}, remote.Args); diff != "" {
		t.Error(diff)
	}
	// conforms: EXC-05
	if last := remote.Traceback[len(remote.Traceback)-1]; last != "nova.exception.InstanceNotFound: Instance gone could not be found.\n" {
		t.Errorf("last line of the traceback is %q", last)
	}
}

// The rule of dispatch, by which endpoint and method answer a request.
func TestDispatch(t *testing.T) {
	t.Parallel()
	answer := func(text string) func(context.Context, rpc.Args) (string, error) {
		return func(context.Context, rpc.Args) (string, error) { return text, nil }
	}
	call := func(namespace, version, method string) rpc.Call[rpc.Args, string] {
		return rpc.NewCall[rpc.Args, string](rpc.Target{Topic: "t", Namespace: namespace, Version: version}, method)
	}
	client := rpc.Local(
		call("", "1.2", "a").Handle(answer("a 1")),
		call("", "1.5", "b").Handle(answer("b 1")),
		call("", "2.0", "a").Handle(answer("a 2")),
		call("control", "2.0", "stop").Handle(answer("stopped")),
		rpc.NewEndpoint(rpc.Target{Namespace: "new", Version: "1.0"},
			call("", "", "m").Handle(answer("m"))).Accept("old", ""),
		call("", "1.0", "_secret").Handle(answer("secret")),
	)
	const noMethod, noVersion = "no such method", "unsupported version"
	for _, c := range []struct {
		why, namespace, version, method, want string
	}{
		{"DISP-01: the endpoint that has namespace, version and method", "", "1.0", "a", "a 1"},
		{"VER-04: one group implements its highest version", "", "1.5", "a", "a 1"},
		{"another major version is another endpoint", "", "2.0", "a", "a 2"},
		{"DISP-05: no version means 1.0", "", "", "b", "b 1"},
		{"DISP-06: a newer minor version", "", "1.6", "b", noVersion},
		{"DISP-06: an unknown major version", "", "3.0", "b", noVersion},
		{"DISP-06: an unknown namespace", "nobody", "1.0", "a", noVersion},
		{"DISP-07: the endpoint is there, the method is not", "", "1.0", "c", noMethod},
		{"DISP-04: a namespace of its own", "control", "2.0", "stop", "stopped"},
		{"DISP-04: methods stay in their namespace", "", "2.0", "stop", noMethod},
		{"DISP-04: a legacy namespace", "old", "1.0", "m", "m"},
		{"DISP-04: its own namespace too", "new", "1.0", "m", "m"},
		{"DISP-04: null among the legacy namespaces", "", "1.0", "m", "m"},
		{"DISP-09: an underscore hides a method", "", "1.0", "_secret", noMethod},
	} {
		// conforms: DISP-01, DISP-02, DISP-04, DISP-05, DISP-06, DISP-07, DISP-08, DISP-09, TGT-02
		got, err := call(c.namespace, c.version, c.method).Call(t.Context(), client, nil)
		var (
			noMethodError *rpc.NoSuchMethodError
			versionError  *rpc.VersionError
		)
		switch {
		case errors.As(err, &noMethodError):
			got = noMethod
			if !errors.Is(err, rpc.ClassNoSuchMethod) || noMethodError.Method != c.method {
				t.Errorf("%s: error %#v", c.why, err)
			}
		case errors.As(err, &versionError):
			got = noVersion
			if !errors.Is(err, rpc.ClassUnsupportedVersion) {
				t.Errorf("%s: error %#v", c.why, err)
			}
		case err != nil:
			t.Errorf("%s: %v", c.why, err)
		}
		if got != c.want {
			t.Errorf("%s: got %q, want %q", c.why, got, c.want)
		}
	}
}

// conforms: DISP-06
func TestNoEndpoints(t *testing.T) {
	t.Parallel()
	_, err := getConsole.Call(t.Context(), rpc.Local(), consoleArgs{})
	var version *rpc.VersionError
	if !errors.As(err, &version) || version.Version != "6.1" || version.Remote == nil {
		t.Fatalf("error %#v, want the server's VersionError", err)
	}
}

// conforms: RPC-CLIENT-17, RPC-CLIENT-18, RPC-CLIENT-20
func TestPin(t *testing.T) {
	t.Parallel()
	client := rpc.Local(getConsole.Handle(getConsoleOutput))
	if !client.CanSend("99.0") || !client.CanSend("") {
		t.Error("without a pin everything may be sent")
	}
	old := client.Pin("6.0")
	for version, want := range map[string]bool{"6.0": true, "6.1": false, "5.0": false, "": false, "x": false} {
		if got := old.CanSend(version); got != want {
			t.Errorf("CanSend(%q) under 6.0 = %v", version, got)
		}
	}
	_, err := getConsole.Call(t.Context(), old, consoleArgs{})
	var version *rpc.VersionError
	if !errors.As(err, &version) || version.Cap != "6.0" || version.Version != "6.1" || version.Remote != nil {
		t.Fatalf("error %#v, want a VersionError of the pin", err)
	}
	unversioned := rpc.NewCast[rpc.Args](rpc.Target{Topic: "t"}, "m")
	if err := unversioned.Cast(t.Context(), old, nil); !errors.As(err, &version) {
		t.Errorf("unversioned under a pin: %v", err)
	}
	if _, err := getConsole.Call(t.Context(), client.Pin("6.1"), consoleArgs{}); err != nil {
		t.Errorf("under a pin that allows it: %v", err)
	}
}

// conforms: RPC-CLIENT-05, RPC-CLIENT-08, TRN-06, TGT-08
func TestBadTargets(t *testing.T) {
	t.Parallel()
	client := rpc.Local(getConsole.Handle(getConsoleOutput))
	call := func(target rpc.Target, method string) error {
		_, err := rpc.NewCall[rpc.Args, any](target, method).Call(t.Context(), client, nil)
		return err
	}
	for why, err := range map[string]error{
		"no topic":          call(rpc.Target{}, "m"),
		"no method":         call(compute, ""),
		"one-part version":  call(rpc.Target{Topic: "t", Version: "5"}, "m"),
		"unreadable minor":  call(rpc.Target{Topic: "t", Version: "5.a"}, "m"),
		"call of a fanout":  func() error { _, err := getConsole.Call(t.Context(), client.Fanout(), consoleArgs{}); return err }(),
		"unreadable fourth": call(rpc.Target{Topic: "t", Version: "5.5.a"}, "m"),
	} {
		var target *rpc.TargetError
		if !errors.As(err, &target) {
			t.Errorf("%s: error %v, want a TargetError", why, err)
		}
	}
	// conforms: RPC-CLIENT-09
	if _, err := getConsole.Call(t.Context(), client.Fanout().To("h"), consoleArgs{}); err != nil {
		t.Errorf("To after Fanout: %v", err)
	}
}

// conforms: RPC-CLIENT-37, ENV-18
func TestResultsSurvive(t *testing.T) {
	t.Parallel()
	for _, want := range []string{`null`, `0`, `false`, `[]`, `{}`, `""`, `1180591620717411303424`, `"\u00e4\u4f60"`, `NaN`} {
		echo := rpc.NewCall[rpc.Args, json.RawMessage](rpc.Target{Topic: "t"}, "echo")
		client := rpc.Local(echo.Handle(func(context.Context, rpc.Args) (json.RawMessage, error) {
			return json.RawMessage(want), nil
		}))
		got, err := echo.Call(t.Context(), client, nil)
		if err != nil || string(got) != want {
			t.Errorf("%s came back as %s, %v", want, got, err)
		}
	}
}

func TestArguments(t *testing.T) {
	t.Parallel()
	raw := rpc.NewCall[json.RawMessage, json.RawMessage](rpc.Target{Topic: "t"}, "echo")
	client := rpc.Local(
		raw.Handle(func(_ context.Context, a json.RawMessage) (json.RawMessage, error) { return a, nil }),
		rpc.NewCall[consoleArgs, string](rpc.Target{Topic: "t"}, "typed").
			Handle(func(_ context.Context, a consoleArgs) (string, error) { return a.Instance, nil }))

	if got, err := raw.Call(t.Context(), client, nil); err != nil || string(got) != "{}" {
		t.Errorf("no arguments arrive as %s, %v; want {}", got, err)
	}
	if _, err := raw.Call(t.Context(), client, json.RawMessage(`[1]`)); err == nil {
		t.Error("an array was taken for named arguments")
	}
	if _, err := rpc.NewCall[int, any](rpc.Target{Topic: "t"}, "echo").Call(t.Context(), client, 5); err == nil {
		t.Error("a number was taken for named arguments")
	}
	typed := rpc.NewCall[json.RawMessage, string](rpc.Target{Topic: "t"}, "typed")
	if got, err := typed.Call(t.Context(), client, json.RawMessage(`{"instance":"x","unknown":1}`)); err != nil || got != "x" {
		t.Errorf("an unknown argument: %q, %v", got, err)
	}
	// A wrong type is Python's TypeError, and names the argument.
	_, err := typed.Call(t.Context(), client, json.RawMessage(`{"instance":5}`))
	if !errors.Is(err, rpc.ErrorClass{Module: "builtins", Name: "TypeError"}) {
		t.Errorf("a number for a string: %v", err)
	}
}

// conforms: EXC-06
func TestRemoteFailurePassedOn(t *testing.T) {
	t.Parallel()
	inner := rpc.Local(getConsole.Handle(func(context.Context, consoleArgs) (console, error) {
		return console{}, &rpc.RemoteError{
			Class: rpc.ErrorClass{Module: "nova.exception_Remote", Name: "InstanceNotFound_Remote"}, Message: "m",
			Args: []json.RawMessage{json.RawMessage(`"a"`), json.RawMessage(`2`)}, Kwargs: json.RawMessage(`{"id":7}`),
			Traceback: []string{"somewhere\n"},
		}
	}))
	outer := rpc.Local(getConsole.Handle(func(ctx context.Context, a consoleArgs) (console, error) {
		return getConsole.Call(ctx, inner, a)
	}))
	_, err := getConsole.Call(t.Context(), outer, consoleArgs{})
	var remote *rpc.RemoteError
	if !errors.As(err, &remote) || remote.Class != instanceNotFound {
		t.Fatalf("error %#v, want the class %v", err, instanceNotFound)
	}
	if len(remote.Args) != 2 || string(remote.Kwargs) != `{"id":7}` || len(remote.Traceback) != 1 || remote.Message != "m" {
		t.Errorf("args, kwargs, message or traceback did not survive: %+v", remote)
	}
}

func TestPanicIsAFailure(t *testing.T) {
	t.Parallel()
	client := rpc.Local(getConsole.Handle(func(context.Context, consoleArgs) (console, error) {
		panic("out of luck")
	}))
	_, err := getConsole.Call(t.Context(), client, consoleArgs{})
	var remote *rpc.RemoteError
	if !errors.As(err, &remote) || remote.Message != "panic: out of luck" || len(remote.Traceback) < 3 {
		t.Fatalf("error %+v, want a failure with the stack", remote)
	}
}

// conforms: CTX-04, CTX-06
func TestRequestContext(t *testing.T) {
	t.Parallel()
	who := rpc.NewCall[rpc.Args, json.RawMessage](rpc.Target{Topic: "t"}, "who")
	inner := rpc.Local(who.Handle(func(ctx context.Context, _ rpc.Args) (json.RawMessage, error) {
		return rpc.ContextFrom(ctx).JSON(), nil
	}))
	outer := rpc.Local(who.Handle(func(ctx context.Context, _ rpc.Args) (json.RawMessage, error) {
		if r := rpc.RequestFrom(ctx); r == nil || r.Method != "who" {
			t.Errorf("RequestFrom = %+v", r)
		}
		return who.Call(ctx, inner, nil)
	}))
	rc, err := rpc.NewRequestContext(map[string]any{"request_id": "req-1", "roles": []string{"admin"}})
	if err != nil {
		t.Fatal(err)
	}
	got, err := who.Call(rpc.WithContext(t.Context(), rc), outer, nil)
	want := `{"request_id":"req-1","roles":["admin"],"client_timeout":null}`
	if err != nil || string(got) != want {
		t.Fatalf("two hops away the context is %s, %v; want %s", got, err, want)
	}
	if id := rc.RequestID(); id != "req-1" {
		t.Errorf("RequestID = %q", id)
	}
	if got, err := who.Call(t.Context(), inner, nil); err != nil || string(got) != `{"client_timeout":null}` {
		t.Errorf("no context arrives as %s, %v", got, err)
	}
	if _, err := rpc.NewRequestContext([]int{1}); err == nil {
		t.Error("an array was taken for a context")
	}
}

// A context may hold a token, which must not get into a log.
func TestRequestContextKeepsItsSecrets(t *testing.T) {
	t.Parallel()
	rc, err := rpc.NewRequestContext(map[string]string{"request_id": "req-1", "auth_token": "s3cret"})
	if err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	slog.New(slog.NewJSONHandler(&log, nil)).Info("m", "context", rc)
	slog.New(slog.NewTextHandler(&log, nil)).Info("m", "context", rc)
	shown := log.String() + fmt.Sprintf("%v %+v %#v %s", rc, rc, rc, rc)
	if strings.Contains(shown, "s3cret") || strings.Count(shown, "req-1") != 6 {
		t.Errorf("shown as %s", shown)
	}
	again, err := rpc.NewRequestContext(rc)
	if err != nil || string(again.JSON()) != string(rc.JSON()) {
		t.Errorf("made of another context: %s, %v", again.JSON(), err)
	}
}

// conforms: TGT-07
func TestTargetString(t *testing.T) {
	t.Parallel()
	for want, target := range map[string]rpc.Target{
		"<Target >": {},
		"<Target exchange=e, topic=t, namespace=n, version=1.0>": {Exchange: "e", Topic: "t", Namespace: "n", Version: "1.0"},
		"<Target topic=t, version=2.0>":                          rpc.Target{Topic: "t", Version: "1.0"}.Since("2.0"),
	} {
		if got := target.String(); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}
