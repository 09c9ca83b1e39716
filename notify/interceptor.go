package notify

import "context"

// A Func brings a notification to the drivers, the only one in its list; or runs a listener's handlers for those of one priority that are handled
// together.
type Func func(ctx context.Context, all []*Raw) error

// An Interceptor wraps a Func, of a notifier ([NotifierConfig]) or of a listener ([ListenerConfig]), and calls next at most once. One of a notifier
// may set Headers. One of a listener sees the handlers' error, and not what they drop; what fails in a batch comes by once more, alone. The
// first of several is the outermost.
type Interceptor func(next Func) Func

func chain(f Func, interceptors []Interceptor) Func {
	for i := len(interceptors) - 1; i >= 0; i-- {
		f = interceptors[i](f)
	}
	return f
}
