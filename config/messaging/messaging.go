// Package messaging declares oslo.messaging's options for RPC, notifications, RabbitMQ, AMQP 1.0, Kafka and ZeroMQ, for package config: their names, types,
// limits and defaults (conformance rows CFG-01 to CFG-61), with help of our own. A program embeds [Options] in its own
// options, so that its files can hold them, and its sample explains them:
//
//	type Options struct {
//		messaging.Options
//		API APIOptions `config:"api"`
//	}
//
// The package owns declarations, and no behaviour. What the options do is up to the transport.
package messaging

import "github.com/goslo/goslo/config"

// Options are those of [DEFAULT], and the groups of transports.
type Options struct {
	TransportURL    config.Secret `config:"transport_url" sample:"rabbit://USER:PASSWORD@HOST:5672/VHOST" help:"The bus: scheme://[user[:password]@]host[:port][,...]/virtual_host[?option=value&...]. Options of the transport's group can stand there too, and win over the group."`
	ControlExchange string        `config:"control_exchange" default:"openstack" help:"The exchange of topics that name none."`
	ResponseTimeout int           `config:"rpc_response_timeout" default:"60" help:"How many seconds a call waits for its answer, when its caller sets no other deadline."`
	ThreadPoolSize  int           `config:"executor_thread_pool_size" default:"64" deprecated:"rpc_thread_pool_size" help:"How many requests a server works on at once."`
	PingEnabled     bool          `config:"rpc_ping_enabled" default:"false" help:"Whether servers answer oslo_rpc_server_ping."`

	Notifications NotificationOptions `config:"oslo_messaging_notifications"`

	Rabbit RabbitOptions `config:"oslo_messaging_rabbit"`
	ZMQ    ZMQOptions    `config:"oslo_messaging_zmq"`
	AMQP   AMQPOptions   `config:"oslo_messaging_amqp"`
	Kafka  KafkaOptions  `config:"oslo_messaging_kafka"`
}

// NotificationOptions are those of notifiers.
type NotificationOptions struct {
	Drivers       []string      `config:"driver,multi" deprecated:"DEFAULT.notification_driver" help:"What notifications go through, once for each: messagingv2, messaging (without an envelope), routing, log, test or noop. They are told to nobody when there is none."`
	TransportURL  config.Secret `config:"transport_url" deprecated:"DEFAULT.notification_transport_url" sample:"rabbit://USER:PASSWORD@HOST:5672/VHOST" help:"The bus for notifications. That of [DEFAULT] when empty."`
	Topics        []string      `config:"topics" default:"notifications" deprecated:"rpc_notifier2.topics,DEFAULT.notification_topics" help:"The topics that each notification is sent to, with its priority added."`
	Retry         int           `config:"retry" default:"-1" min:"-1" help:"How often sending is tried again. -1 is for ever, 0 never."`
	RoutingConfig string        `config:"routing_config" default:"" deprecated:"DEFAULT.routing_notifier_config" help:"The file that says which notifications the driver routing hands to which drivers."`
}

// RabbitOptions are those of the transport for RabbitMQ.
type RabbitOptions struct {
	RabbitConnection
	RabbitEncryption
	RabbitTopology
	RabbitIgnored
	RabbitRetired
}

