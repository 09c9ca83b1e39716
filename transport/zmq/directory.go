//go:build zmq

package zmq

import "context"

// A service is what one listener serves: a server of a topic. Names are compared as they are; an exchange is never empty.
type service struct{ Exchange, Topic, Server string }

// A member is an open transport, which can be connected to.
type member struct {
	// ID is made when the transport opens, and never used again: whoever has it at an endpoint is this member.
	// "" = not known before somebody has connected.
	ID string
	// Endpoints are where it can be reached, the best first: ipc:///path on its own host, tcp://host:port from anywhere.
	Endpoints []string
	// Host tells hosts apart, so that nobody tries the ipc endpoints of another one. "" = not told: a list's are on this one.
	Host string
	// Key is its public CURVE key in Z85, "" = none.
	Key string
}

// A provider is a member that serves a topic.
type provider struct {
	member
	// Servers are the names under which it does, in no order, each once.
	Servers []string
	// Unasked says that the directory knows the member, and not what it serves: connecting to it will tell.
	Unasked bool
}

// A directory tells who serves what. It is safe for concurrent use. What it does in the background ends with close.
//
// It need not know of every death: a member that refuses connections is left out by those who try, and reported by gone.
type directory interface {
	// join says who we are, before the first serve, and that we may be connected to from now on.
	join(ctx context.Context, self member) error

	// serve makes a service of ours findable. When it has returned nil, everybody's fresh find returns it, until
	// unserve, close or our death; what has to be renewed meanwhile, or stored again after an outage of the directory, the
	// directory does by itself. It tries until ctx ends. Serving a service twice is serving it once.
	serve(ctx context.Context, s service) error

	// unserve takes a service back. Where the directory cannot be reached, that is an error, and it forgets the service by
	// itself when nobody renews it.
	unserve(ctx context.Context, s service) error

	// find returns who serves a topic, ourselves included. Unless fresh is set the answer may be some seconds old and come
	// from memory; with fresh set it holds every service of which serve had returned before. While the directory
	// is away it returns what was known last, without an error; an error means that nothing is known.
	find(ctx context.Context, exchange, topic string, fresh bool) ([]provider, error)

	// topics names the topics of an exchange that are served, each once. The error is errors.ErrUnsupported where the directory
	// does not know.
	topics(ctx context.Context, exchange string) ([]string, error)

	// gone says that nobody answers at any endpoint of a member, connections being refused: its process has ended. The
	// directory forgets it. It does not wait.
	gone(m member)

	// close takes all our services and ourselves back, within ctx, and stops what runs in the background. What cannot be taken back
	// is forgotten as after unserve.
	close(ctx context.Context) error
}
