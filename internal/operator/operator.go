// Package operator knows what the operator's commands tell: whose queues they are, who serves what, what nobody reads.
//
// It reads a RabbitMQ virtual host from outside, as it stands, with no service's help: by the management API, and for what
// that cannot tell, or without it, by passive declarations. Looking changes nothing. What could not be seen is said in
// [View.Unseen]. It knows oslo.messaging's topology by conformance rows RMQ-TOPO; flags and output are internal/cli's.
//
// A passive declaration renews the lease of a queue that expires (x-expires), as any declaration does: a queue that nobody uses
// stays for as long as it is asked about that way. Replies' and fanouts' queues are therefore asked about over AMQP only when
// they are named.
//
// It starts no goroutines but those of the AMQP library, for as long as a connection is open.
package operator

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"sync"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/goslo/goslo/internal/management"
	"github.com/goslo/goslo/transport/rabbit"
)

// NoManagement is the URL of [Config.Management] that means that the API is not to be asked.
const NoManagement = "off"

// Config says which broker to look at.
type Config struct {
	// Rabbit is the broker, the virtual host and the user as for a service.
	Rabbit rabbit.Config
	// Management is the URL of the management API, with or without a user, or [NoManagement]. Default: the plugin's own port at
	// the broker's hosts, 15672 or with TLS 15671, with the user and the password of Rabbit.
	Management string
}

// A Bus is access to one virtual host of a broker. Its methods are safe for concurrent use. Close ends it.
type Bus struct {
	config Config
	site   rabbit.Site

	mu   sync.Mutex
	api  *management.Client // nil = not found yet
	conn *amqp.Connection   // nil = not opened yet, or closed
}

// Open checks a configuration. It connects to nothing.
func Open(c Config) (*Bus, error) {
	site, err := c.Rabbit.Site()
	if err != nil {
		return nil, err
	}
	b := &Bus{config: c, site: site}
	if c.Management != "" && c.Management != NoManagement {
		_, err = b.client(c.Management, 0)
	}
	return b, err
}

// Vhost is the virtual host.
func (b *Bus) Vhost() string { return b.site.VirtualHost }

// Close ends what connections there are.
func (b *Bus) Close() error {
	b.mu.Lock()
	api, conn := b.api, b.conn
	b.api, b.conn = nil, nil
	b.mu.Unlock()
	if api != nil {
		api.Close()
	}
	if conn == nil || conn.IsClosed() {
		return nil
	}
	return conn.Close()
}

// client is the API's at a URL, as the user of the host with that number.
func (b *Bus) client(url string, host int) (*management.Client, error) {
	h := b.site.Hosts[host]
	return management.New(management.Config{URL: url, Username: h.Username, Password: h.Password, Vhost: b.site.VirtualHost, TLS: b.site.TLS})
}

// Management returns a client of the management API that answers. The error is a *[management.Error] of the last place that was
// tried, or says that the API is not to be asked.
func (b *Bus) Management(ctx context.Context) (*management.Client, error) {
	b.mu.Lock()
	api := b.api
	b.mu.Unlock()
	if api != nil {
		return api, nil
	}
	if b.config.Management == NoManagement {
		return nil, errNoManagement
	}
	urls := []string{b.config.Management}
	if b.config.Management == "" {
		urls = b.places()
	}
	var err error
	for host, url := range urls {
		if api, err = b.client(url, host); err != nil {
			return nil, err
		}
		if _, err = api.Whoami(ctx); err == nil {
			b.mu.Lock()
			defer b.mu.Unlock()
			b.api = api
			return api, nil
		}
		api.Close()
		if !management.Is(err, management.Unreachable) {
			break // the next would say the same
		}
	}
	return nil, err
}

var errNoManagement = errors.New("the management API is not asked, as --management " + NoManagement + " says")

// places are where the plugin listens by itself, one for each host.
func (b *Bus) places() []string {
	urls := make([]string, 0, len(b.site.Hosts))
	for _, h := range b.site.Hosts {
		scheme, port := "http", management.DefaultPort
		if b.site.TLS != nil {
			scheme, port = "https", management.DefaultTLSPort
		}
		urls = append(urls, scheme+"://"+net.JoinHostPort(h.Hostname, strconv.Itoa(port)))
	}
	return urls
}

// An AccessError is a broker that could not be looked at.
type AccessError struct {
	// Blind says that what was asked for is a list, which is the management API's alone to give, and that the API does not answer.
	Blind bool
	Cause error
}