// RabbitConnection is how brokers are reached, and messages exchanged with them.
type RabbitConnection struct {
	LoginMethod        string  `config:"rabbit_login_method" default:"AMQPLAIN" choices:"PLAIN,AMQPLAIN,EXTERNAL,RABBIT-CR-DEMO" deprecated:"DEFAULT.rabbit_login_method" help:"How to log in."`
	HeartbeatThreshold int     `config:"heartbeat_timeout_threshold" default:"60" help:"After how many silent seconds the broker counts as gone. 0 leaves out heartbeats."`
	RetryInterval      int     `config:"rabbit_retry_interval" default:"1" min:"1" help:"Seconds before the second attempt to connect to a host that refuses."`
	RetryBackoff       int     `config:"rabbit_retry_backoff" default:"2" min:"0" deprecated:"DEFAULT.rabbit_retry_backoff" help:"By how many seconds each further pause is longer."`
	IntervalMax        int     `config:"rabbit_interval_max" default:"30" min:"1" help:"The longest pause, in seconds."`
	ReconnectDelay     float64 `config:"kombu_reconnect_delay" default:"1.0" min:"0.0" max:"4.5" deprecated:"DEFAULT.kombu_reconnect_delay" help:"Seconds to wait before connecting again after a connection was lost."`
	ReconnectSplay     float64 `config:"kombu_reconnect_splay" default:"0.0" min:"0.0" help:"Up to how many seconds more, at random."`
	FailoverStrategy   string  `config:"kombu_failover_strategy" default:"round-robin" choices:"round-robin,shuffle" help:"Which host comes next when one is lost."`
	ProbeInterval      float64 `config:"probe_interval" default:"10" min:"0" help:"How often, in seconds, a listener makes sure that it can still be reached. 0 is never. Goslo only."`
	ProbeMisses        int     `config:"probe_misses" default:"3" min:"1" help:"After how many failures in a row it is reported as not ready. Goslo only."`
	PrefetchCount      int     `config:"rabbit_qos_prefetch_count" default:"0" help:"How many messages the broker hands out before they are acknowledged. 0 is as many as a server has workers."`
	Compression        string  `config:"kombu_compression" help:"How large messages are compressed, such as gzip. Not at all when empty."`
	ConsumerPatience   int     `config:"kombu_missing_consumer_retry_timeout" default:"60" deprecated:"kombu_reconnect_timeout" help:"For how many seconds a reply is sent again while nobody listens for it."`
	DirectMandatory    bool    `config:"direct_mandatory_flag" default:"true" help:"Whether a reply that reaches nobody is noticed." removal:"replies are always mandatory in later releases of oslo.messaging"`
}

// RabbitEncryption is how connections are encrypted.
type RabbitEncryption struct {
	SSL            bool   `config:"ssl" default:"false" deprecated:"rabbit_use_ssl" help:"Whether connections are encrypted."`
	Version        string `config:"ssl_version" default:"" deprecated:"kombu_ssl_version" help:"The TLS version. The best that both sides know when empty."`
	CAFile         string `config:"ssl_ca_file" default:"" deprecated:"kombu_ssl_ca_certs" help:"The authorities that may have signed the broker's certificate. The system's when empty."`
	CertFile       string `config:"ssl_cert_file" default:"" deprecated:"kombu_ssl_certfile" help:"Our own certificate, for brokers that ask for one."`
	KeyFile        string `config:"ssl_key_file" default:"" deprecated:"kombu_ssl_keyfile" help:"Its private key."`
	VerifyHostname bool   `config:"ssl_enforce_hostname_verification" default:"true" help:"Whether the certificate must be for the host that was dialled."`
}

