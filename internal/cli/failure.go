package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/goslo/goslo"
	"github.com/goslo/goslo/config"
	"github.com/goslo/goslo/internal/flow"
	"github.com/goslo/goslo/internal/management"
	"github.com/goslo/goslo/internal/operator"
	"github.com/goslo/goslo/internal/tap"
	"github.com/goslo/goslo/rpc"
	"github.com/goslo/goslo/transport"
)

// The exit codes.
const (
	codeRemote      = 1
	codeUsage       = 2
	codeNoServer    = 3
	codeTimeout     = 4
	codeBus         = 5
	codeFound       = 6   // by errFound
	codeInterrupted = 130 // as a shell reports a program that SIGINT ended
)

// kinds are the names of the exit codes in JSON.
var kinds = map[int]string{
	codeRemote:      "remote-failure",
	codeUsage:       "usage",
	codeNoServer:    "no-server",
	codeTimeout:     "timeout",
	codeBus:         "bus-unreachable",
	codeInterrupted: "interrupted",
}

// errFound ends a command that did what it was asked to, printed its result, and has bad news in it, so that scripts need
// not read the result. It is not printed.
var errFound = errors.New("something bad was found")

// errCutShort ends a command that was interrupted, and has printed its result so far. It is not printed.
var errCutShort = errors.New("interrupted")

// messagingTimeout is how a server says that time ran out over there: its handler's deadline, which is the
// caller's and can pass on either side first, or a call that the handler made.
var messagingTimeout = rpc.ErrorClass{Module: "oslo_messaging.exceptions", Name: "MessagingTimeout"}

// typeError is how servers of either language refuse arguments.
var typeError = rpc.ErrorClass{Module: "builtins", Name: "TypeError"}

// A usageError is a command line, or a file that it names, that cannot be used.
type usageError struct{ cause error }

func (e *usageError) Error() string { return e.cause.Error() }
func (e *usageError) Unwrap() error { return e.cause }

func usagef(format string, args ...any) error {
	return &usageError{cause: fmt.Errorf(format, args...)}
}

// A busError is a bus that could not be opened, or not be hosted.
type busError struct {
	cause   error
	hosting bool
}

func (e *busError) Error() string { return e.cause.Error() }
func (e *busError) Unwrap() error { return e.cause }

// A failure is an error as it is shown.
type failure struct {
	Code      int      `json:"code"`
	Kind      string   `json:"kind"` // of the exit code, or "failed"
	Message   string   `json:"message"`
	Bus       string   `json:"bus,omitempty"`
	Advice    string   `json:"advice,omitempty"`
	Class     string   `json:"class,omitempty"`     // of a remote failure
	Traceback []string `json:"traceback,omitempty"` // of a remote failure
}

// explain finds out what an error means for the one who typed the command.
func (a *app) explain(ctx context.Context, err error) failure {
	f := failure{Code: code(ctx, err), Message: err.Error(), Bus: a.bus.String()}
	f.Kind = kinds[f.Code]
	if f.Code == codeRemote && !answered(err) {
		f.Kind = "failed" // over here: the demo, or writing the output
	}
	f.Advice = a.advice(f.Code, err)
	if f.Code == codeUsage {
		f.Bus = ""
	}
	var remote *rpc.RemoteError
	if errors.As(err, &remote) {
		f.Class = remote.Class.Error()
		if remote.Class != rpc.ClassNoSuchMethod && remote.Class != rpc.ClassUnsupportedVersion {
			f.Traceback = remote.Traceback
		}
	}
	return f
}

func code(ctx context.Context, err error) int {
	var (
		usage    *usageError
		url      *transport.URLError
		options  *transport.OptionsError
		config   *goslo.ConfigError
		target   *rpc.TargetError
		noServer *rpc.NoServerError
		timeout  *rpc.TimeoutError
		delivery *rpc.DeliveryError
		bus      *busError
		api      *management.Error
		access   *operator.AccessError
		missing  *operator.NoQueueError
		notSeen  *notSeenError
	)
	switch {
	case errors.As(err, &usage), errors.As(err, &url), errors.As(err, &options), errors.As(err, &config), errors.As(err, &target):
		return codeUsage
	case ctx.Err() != nil && errors.Is(err, context.Canceled):
		return codeInterrupted
	case errors.As(err, &noServer), errors.As(err, &missing), errors.Is(err, tap.ErrNoRoutes), errors.Is(err, transport.ErrNoListener): // the last of a notification that the bus does not keep
		return codeNoServer
	case errors.Is(err, messagingTimeout), errors.As(err, &notSeen):
		return codeTimeout
	case errors.As(err, &timeout) && !busPhases[timeout.Phase], errors.Is(err, errTooFew):
		return codeTimeout
	case errors.As(err, &timeout), errors.As(err, &delivery), errors.As(err, &bus), errors.As(err, &api), errors.As(err, &access):
		return codeBus
	}
	return codeRemote
}