// Error says what is missing and why.
func (e *AccessError) Error() string {
	if e.Blind {
		return "operator: AMQP cannot list queues, and without the management API there is nothing to see: " + e.Cause.Error()
	}
	return e.Cause.Error()
}

// Unwrap returns the cause.
func (e *AccessError) Unwrap() error { return e.Cause }

// AMQP returns the bus's AMQP connection, and opens it where there is none. It is the bus's to close; channels on it are the caller's.
// The error is an *[AccessError].
func (b *Bus) AMQP(ctx context.Context) (*amqp.Connection, error) {
	b.mu.Lock()
	conn := b.conn
	b.mu.Unlock()
	if conn != nil && !conn.IsClosed() {
		return conn, nil
	}
	opened, err := b.config.Rabbit.Dial(ctx)
	if err != nil {
		return nil, &AccessError{Cause: err}
	}
	b.mu.Lock()
	if b.conn == nil || b.conn.IsClosed() {
		b.conn, opened = opened, nil
	}
	conn = b.conn
	b.mu.Unlock()
	if opened != nil {
		err = opened.Close()
	}
	return conn, err
}

// A Kind is what a queue is for.
type Kind string

// The kinds of queues.
const (
	KindTopic        Kind = "topic"        // requests to any server of a topic
	KindServer       Kind = "server"       // requests to one server of a topic
	KindFanout       Kind = "fanout"       // requests to all servers of a topic: one of theirs, or the stream that all read
	KindReply        Kind = "reply"        // replies to one client
	KindNotification Kind = "notification" // notifications of a topic and priority, or of a pool of listeners
	KindOther        Kind = "other"        // nothing that oslo.messaging makes
)

// A Count is a number that may not be known; then it is negative, null in JSON and "?" in text.
type Count int64

// Unknown is the Count of what is not known.
const Unknown Count = -1

// String is the number, or "?".
func (c Count) String() string {
	if c < 0 {
		return "?"
	}
	return strconv.FormatInt(int64(c), 10)
}

// MarshalJSON is the number, or null.
func (c Count) MarshalJSON() ([]byte, error) {
	if c < 0 {
		return []byte("null"), nil
	}
	return strconv.AppendInt(nil, int64(c), 10), nil
}

// UnmarshalJSON reads what MarshalJSON writes.
func (c *Count) UnmarshalJSON(b []byte) error {
	if string(b) == "null" {
		*c = Unknown
		return nil
	}
	return json.Unmarshal(b, (*int64)(c))
}

// An Owner is the process behind a connection, as far as the connection says.
type Owner struct {
	Program    string    `json:"program,omitempty"` // "" = the connection has no name of oslo.messaging's form
	PID        int       `json:"pid,omitempty"`
	Host       string    `json:"host,omitempty"` // the address that the connection comes from
	Name       string    `json:"name,omitempty"` // that the client gave the connection: program:pid:uuid
	Connection string    `json:"connection"`     // the broker's name of it: both addresses
	User       string    `json:"user,omitempty"`
	Client     string    `json:"client,omitempty"` // library and version
	Connected  time.Time `json:"connected,omitzero"`
	State      string    `json:"state,omitempty"`
	TLS        bool      `json:"tls"`
	Serves     []string  `json:"serves,omitempty"` // the server queues that the process consumes from, over all of its connections
}

// String is program:pid @ host, or the best that is known.
func (o Owner) String() string {
	who := cmp.Or(o.Name, "unnamed")
	if o.Program != "" {
		who = o.Program + ":" + strconv.Itoa(o.PID)
	}
	host := o.Host
	if host == "" {
		host, _, _ = strings.Cut(o.Connection, " ")
	}
	return who + " @ " + cmp.Or(host, "?")
}

// SameProcess says whether both are connections of one process. Programs that do not say their process id are told apart by connection.
func (o Owner) SameProcess(p Owner) bool {
	if o.Program == "" || p.Program == "" {
		return o.Connection == p.Connection
	}
	return o.Program == p.Program && o.PID == p.PID && o.Host == p.Host
}

// A Reader is a consumer of a queue.
type Reader struct {
	Owner    Owner `json:"owner"`
	Ack      bool  `json:"ack"`      // the broker keeps a message until it is acknowledged
	Prefetch int   `json:"prefetch"` // how many unacknowledged messages it may hold; 0 = all that there are
	Active   bool  `json:"active"`   // false = it waits behind another, of a queue with a single active consumer
}

