package messaging

// AMQPOptions are those of the transport for AMQP 1.0 (conformance row AMQP1-18).
type AMQPOptions struct {
	AMQPConnection
	AMQPEncryption
	AMQPSending
	AMQPAddresses
	AMQPIgnored
}

// AMQPConnection is how brokers are reached.
type AMQPConnection struct {
	ContainerName    string `config:"container_name" deprecated:"amqp1.container_name" help:"The name by which the broker knows the process; must be unique. Made of the host, the program and a number when empty."`
	IdleTimeout      int    `config:"idle_timeout" default:"20" min:"0" deprecated:"amqp1.idle_timeout" help:"After how many silent seconds the broker counts as gone. 0 is never."`
	RetryInterval    int    `config:"connection_retry_interval" default:"1" min:"1" help:"Seconds before the second attempt to connect."`
	RetryBackoff     int    `config:"connection_retry_backoff" default:"2" min:"0" help:"How many times longer each further pause is."`
	RetryIntervalMax int    `config:"connection_retry_interval_max" default:"30" min:"1" help:"The longest pause, in seconds."`
	LinkRetryDelay   int    `config:"link_retry_delay" default:"10" min:"1" help:"The longest pause, in seconds, before a link that was refused or lost is attached again, or a message sent again that was given back."`
	Mechanisms       string `config:"sasl_mechanisms" default:"" deprecated:"amqp1.sasl_mechanisms" help:"SASL mechanisms to offer, separated by blanks: EXTERNAL, PLAIN, ANONYMOUS. When empty PLAIN, where the URL has a user, and else no SASL."`
	DefaultRealm     string `config:"sasl_default_realm" default:"" help:"Added to user names that have no realm, as user@realm."`
}

// AMQPEncryption is how connections are encrypted.
type AMQPEncryption struct {
	SSL         bool   `config:"ssl" default:"false" help:"Whether connections are encrypted. They are too where there is a file of authorities or a certificate."`
	CAFile      string `config:"ssl_ca_file" default:"" deprecated:"amqp1.ssl_ca_file" help:"The authorities that may have signed the broker's certificate. The system's when empty."`
	CertFile    string `config:"ssl_cert_file" default:"" deprecated:"amqp1.ssl_cert_file" help:"Our own certificate, for brokers that ask for one."`
	KeyFile     string `config:"ssl_key_file" default:"" deprecated:"amqp1.ssl_key_file" help:"Its private key. In the same file when empty."`
	KeyPassword string `config:"ssl_key_password" secret:"true" deprecated:"amqp1.ssl_key_password" help:"Refused: keys with a password cannot be read."`
	VerifyVhost bool   `config:"ssl_verify_vhost" default:"false" help:"Whether the certificate must be for the virtual host in place of the host."`
}

// AMQPSending is how messages are sent, and how many may be on their way.
type AMQPSending struct {
	SendTimeout       int      `config:"default_send_timeout" default:"30" min:"5" help:"Seconds for sending a request that has no deadline."`
	ReplyTimeout      int      `config:"default_reply_timeout" default:"30" min:"5" help:"Seconds for sending a reply."`
	NotifyTimeout     int      `config:"default_notify_timeout" default:"30" min:"5" help:"Seconds for one attempt to send a notification that has no deadline."`
	SenderLinkTimeout int      `config:"default_sender_link_timeout" default:"600" min:"1" help:"After how many seconds an unused link to an address is detached."`
	ReplyCredit       int      `config:"reply_link_credit" min:"1" help:"How many replies may be on their way. As many as the program asks for, or 200, when empty."`
	ServerCredit      int      `config:"rpc_server_credit" min:"1" help:"How many requests may be on their way to one address of a server. As many as the server asks for, or 100, when empty."`
	NotifyCredit      int      `config:"notify_server_credit" min:"1" help:"How many notifications of one topic and priority may be on their way to a listener. As many as the listener asks for, or 100, when empty."`
	PreSettled        []string `config:"pre_settled" default:"rpc-reply" help:"Kinds of messages that are sent without waiting for the broker to accept them: rpc-call, rpc-reply, rpc-cast, notify. Such a message may be lost without an error."`
}

// AMQPAddresses are parts of addresses. Peers must agree on them.
type AMQPAddresses struct {
	AddressingMode  string `config:"addressing_mode" default:"dynamic" choices:"dynamic,legacy,routable" help:"How addresses are made: as qpidd needs them (legacy), as a router does (routable), or by what the broker says that it is (dynamic)."`
	PseudoVhost     bool   `config:"pseudo_vhost" default:"true" help:"Whether the virtual host of the URL is part of addresses. Else the broker is told of it."`
	ServerPrefix    string `config:"server_request_prefix" default:"exclusive" deprecated:"amqp1.server_request_prefix" help:"Begins legacy addresses of one server."`
	BroadcastPrefix string `config:"broadcast_prefix" default:"broadcast" deprecated:"amqp1.broadcast_prefix" help:"Begins legacy addresses of all servers of a topic."`
	GroupPrefix     string `config:"group_request_prefix" default:"unicast" deprecated:"amqp1.group_request_prefix" help:"Begins legacy addresses of any server of a topic."`
	RPCPrefix       string `config:"rpc_address_prefix" default:"openstack.org/om/rpc" help:"Begins routable addresses."`
	NotifyPrefix    string `config:"notify_address_prefix" default:"openstack.org/om/notify" help:"Begins routable addresses of notifications."`
	Multicast       string `config:"multicast_address" default:"multicast" help:"Says in a routable address that it is of all servers of a topic."`
	Unicast         string `config:"unicast_address" default:"unicast" help:"Says in a routable address that it is of one server."`
	Anycast         string `config:"anycast_address" default:"anycast" help:"Says in a routable address that it is of any server of a topic."`
	RPCExchange     string `config:"default_rpc_exchange" help:"The exchange in routable addresses of topics that name none, in place of control_exchange."`

	NotificationExchange string `config:"default_notification_exchange" help:"The exchange in routable addresses of notifications, in place of control_exchange."`
}

// AMQPIgnored are options that mean something to oslo.messaging only.
type AMQPIgnored struct {
	Trace          bool   `config:"trace" default:"false" deprecated:"amqp1.trace" help:"Without effect: frames are not logged."`
	SASLConfigDir  string `config:"sasl_config_dir" default:"" deprecated:"amqp1.sasl_config_dir" help:"Without effect: there is no SASL library to configure."`
	SASLConfigName string `config:"sasl_config_name" default:"" deprecated:"amqp1.sasl_config_name" help:"Without effect: there is no SASL library to configure."`
	ReplyRetry     int    `config:"default_reply_retry" default:"0" min:"-1" help:"Without effect: a reply waits for the connection, and is not sent twice."`
}
