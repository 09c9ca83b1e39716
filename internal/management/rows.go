package management

import (
	"encoding/json"
	"strings"
	"time"
)

// An Overview is what the broker says of itself.
type Overview struct {
	Product           string `json:"product_name"`
	Version           string `json:"rabbitmq_version"`
	ManagementVersion string `json:"management_version"` // of the plugin; seen by all users
	ClusterName       string `json:"cluster_name"`
	Node              string `json:"node"`
	RatesMode         string `json:"rates_mode"`    // "none": no rates are known
	NoStats           bool   `json:"disable_stats"` // no statistics are gathered at all
	Churn             Churn  `json:"churn_rates"`
	Totals            Totals `json:"object_totals"`
}

// A Churn is how often things come and go in the whole cluster: counts since the start of its nodes, and per second.
type Churn struct {
	ConnectionsCreated    int  `json:"connection_created"`
	ConnectionsClosed     int  `json:"connection_closed"`
	ChannelsCreated       int  `json:"channel_created"`
	ChannelsClosed        int  `json:"channel_closed"`
	QueuesDeclared        int  `json:"queue_declared"`
	QueuesCreated         int  `json:"queue_created"`
	QueuesDeleted         int  `json:"queue_deleted"`
	ConnectionsCreatedPer Rate `json:"connection_created_details"`
	ChannelsCreatedPer    Rate `json:"channel_created_details"`
	QueuesDeclaredPer     Rate `json:"queue_declared_details"`
	QueuesCreatedPer      Rate `json:"queue_created_details"`
	QueuesDeletedPer      Rate `json:"queue_deleted_details"`
}

// Totals are how many things there are in what the user may see.
type Totals struct{ Channels, Connections, Consumers, Exchanges, Queues int }

// A Rate is per second, over the broker's last few samples.
type Rate struct{ Rate float64 }

// A Node is one of the cluster. Sizes are in bytes.
type Node struct {
	Name               string
	Running            bool
	Type               string // "disc" or "ram"
	MemoryAlarm        bool   `json:"mem_alarm"`
	MemoryUsed         int64  `json:"mem_used"`
	MemoryLimit        int64  `json:"mem_limit"`
	DiskAlarm          bool   `json:"disk_free_alarm"`
	DiskFree           int64  `json:"disk_free"`
	DiskLimit          int64  `json:"disk_free_limit"`
	FilesUsed          int    `json:"fd_used"`
	FilesTotal         int    `json:"fd_total"`
	ProcessesUsed      int    `json:"proc_used"`
	ProcessesTotal     int    `json:"proc_total"`
	Partitions         []string
	UptimeMilliseconds int64 `json:"uptime"`
}

// Uptime is how long the node has been running.
func (n Node) Uptime() time.Duration { return time.Duration(n.UptimeMilliseconds) * time.Millisecond }

// A Vhost is a virtual host.
type Vhost struct {
	Name             string
	Tracing          bool       // the firehose is on
	DefaultQueueType string     `json:"default_queue_type"` // "undefined" or "" = classic
	Unroutable       Unroutable `json:"message_stats"`
}

// Unroutable is how many messages a second no queue takes.
type Unroutable struct {
	Returned Rate `json:"return_unroutable_details"` // those whose sender wants them back
	Dropped  Rate `json:"drop_unroutable_details"`   // the others
}

// UnmarshalJSON reads the object; the broker writes an empty list where there is none.
func (u *Unroutable) UnmarshalJSON(b []byte) error {
	type plain Unroutable
	return object(b, (*plain)(u))
}

// A User is who asks.
type User struct {
	Name string
	Tags Tags
}

// Tags are a user's. Brokers before 3.9 write them as one string.
type Tags []string

// UnmarshalJSON reads either form.
func (t *Tags) UnmarshalJSON(b []byte) error {
	var text string
	if json.Unmarshal(b, &text) == nil {
		*t = nil
		for tag := range strings.SplitSeq(text, ",") {
			if tag != "" {
				*t = append(*t, tag)
			}
		}
		return nil
	}
	return json.Unmarshal(b, (*[]string)(t))
}

// A Queue is a row of the list of queues. What the broker has no statistics of yet, or none at all, is nil.
type Queue struct {
	Name       string
	Type       string // "classic", "quorum" or "stream"
	Durable    bool
	AutoDelete bool `json:"auto_delete"`
	Exclusive  bool
	Arguments  map[string]any
	Node       string
	State      string // "running", "idle", "down", "flow" ...
	Policy     string // "" = none
	Ready      *int   `json:"messages_ready"`
	Unacked    *int   `json:"messages_unacknowledged"`
	Bytes      *int64 `json:"message_bytes"` // of bodies
	Consumers  *int
	IdleSince  Time  `json:"idle_since"` // zero = busy, or not known
	Stats      Stats `json:"message_stats"`
}

const queueColumns = "name,type,durable,auto_delete,exclusive,arguments,node,state,policy,messages_ready,messages_unacknowledged,message_bytes,consumers,idle_since," +
	"message_stats.publish,message_stats.publish_details.rate,message_stats.deliver_get,message_stats.deliver_get_details.rate,message_stats.ack,message_stats.ack_details.rate,message_stats.redeliver"

// Stats are counts of messages since the queue was declared or its node started, and per second.
type Stats struct {
	Publish    int
	DeliverGet int `json:"deliver_get"`
	Ack        int
	Redeliver  int
	PublishPer Rate `json:"publish_details"`
	DeliverPer Rate `json:"deliver_get_details"`
	AckPer     Rate `json:"ack_details"`
}