// RabbitTopology is what kinds of queues are declared.
type RabbitTopology struct {
	DurableQueues        bool   `config:"amqp_durable_queues" default:"false" deprecated:"rabbit_durable_queues,durable_queues" help:"Whether queues that servers share survive a restart of the broker."`
	AutoDelete           bool   `config:"amqp_auto_delete" default:"false" deprecated:"DEFAULT.amqp_auto_delete" help:"Whether they go when nobody listens any more."`
	HAQueues             bool   `config:"rabbit_ha_queues" default:"false" deprecated:"DEFAULT.rabbit_ha_queues,ha_queues" help:"Whether they ask to be mirrored. Quorum queues took the place of mirrored ones."`
	QuorumQueue          bool   `config:"rabbit_quorum_queue" default:"false" help:"Whether they are quorum queues."`
	TransientQuorumQueue bool   `config:"rabbit_transient_quorum_queue" default:"false" help:"Whether reply and fanout queues are quorum queues too."`
	DeliveryLimit        int    `config:"rabbit_quorum_delivery_limit" default:"0" help:"After how many deliveries a quorum queue drops a message. 0 is no limit."`
	MaxMemoryLength      int    `config:"rabbit_quorum_max_memory_length" default:"0" deprecated:"rabbit_quroum_max_memory_length" help:"How many messages a quorum queue keeps in memory. 0 is no limit."`
	MaxMemoryBytes       int    `config:"rabbit_quorum_max_memory_bytes" default:"0" deprecated:"rabbit_quroum_max_memory_bytes" help:"How many bytes of messages a quorum queue keeps in memory. 0 is no limit."`
	TransientQueuesTTL   int    `config:"rabbit_transient_queues_ttl" default:"1800" min:"0" help:"After how many unused seconds reply and fanout queues go. 0 is never."`
	CancelOnFailover     bool   `config:"enable_cancel_on_failover" default:"false" help:"Whether the broker cancels consumers of reply and fanout queues when a mirrored queue moves; those of shared queues it always does."`
	StreamFanout         bool   `config:"rabbit_stream_fanout" default:"false" help:"Whether fanouts go through a stream."`
	QueueManager         bool   `config:"use_queue_manager" default:"false" help:"Whether reply and fanout queues have the same names after a restart."`
	Hostname             string `config:"hostname" sample:"node1.example.com" help:"The host in those names."`
	Processname          string `config:"processname" sample:"nova-api" help:"The program in those names."`
}

// RabbitIgnored are options that mean something to oslo.messaging only.
type RabbitIgnored struct {
	ConnPoolSize    int  `config:"rpc_conn_pool_size" default:"30" min:"1" deprecated:"DEFAULT.rpc_conn_pool_size" help:"Without effect: two connections carry everything."`
	ConnPoolMinSize int  `config:"conn_pool_min_size" default:"2" deprecated:"DEFAULT.conn_pool_min_size" help:"Without effect: two connections carry everything."`
	ConnPoolTTL     int  `config:"conn_pool_ttl" default:"1200" deprecated:"DEFAULT.conn_pool_ttl" help:"Without effect: two connections carry everything."`
	HeartbeatRate   int  `config:"heartbeat_rate" default:"3" help:"Without effect: heartbeats are sent at half the interval that the broker asks for."`
	FIPSMode        bool `config:"ssl_enforce_fips_mode" default:"false" help:"Without effect: a Go program is put into FIPS mode by GODEBUG=fips140=on." removal:"it has no effect in oslo.messaging either"`
	MaxRetries      int  `config:"rabbit_max_retries" default:"0" min:"0" help:"Without effect: the connection is rebuilt for as long as the program runs." removal:"later releases of oslo.messaging do not know it"`
	InPthread       bool `config:"heartbeat_in_pthread" default:"false" help:"Without effect." removal:"later releases of oslo.messaging do not know it"`
}

// RabbitRetired are options that named the broker before there was transport_url (CFG-69). A sample leaves them out.
type RabbitRetired struct {
	Host        string        `config:"rabbit_host,retired" deprecated:"host,DEFAULT.rabbit_host" removal:"use transport_url"`
	Port        int           `config:"rabbit_port,retired" type:"port" deprecated:"port,DEFAULT.rabbit_port" removal:"use transport_url"`
	Hosts       []string      `config:"rabbit_hosts,retired" deprecated:"hosts,DEFAULT.rabbit_hosts" removal:"use transport_url"`
	UserID      string        `config:"rabbit_userid,retired" deprecated:"userid,DEFAULT.rabbit_userid" removal:"use transport_url"`
	Password    config.Secret `config:"rabbit_password,retired" deprecated:"password,DEFAULT.rabbit_password" removal:"use transport_url"`
	VirtualHost string        `config:"rabbit_virtual_host,retired" deprecated:"virtual_host,DEFAULT.rabbit_virtual_host" removal:"use transport_url"`
}
