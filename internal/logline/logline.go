// Package logline reads lines that services write into their logs about messaging: those of Python's oslo.messaging, of all
// versions in use, and what RabbitMQ and the network said that such a line repeats.
//
// It knows text only: who the line is about, and what has become of it, is asked elsewhere. It starts no goroutines.
package logline

import "strings"

// replyPrefix begins the names of queues for replies; see _get_reply_q in oslo_messaging/_drivers/amqpdriver.py.
const replyPrefix = "reply_"

// A Symptom is what oslo.messaging says has happened. The names are stable: scripts see them.
type Symptom string

// The symptoms.
const (
	Timeout         Symptom = "timeout"           // a call got no reply in time
	ReplyDropped    Symptom = "reply-dropped"     // a server could not reply: the caller's queue is gone
	Undeliverable   Symptom = "undeliverable"     // the broker gave a message back: no queue for it
	LateReply       Symptom = "late-reply"        // a reply came when nobody waited any more
	Unreachable     Symptom = "unreachable"       // the connection failed, or what oslo.messaging takes for that
	Disconnected    Symptom = "disconnected"      // the broker closed the socket without a word
	GaveUp          Symptom = "gave-up"           // an operation failed for good
	Reconnected     Symptom = "reconnected"       // the connection is back
	Heartbeat       Symptom = "heartbeat"         // the thread for heartbeats met an error
	Blocked         Symptom = "blocked"           // the broker takes no messages
	Unblocked       Symptom = "unblocked"         // the broker takes messages again
	PoolExhausted   Symptom = "pool-exhausted"    // all connections for sending are in use
	ManyCalls       Symptom = "many-calls"        // very many calls wait for replies
	Hang            Symptom = "possible-hang"     // a server waits for itself to start or to stop
	Forked          Symptom = "forked"            // a connection is used in a child process
	PublishFailed   Symptom = "publish-failed"    // a message was not sent
	ConsumeFailed   Symptom = "consume-failed"    // a queue could not be read
	DeclareFailed   Symptom = "declare-failed"    // a queue or an exchange could not be made
	QueueStuck      Symptom = "queue-stuck"       // a queue's node is away
	ConsumerEnded   Symptom = "consumer-ended"    // the broker ended a consumer of a stream
	AckFailed       Symptom = "ack-failed"        // a request was not acknowledged, and dropped
	Duplicate       Symptom = "duplicate"         // a message came twice, and was dropped
	WrongVersion    Symptom = "wrong-version"     // a server does not speak the version asked for
	NoMethod        Symptom = "no-method"         // a server does not have the method asked for
	VersionCapped   Symptom = "version-capped"    // a client is pinned to an older version
	GlobalConfig    Symptom = "global-config"     // a client made with options of its own, not the global ones
	NoConductor     Symptom = "no-conductor"      // nova waits for its conductor
	MissingExchange Symptom = "exchange-missing"  // an exchange does not exist
	Quorum          Symptom = "quorum-and-mirror" // two options that exclude each other
)

// A Cause is what the broker, the network or TLS said, where a line repeats it. The names are stable.
type Cause string

// The causes.
const (
	Inequivalent     Cause = "inequivalent"      // something exists with other properties
	TransientDenied  Cause = "transient-denied"  // the broker refuses transient queues that are not exclusive
	FeatureDenied    Cause = "feature-denied"    // the broker refuses another deprecated feature
	NoQueue          Cause = "no-queue"          // a queue does not exist
	NoExchange       Cause = "no-exchange"       // an exchange does not exist
	NodeDown         Cause = "node-down"         // a queue's node is away
	QueueTimeout     Cause = "queue-timeout"     // a queue did not answer the broker
	QueueLocked      Cause = "queue-locked"      // a queue is exclusive to another connection
	AckTimeout       Cause = "ack-timeout"       // a consumer held a message too long
	UnknownTag       Cause = "unknown-tag"       // an acknowledgement on another channel, or a second one
	LoginRefused     Cause = "login-refused"     // user or password
	PermissionDenied Cause = "permission-denied" // the user may not do this
	NoVhost          Cause = "no-vhost"          // the virtual host does not exist
	VhostRefused     Cause = "vhost-refused"     // the user may not use the virtual host
	LimitReached     Cause = "limit-reached"     // of connections, channels or queues
	TooLarge         Cause = "too-large"         // a message
	BrokerStops      Cause = "broker-stops"      // an operator, or the broker itself, closed the connection
	InternalError    Cause = "internal-error"    // the broker failed
	ConsumerCancel   Cause = "consumer-cancel"   // the broker ended a consumer: its queue is gone
	HeartbeatMissed  Cause = "heartbeat-missed"
	Refused          Cause = "refused" // no process listens on the port
	Reset            Cause = "reset"   // the connection was broken off
	NoRoute          Cause = "no-route"
	NoName           Cause = "no-name" // the host name is unknown
	TimedOut         Cause = "timed-out"
	TLS              Cause = "tls"
	Closed           Cause = "closed"
)

// An Event is what a line says.
type Event struct {
	Line    string // as it was given
	Origin  Origin
	Symptom Symptom // "" where only a cause was found
	Cause   Cause   // "" where the line gives none
	Reason  string  // the words of the cause

	MessageID  string // of a call
	ReplyQueue string // of its caller
	Object     Object // the queue or exchange it is about
	Topic      string
	Method     string
	Version    string
	Broker     Broker
	Mismatch   Mismatch
	Numbers    Numbers
	Frames     []Frame // where the program was, from the traceback before the line
}

// An Object is a queue or an exchange.
type Object struct {
	Kind  string `json:"kind"` // "queue" or "exchange"
	Name  string `json:"name"`
	Vhost string `json:"vhost,omitempty"` // "" where the line does not say
	Key   string `json:"key,omitempty"`   // the routing key, of what was sent to an exchange
}

// A Broker is the peer of a connection.
type Broker struct {
	Address    string `json:"address,omitempty"`    // host:port
	Connection string `json:"connection,omitempty"` // the id that oslo.messaging gave the connection: the end of its name on the broker
}

// A Mismatch says in what something differs from what was asked for.
type Mismatch struct {
	Argument string `json:"argument"`
	Asked    string `json:"asked"`
	Current  string `json:"current"`
}

// Numbers are those of a line.
type Numbers struct {
	Tries   string `json:"tries,omitempty"`   // "inf" where there is no bound
	Seconds string `json:"seconds,omitempty"` // how long it was tried, or until the next attempt
	Size    string `json:"size,omitempty"`    // of a pool, or the number of calls
	Limit   string `json:"limit,omitempty"`
}

// Parse reads one line. It returns false when it does not know what the line says; the event has its Line and Origin then.
func Parse(line string) (Event, bool) {
	e := Event{Line: line}
	var text string
	e.Origin, text = parseOrigin(line)
	for _, s := range symptoms {
		if e.fill(s.text, text) {
			e.Symptom = s.symptom
			break
		}
	}
	for _, c := range causes {
		// Beside a symptom what it quotes counts, and nothing else; alone, only what no other protocol says.
		within := e.Reason
		if e.Symptom == "" && c.alone {
			within = text
		}
		if within != "" && e.fill(c.text, within) {
			e.Cause = c.cause
			break
		}
	}
	if e.Symptom == "" && e.Cause != "" {
		e.Reason = text
	}
	for _, name := range []string{e.Object.Key, e.Object.Name} {
		if strings.HasPrefix(name, replyPrefix) {
			e.ReplyQueue = name
		}
	}
	return e, e.Symptom != "" || e.Cause != ""
}