// UnmarshalJSON reads the object; the broker writes an empty list where there is none.
func (s *Stats) UnmarshalJSON(b []byte) error {
	type plain Stats
	return object(b, (*plain)(s))
}

// object reads a JSON object into v. Erlang cannot tell an empty one from an empty list, which leaves v alone.
func object(b []byte, v any) error {
	if len(b) > 0 && b[0] == '[' {
		return nil
	}
	return json.Unmarshal(b, v)
}

// An Exchange is a row of the list of exchanges.
type Exchange struct {
	Name       string
	Type       string
	Durable    bool
	AutoDelete bool `json:"auto_delete"`
	Internal   bool
	Arguments  map[string]any
}

const exchangeColumns = "name,type,durable,auto_delete,internal,arguments"

// A Binding leads from an exchange to a queue or exchange.
type Binding struct {
	Source      string
	Destination string
	Kind        string `json:"destination_type"` // "queue" or "exchange"
	RoutingKey  string `json:"routing_key"`
}

const bindingColumns = "source,destination,destination_type,routing_key"

// A Consumer is a subscription to a queue.
type Consumer struct {
	Queue     struct{ Name, Vhost string }
	Tag       string `json:"consumer_tag"`
	Ack       bool   `json:"ack_required"`
	Prefetch  int    `json:"prefetch_count"` // 0 = no bound
	Exclusive bool
	Active    bool
	Channel   ConsumerChannel `json:"channel_details"`
}

const consumerColumns = "queue.name,queue.vhost,consumer_tag,ack_required,prefetch_count,exclusive,active,channel_details.name,channel_details.connection_name,channel_details.peer_host,channel_details.peer_port,channel_details.user"

// A ConsumerChannel is where a consumer's messages go.
type ConsumerChannel struct {
	Name       string
	Connection string `json:"connection_name"` // its name at the broker: both addresses
	PeerHost   string `json:"peer_host"`
	PeerPort   int    `json:"peer_port"`
	User       string
}

// UnmarshalJSON reads the object; the broker writes an empty list where the channel has gone meanwhile.
func (c *ConsumerChannel) UnmarshalJSON(b []byte) error {
	type plain ConsumerChannel
	return object(b, (*plain)(c))
}

// A Connection is a client's connection.
type Connection struct {
	Name        string // at the broker: both addresses
	Vhost       string
	User        string
	State       string // "running", "blocked", "blocking", "flow" ...
	PeerHost    string `json:"peer_host"`
	PeerPort    int    `json:"peer_port"`
	ConnectedAt int64  `json:"connected_at"` // milliseconds since 1970
	Channels    int
	TLS         bool `json:"ssl"`
	Heartbeat   int  `json:"timeout"` // seconds; 0 = none
	Node        string
	Client      Product `json:"client_properties"`
	Received    int64   `json:"recv_oct"` // bytes
	Sent        int64   `json:"send_oct"` // bytes
}

const connectionColumns = "name,vhost,user,state,peer_host,peer_port,connected_at,channels,ssl,timeout,node,recv_oct,send_oct," +
	"client_properties.connection_name,client_properties.product,client_properties.product_version,client_properties.version"

// A Product is the client's library, and the name that its program gave the connection.
type Product struct {
	ConnectionName string `json:"connection_name"`
	Product        string
	Version        string `json:"product_version"`
}

// UnmarshalJSON reads the object; some libraries write other things than text, which are left out.
func (p *Product) UnmarshalJSON(b []byte) error {
	var members map[string]any
	if err := object(b, &members); err != nil {
		return err
	}
	text := func(names ...string) string {
		for _, name := range names {
			if s, ok := members[name].(string); ok {
				return s
			}
		}
		return ""
	}
	*p = Product{ConnectionName: text("connection_name"), Product: text("product"), Version: text("product_version", "version")}
	return nil
}

// Connected is when the connection was opened.
func (c Connection) Connected() time.Time { return time.UnixMilli(c.ConnectedAt) }

// A Channel is one of a connection's.
type Channel struct {
	Name           string
	Number         int
	Connection     struct{ Name string } `json:"connection_details"`
	User           string
	State          string
	Consumers      int   `json:"consumer_count"`
	Unacked        int   `json:"messages_unacknowledged"`
	Unconfirmed    int   `json:"messages_unconfirmed"`
	Prefetch       int   `json:"prefetch_count"`        // of each consumer; 0 = no bound
	GlobalPrefetch int   `json:"global_prefetch_count"` // of all of them; 0 = no bound
	IdleSince      Time  `json:"idle_since"`            // zero = busy, or not known
	Confirm        bool  // what is published on it is confirmed
	Stats          Stats `json:"message_stats"`
}

const channelColumns = "name,number,connection_details.name,user,state,consumer_count,messages_unacknowledged,messages_unconfirmed,prefetch_count,global_prefetch_count,idle_since," +
	"confirm,message_stats.publish,message_stats.deliver_get,message_stats.ack"

// A Time is one as the broker writes it, which changed over the years; always UTC.
type Time struct{ time.Time }

// UnmarshalJSON reads "2026-11-21 13:50:00" and RFC 3339. Anything else is no time.
func (t *Time) UnmarshalJSON(b []byte) error {
	t.Time = time.Time{}
	text := strings.Trim(string(b), `"`)
	for _, layout := range []string{time.RFC3339Nano, "2006-01-02 15:04:05", "2006-1-2 15:4:5"} {
		if at, err := time.Parse(layout, text); err == nil {
			t.Time = at.UTC()
			break
		}
	}
	return nil
}