// advice says what to do about it.
func (a *app) advice(code int, err error) string {
	var (
		timeout  *rpc.TimeoutError
		version  *rpc.VersionError
		noMethod *rpc.NoSuchMethodError
		remote   *rpc.RemoteError
		bus      *busError
		options  *transport.OptionsError
		problem  *config.Problem
		source   *flow.LoadError
		api      *management.Error
		access   *operator.AccessError
		missing  *operator.NoQueueError
	)
	switch {
	case errors.As(err, &missing):
		return "goslo ls lists what there is; a queue that is gone has expired with its process, or was deleted"
	case errors.As(err, &api) && api.Advice() != "":
		return "" // the message has it
	case errors.As(err, &access) && access.Blind:
		return "the broker needs the plugin: rabbitmq-plugins enable rabbitmq_management"
	case errors.As(err, &source):
		return "run it inside the project's module, and correct what does not compile; go build and go vet tell the same"
	case len(a.configFiles) > 0 && (errors.As(err, &options) && len(options.InFiles) > 0 || errors.As(err, &problem)):
		return "correct the files; this lists what is wrong in them: goslo config check " + strings.Join(a.configFiles, " ")
	case errors.As(err, &version):
		return "give the version that the service speaks with --version, and its namespace with --namespace"
	case errors.As(err, &noMethod):
		return "check the method's name; a method of another namespace needs --namespace"
	case code == codeUsage:
		return "see " + a.command + " --help"
	case code == codeNoServer && a.bus.url == "":
		return "start a server there (goslo serve TOPIC), or name the bus that has one with --url or --config-file"
	case code == codeNoServer:
		return "check that the service runs, the spelling of topic and server, the --exchange, and that this is the service's bus"
	case errors.Is(err, messagingTimeout):
		return "look in the server's log for what it waited for, or wait longer with --timeout"
	case errors.As(err, &timeout) && timeout.Unattended:
		return unattendedAdvice[timeout.Phase]
	case errors.As(err, &timeout):
		return phaseAdvice[timeout.Phase]
	case errors.As(err, &bus) && bus.hosting:
		return "free the address, or name another with --listen; the folder of --store must be this user's, and no other broker's"
	case errors.Is(err, errTooFew):
		return "see whether they are told at all, and where: the topic, --priority, --exchange, --filter, and that this is the service's bus"
	case errors.Is(err, errors.ErrUnsupported):
		return "this bus cannot do it; the message says what it can"
	case errors.Is(err, transport.ErrRejected):
		return "stay under the limit that the message names, or ask for the right that this user lacks on the broker"
	case code == codeBus:
		return "check that the broker runs, its host and port, and the user, password and virtual host in the URL"
	case errors.Is(err, typeError):
		return "check the names and types of the arguments in JSON-ARGS against those of the method"
	case code == codeRemote && errors.As(err, &remote):
		return "the method ran and failed over there: look at the traceback, and for the request in the server's log"
	}
	return ""
}

// unattendedAdvice says what to do when it is known that the server is no longer there.
var unattendedAdvice = map[rpc.Phase]string{
	rpc.Unroutable: "start the service again, and see in its log and the broker's what became of its queue; the request is lost, unless a server had taken it",
	rpc.ReplyLost:  "start the service again, and see in its log what became of the request; the method may have run",
	rpc.Queued:     "start the service again; it will find the request in its queue, unless that expires",
	rpc.Taken:      "start the service again, and see in its log how it ended; the method may have run, in part or whole",
	rpc.Running:    "start the service again, and see in its log how it ended; the method has run in part, or whole",
	rpc.Delivered:  "start the service again, and see in its log how it ended; the method may have run, in part or whole",
}

// busPhases are those in which it is the bus that did not answer in time.
var busPhases = map[rpc.Phase]bool{rpc.NotSent: true, rpc.Unconfirmed: true, rpc.BusAway: true, rpc.BusBlocked: true}

// phaseAdvice says what to do about a request that did not end in time.
var phaseAdvice = map[rpc.Phase]string{
	rpc.NotSent:     "check that the broker runs and takes messages, its host and port, and the user, password and virtual host in the URL",
	rpc.Unconfirmed: "look at the broker: it took the connection, and confirmed nothing; the method may run all the same",
	rpc.Queued:      "see whether the server is stuck or all its workers are busy; the request may still run, unless it expires",
	rpc.Taken:       "look for the request in the server's log; if the method just takes long, use --timeout, and --monitor to tell a slow server from a dead one",
	rpc.Running:     "the method takes long: wait longer with --timeout, or find out in the server's log what it waits for",
	rpc.Unroutable:  "see in the service's log and the broker's what became of its queue; the request is lost, unless a server had taken it",
	rpc.ReplyLost:   "look in the broker's log for who deleted the queue for replies; the method may have run",
	rpc.BusAway:     "see why the broker went away; the method may have run",
	rpc.BusBlocked:  "clear the broker's alarm (rabbitmqctl status names it); the method may have run",
	rpc.Delivered:   "see whether the server is stuck (goslo ping); if the method just takes long, use --timeout",
}

// withoutPackage takes the name of a package off the beginning of an error.
func withoutPackage(line string) string {
	for _, name := range []string{"goslo: ", "config: ", "flow: ", "operator: "} {
		line = strings.TrimPrefix(line, name)
	}
	return line
}

// printFailure prints an error, once: for people, or with --json as one JSON object on a line.
func (a *app) printFailure(f failure) {
	if a.json {
		line, err := json.Marshal(map[string]failure{"error": f})
		if err != nil {
			line = []byte(`{"error":{"message":"the error could not be encoded"}}`)
		}
		fmt.Fprintf(a.Err, "%s\n", line)
		return
	}
	var b strings.Builder
	for i, line := range strings.Split(f.Message, "\n") {
		prefix := "goslo: "
		if i > 0 {
			prefix = "       " // one of several problems
		}
		b.WriteString(prefix + plain(withoutPackage(line)) + "\n")
	}
	if len(f.Traceback) > 0 {
		text := strings.TrimRight(strings.Join(f.Traceback, ""), "\n")
		fmt.Fprintf(&b, "  remote traceback:\n    %s\n", strings.ReplaceAll(text, "\n", "\n    "))
	}
	if f.Bus != "" {
		fmt.Fprintf(&b, "  bus: %s\n", f.Bus)
	}
	if f.Advice != "" {
		fmt.Fprintf(&b, "  do:  %s\n", f.Advice)
	}
	fmt.Fprint(a.Err, b.String())
}
