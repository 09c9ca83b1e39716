package tap

import (
	"context"
	"time"

	"github.com/goslo/goslo/internal/management"
	"github.com/goslo/goslo/internal/operator"
)

// refreshEvery is how often a Directory asks again for what it does not know.
const refreshEvery = 2 * time.Second

// A Directory knows the processes behind connections and queues, by the management API, two requests at a time, and by who answers what. It is for one
// goroutine. One without an API knows no names.
//
// The management API tells of a connection up to five seconds after it was opened, and of a shorter one never.
type Directory struct {
	api     *management.Client
	owners  map[string]operator.Owner // by connection
	readers map[string]string         // the connections that consume from queues
	joined  map[string]string         // connections to others of the same process, as the traffic tells
	asked   time.Time
	err     error
}

// NewDirectory returns an empty directory. api may be nil.
func NewDirectory(api *management.Client) *Directory { return &Directory{api: api} }

// Load asks for what there is now.
func (d *Directory) Load(ctx context.Context) error {
	d.asked = time.Now()
	if d.api == nil {
		return nil
	}
	connections, err := d.api.Connections(ctx)
	if err != nil {
		d.err = err
		return err
	}
	consumers, err := d.api.Consumers(ctx)
	if err != nil {
		d.err = err
		return err
	}
	if d.owners == nil { // those that have gone are still of use
		d.owners, d.readers = map[string]operator.Owner{}, map[string]string{}
	}
	for _, c := range connections {
		d.owners[c.Name] = operator.OwnerOf(c)
	}
	for _, c := range consumers {
		d.readers[c.Queue.Name] = c.Channel.Connection
	}
	return nil
}

// Connection is the process behind a connection, as far as it is known.
func (d *Directory) Connection(ctx context.Context, name string) operator.Owner {
	if o, ok := d.known(name); ok || name == "" {
		return o
	}
	d.refresh(ctx)
	if o, ok := d.known(name); ok {
		return o
	}
	return operator.Owner{Connection: name}
}

// known is the process of a connection, or of another that is of the same.
func (d *Directory) known(name string) (operator.Owner, bool) {
	if o, ok := d.owners[name]; ok || d.joined[name] == "" {
		return o, ok
	}
	group := d.group(name)
	for other := range d.joined {
		if o, ok := d.owners[other]; ok && d.group(other) == group {
			o.Connection = name
			return o, true
		}
	}
	return operator.Owner{}, false
}

// Learn takes in what a span tells of connections: who has a request also answers it, and who sends one also has the answer.
func (d *Directory) Learn(s *Span) {
	if s.Reply != nil && len(s.Taken) > 0 {
		d.join(s.Taken[len(s.Taken)-1].By, s.Reply.By)
	}
	if !s.Received.IsZero() {
		d.join(s.Caller, s.ReceivedBy)
	}
}

func (d *Directory) join(a, b string) {
	if d.joined == nil {
		d.joined = map[string]string{}
	}
	d.joined[d.group(a)] = d.group(b)
	d.joined[a], d.joined[b] = d.group(a), d.group(b)
}

// group is the one connection that stands for all that are known to be of the same process.
func (d *Directory) group(name string) string {
	for d.joined[name] != "" && d.joined[name] != name {
		name = d.joined[name]
	}
	return name
}

// Reader is the process that consumes from a queue, and whether it is known.
func (d *Directory) Reader(ctx context.Context, queue string) (operator.Owner, bool) {
	if _, ok := d.readers[queue]; !ok {
		d.refresh(ctx)
	}
	o, ok := d.owners[d.readers[queue]]
	return o, ok
}

func (d *Directory) refresh(ctx context.Context) {
	if d.api != nil && d.err == nil && time.Since(d.asked) >= refreshEvery {
		_ = d.Load(ctx) // it is kept, and nobody asks again
	}
}

// Same says whether two connections are of one process.
func (d *Directory) Same(a, b string) bool {
	if a == b || d.joined[a] != "" && d.group(a) == d.group(b) {
		return true
	}
	x, _ := d.known(a)
	y, _ := d.known(b)
	return x.Program != "" && x.Program == y.Program && x.PID == y.PID && x.Host == y.Host
}
