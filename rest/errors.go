package rest

import (
	"cmp"
	"context"
	"errors"
	"net/http"

	"github.com/goslo/goslo/rpc"
)

// Errors say which HTTP status the failures of the services behind an API have: {computeapi.InstanceNotFound: http.StatusNotFound}.
// Clients see the failure's message.
type Errors map[rpc.ErrorClass]int

// theirs are the classes of failures of a service's own calls, which oslo.messaging defines.
var theirs = Errors{
	{Module: "oslo_messaging.exceptions", Name: "MessagingTimeout"}:       http.StatusGatewayTimeout,
	{Module: "oslo_messaging.exceptions", Name: "MessageUndeliverable"}:   http.StatusServiceUnavailable,
	{Module: "oslo_messaging.exceptions", Name: "MessageDeliveryFailure"}: http.StatusServiceUnavailable,
}

// FaultFrom returns the fault that err is to a client; see [WriteFault] for the table. ctx is a request's: within an API its
// Config.Errors count. Its Code is a status that an answer can have: 500 in place of none, and of what is none.
func FaultFrom(ctx context.Context, err error) *Fault {
	f := faultFrom(ctx, err)
	if f.Code >= http.StatusOK && f.Code <= 999 {
		return f
	}
	answered := *f // f may be the API's own
	answered.Code = http.StatusInternalServerError
	return &answered
}

func faultFrom(ctx context.Context, err error) *Fault {
	var (
		fault  *Fault
		status interface {
			error
			HTTPStatus() int
		}
		large *http.MaxBytesError
	)
	switch {
	case errors.As(err, &fault):
		return fault
	case errors.As(err, &status):
		return &Fault{Code: status.HTTPStatus(), Message: status.Error(), Cause: err}
	case errors.As(err, &large):
		f := Faultf(http.StatusRequestEntityTooLarge, "the body is larger than %d bytes", large.Limit)
		f.Cause = err
		return f
	}
	var registered Errors
	if c := callFrom(ctx); c != nil {
		registered = c.api.config.Errors
	}
	f := behind(registered, err)
	f.Cause = err
	return f
}

// behind is the table of failures of the bus and behind it.
func behind(registered Errors, err error) *Fault {
	var (
		noServer *rpc.NoServerError
		timeout  *rpc.TimeoutError
		version  *rpc.VersionError
		noMethod *rpc.NoSuchMethodError
		delivery *rpc.DeliveryError
		remote   *rpc.RemoteError
		class    rpc.ErrorClass
	)
	switch {
	case errors.As(err, &noServer):
		return Faultf(http.StatusServiceUnavailable, "%s", noServer.Error())
	case errors.As(err, &timeout):
		told := *timeout
		told.Cause = nil // which names hosts
		if timeout.Phase == rpc.NotSent {
			return Faultf(http.StatusServiceUnavailable, "%s", told.Error())
		}
		return Faultf(http.StatusGatewayTimeout, "%s", told.Error())
	case errors.As(err, &version):
		return Faultf(http.StatusConflict, "%s", version.Error())
	case errors.As(err, &noMethod):
		return Faultf(http.StatusNotImplemented, "%s", noMethod.Error())
	case errors.As(err, &delivery):
		return Faultf(http.StatusServiceUnavailable, "rpc: %s on %s: the message bus did not take or lost the request", delivery.Method, delivery.Address)
	case errors.As(err, &remote):
		return failure(registered, remote.Class, remote.Message)
	case errors.As(err, &class):
		return failure(registered, class, "")
	case errors.Is(err, context.DeadlineExceeded):
		return Faultf(http.StatusGatewayTimeout, "the request was not done in time")
	}
	return Faultf(http.StatusInternalServerError, "an unexpected error; the log of this service has it under the request id")
}

// failure is the fault of a remote failure.
func failure(registered Errors, class rpc.ErrorClass, message string) *Fault {
	if code, ok := registered[class]; ok {
		return Faultf(code, "%s", cmp.Or(message, class.Error()))
	}
	if code, ok := theirs[class]; ok {
		return Faultf(code, "a service behind this one: %s", class)
	}
	return Faultf(http.StatusInternalServerError, "an unexpected failure behind this service, %s; its log has it under the request id", class)
}