// A Queue is one as it stands.
type Queue struct {
	Name      string    `json:"name"`
	Kind      Kind      `json:"kind"`
	Topic     string    `json:"topic,omitempty"`    // of all kinds but reply and other
	Server    string    `json:"server,omitempty"`   // of a server queue
	Priority  string    `json:"priority,omitempty"` // of a notification queue that is no pool's
	Exchange  string    `json:"exchange,omitempty"` // that leads to it
	Declared  Declared  `json:"declared"`
	Ready     Count     `json:"ready"`   // messages that wait
	Unacked   Count     `json:"unacked"` // messages that a consumer holds
	Bytes     Count     `json:"bytes"`   // of their bodies
	Consumers Count     `json:"consumers"`
	Readers   []Reader  `json:"readers,omitempty"`   // the consumers that could be seen
	IdleSince time.Time `json:"idle_since,omitzero"` // zero = busy, or not known
	State     string    `json:"state,omitempty"`     // the broker's word, such as "running", "down"
	Rates     Rates     `json:"rates"`
}

// Messages is how many there are, waiting or held.
func (q *Queue) Messages() Count {
	if q.Ready < 0 || q.Unacked < 0 {
		return Unknown
	}
	return q.Ready + q.Unacked
}

// Shared says whether the queue is more than one process's.
func (q *Queue) Shared() bool {
	return q.Kind != KindReply && (q.Kind != KindFanout || q.Declared.Type == "stream")
}

// Declared is how a queue was declared.
type Declared struct {
	Type       string         `json:"type"` // "classic", "quorum" or "stream"; "" = not known
	Durable    bool           `json:"durable"`
	AutoDelete bool           `json:"auto_delete"`
	Exclusive  bool           `json:"exclusive"`
	Expires    time.Duration  `json:"-"` // when nobody uses it for so long it goes; 0 = never
	Arguments  map[string]any `json:"arguments,omitempty"`
	Policy     string         `json:"policy,omitempty"`
}

// Rates are messages a second, over the broker's last few samples.
type Rates struct {
	Published float64 `json:"published"`
	Delivered float64 `json:"delivered"`
	Acked     float64 `json:"acked"`
}

// A Topic is one of RPC.
type Topic struct {
	Name     string   `json:"name"`
	Exchange string   `json:"exchange,omitempty"`
	Queue    *Queue   `json:"queue,omitempty"` // nil = there is none
	Servers  []Server `json:"servers"`
	Fanouts  []*Queue `json:"fanouts"` // those of its servers, and of servers that are gone; or the one stream
}

// A Server is one of a topic's, there or gone.
type Server struct {
	Name    string   `json:"name"`
	Queue   *Queue   `json:"queue"`
	Fanouts []*Queue `json:"fanouts"` // those that the same connection consumes from
}

// Owner is the first consumer's, and whether there is one that could be seen.
func (s Server) Owner() (Owner, bool) {
	if len(s.Queue.Readers) == 0 {
		return Owner{}, false
	}
	return s.Queue.Readers[0].Owner, true
}

// A Broker is what the virtual host is on.
type Broker struct {
	Product   string
	Version   string
	Cluster   string
	Nodes     []management.Node
	RatesMode string // "none": rates are not known
	QueueType string // of queues that are declared without one; "" = not known
	Tracing   bool   // the firehose is on
	Churn     management.Churn

	Unroutable management.Unroutable // of the virtual host
}

// A View is a virtual host as it stood at one moment.
type View struct {
	Broker      Broker
	Vhost       string
	At          time.Time
	Full        bool    // all queues are in it; otherwise those that were asked for by name
	Everybody   bool    // connections and consumers of all users are in it, and the nodes; else at most those of the user who looks
	Topics      []Topic // by name
	Queues      []Queue // by name
	Exchanges   []management.Exchange
	Bindings    []management.Binding // without the default exchange's
	Connections []management.Connection
	Unseen      []string // what could not be seen, why, and what to do; one sentence each
}

// Queue returns the queue of that name; nil = the view has none.
func (v *View) Queue(name string) *Queue {
	for i := range v.Queues {
		if v.Queues[i].Name == name {
			return &v.Queues[i]
		}
	}
	return nil
}

// Topic returns the topic of that name; nil = the view has none.
func (v *View) Topic(name string) *Topic {
	for i := range v.Topics {
		if v.Topics[i].Name == name {
			return &v.Topics[i]
		}
	}
	return nil
}

// unseen adds a sentence.
func (v *View) unseen(format string, args ...any) {
	v.Unseen = append(v.Unseen, fmt.Sprintf(format, args...))
}
