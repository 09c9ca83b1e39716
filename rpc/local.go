package rpc

import (
	"context"
	"encoding/json"
	"errors"
	"time"
)

// Local returns a client whose server is the endpoints themselves, in this process and without a bus, for tests of
// code that calls and casts. Arguments, results and failures are encoded and decoded as on a bus, methods
// are chosen by the same rule, and Pin, deadlines and the request context work; but a call returns only when its
// handler has, which is to heed its context. A cast has run when it returns; its error is dropped, as on a bus. To, On and In are not looked at: every server is this one.
func Local(endpoints ...Endpoint) *Client {
	d, err := newDispatcher(Target{}, endpoints)
	core := &caller{timeout: defaultTimeout, replies: newReplies(nil, nil, nil), intercepted: true}
	core.run = func(ctx context.Context, r *Request) (json.RawMessage, error) {
		if err != nil {
			return nil, err
		}
		return local(ctx, d, r)
	}
	return &Client{core: core}
}

func local(ctx context.Context, d dispatcher, r *Request) (json.RawMessage, error) {
	served := *r
	served.pending = nil
	served.Known = d.knows(r.Method)
	if served.Target.Version == "" {
		served.Target.Version = "1.0" // what a missing version reads on arrival (DISP-05)
	}
	ctx = context.WithValue(ctx, contextKey{}, &carried{
		request: &served,
		context: RequestContext{raw: ContextFrom(ctx).raw, arrived: true, monitor: r.Monitor},
	})
	started := time.Now()
	result, err := d.dispatch(ctx, &served)
	switch {
	case r.Mode != ByCall:
		return nil, nil
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		return nil, &TimeoutError{Method: r.Method, Address: r.address(), Elapsed: time.Since(started), Phase: Taken}
	case ctx.Err() != nil:
		return nil, &DeliveryError{r.Method, r.address(), ctx.Err()}
	}
	if err == nil {
		if len(result) == 0 {
			return json.RawMessage("null"), nil
		}
		return result, nil
	}
	failure, err := asRemote(err).failure("local", r.Method)
	if err != nil {
		return nil, &DeliveryError{r.Method, r.address(), err}
	}
	return nil, failed(r, failure)
}
