package observe

import (
	"context"
	"errors"

	"github.com/goslo/goslo/rpc"
)

// How a request ended, the label outcome.
const (
	outcomeOK        = "ok"
	outcomeExpected  = "expected"    // with a failure that its endpoint declares as normal; on the server's side only
	outcomeFailed    = "failed"      // with a failure of the method
	outcomeTimeout   = "timeout"     // nothing came in time
	outcomeUnsent    = "undelivered" // nobody listens, or the bus refused it
	outcomeCancelled = "cancelled"   // its caller gave up
)

// other is the label of what is not worth a label of its own, as OpenTelemetry has it.
const other = "_OTHER"

// A failure is how a request ended, in labels.
type failure struct {
	outcome string
	class   string // "" where it did not fail
	phase   string // of a timeout
}

// clientFailure tells how a request ended for its caller.
func clientFailure(err error) failure {
	if err == nil {
		return failure{outcome: outcomeOK}
	}
	var (
		noMethod *rpc.NoSuchMethodError
		version  *rpc.VersionError
		remote   *rpc.RemoteError
		timeout  *rpc.TimeoutError
		nobody   *rpc.NoServerError
	)
	switch {
	case errors.As(err, &noMethod):
		return failure{outcome: outcomeFailed, class: "NoSuchMethod"}
	case errors.As(err, &version):
		return failure{outcome: outcomeFailed, class: "UnsupportedVersion"}
	case errors.As(err, &remote):
		return failure{outcome: outcomeFailed, class: remote.Class.Error()}
	case errors.As(err, &timeout):
		return failure{outcome: outcomeTimeout, class: "Timeout", phase: string(timeout.Phase)}
	case errors.As(err, &nobody):
		return failure{outcome: outcomeUnsent, class: "NoServer"}
	case errors.Is(err, context.Canceled):
		return failure{outcome: outcomeCancelled, class: "Cancelled"}
	}
	return failure{outcome: outcomeUnsent, class: "Delivery"}
}

// serverFailure tells how a request ended for its server.
func serverFailure(err error) failure {
	if err == nil {
		return failure{outcome: outcomeOK}
	}
	f := failure{outcome: outcomeFailed, class: rpc.ClassOf(err).Error()}
	if rpc.IsExpected(err) {
		f.outcome = outcomeExpected
	}
	return f
}
