package messaging

// ZMQOptions are those of the transport for ZeroMQ, which programs built with -tags zmq have.
type ZMQOptions struct {
	ZMQDirectory
	ZMQEncryption
	ZMQPlaces
	ZMQSockets
	ZMQDelivery
	ZMQProxies
}

// ZMQDirectory is where processes find each other. The transport_url says which kind of directory that is.
type ZMQDirectory struct {
	File          string  `config:"directory_file" help:"A file with an endpoint, host:port, on each line, instead of hosts in the transport_url. Goslo only."`
	RedisDB       int     `config:"redis_db" default:"0" min:"0" help:"The number of the database in Redis. Goslo only."`
	TargetExpire  float64 `config:"zmq_target_expire" default:"10" deprecated:"DEFAULT.zmq_target_expire" help:"After how many seconds Redis forgets a server that does not renew its entry."`
	TargetUpdate  float64 `config:"zmq_target_update" deprecated:"DEFAULT.zmq_target_update" help:"How many seconds lie between renewals. A third of zmq_target_expire when empty."`
	TLS           bool    `config:"tls" default:"false" help:"Whether connections to Redis are encrypted. Goslo only."`
	TLSCA         string  `config:"tls_ca" help:"The authorities that may have signed its certificate. The system's when empty. Goslo only."`
	TLSCert       string  `config:"tls_cert" help:"Our own certificate for Redis. Goslo only."`
	TLSKey        string  `config:"tls_key" help:"Its private key. Goslo only."`
	TLSServerName string  `config:"tls_server_name" help:"The name in Redis's certificate, when it is not the host's. Goslo only."`
}

// ZMQEncryption is CURVE between processes. All of it is Goslo's.
type ZMQEncryption struct {
	Key     string `config:"curve_key" help:"The file with our own keys, from goslo zmq keys. Connections are neither encrypted nor checked when empty."`
	Servers string `config:"curve_servers" help:"A file or folder with the public keys of those whom we may call."`
	Clients string `config:"curve_clients" help:"A file or folder with the public keys of those who may call us."`
}

// ZMQPlaces is where a process can be reached.
type ZMQPlaces struct {
	BindAddress     string `config:"rpc_zmq_bind_address" default:"*" deprecated:"DEFAULT.rpc_zmq_bind_address" help:"The address that sockets for other hosts are bound to. * is every one."`
	Host            string `config:"rpc_zmq_host" sample:"node1.example.com" deprecated:"DEFAULT.rpc_zmq_host" help:"The name or address by which other hosts reach this one: that bound to, or the host's name, when empty."`
	MinPort         int    `config:"rpc_zmq_min_port" default:"49153" min:"1" max:"65535" deprecated:"DEFAULT.rpc_zmq_min_port" help:"The first port that may be bound."`
	MaxPort         int    `config:"rpc_zmq_max_port" default:"65536" min:"2" max:"65536" deprecated:"DEFAULT.rpc_zmq_max_port" help:"The first port above those that may be bound."`
	BindPortRetries int    `config:"rpc_zmq_bind_port_retries" default:"100" min:"1" deprecated:"DEFAULT.rpc_zmq_bind_port_retries" help:"How many ports, picked at random, are tried."`
	IPCDir          string `config:"rpc_zmq_ipc_dir" deprecated:"DEFAULT.rpc_zmq_ipc_dir" help:"The folder of the sockets by which processes of one host reach each other. goslo-zmq in the user's runtime folder when empty."`
}

// ZMQSockets is how connections behave.
type ZMQSockets struct {
	Linger            int     `config:"zmq_linger" default:"5" min:"-1" deprecated:"DEFAULT.rpc_cast_timeout" help:"For how many seconds a process that ends tries to send what it has not sent."`
	Immediate         bool    `config:"zmq_immediate" default:"true" help:"Whether messages wait here, and not in a socket, until a connection is there."`
	HighWaterMark     int     `config:"zmq_high_water_mark" default:"1000" min:"1" help:"How many batches of messages may wait in one socket. Goslo only."`
	HeartbeatInterval float64 `config:"zmq_heartbeat_interval" default:"2" min:"0" help:"How often, in seconds, a connection shows that it is alive. 0 is never. Goslo only."`
	HeartbeatTimeout  float64 `config:"zmq_heartbeat_timeout" default:"6" min:"0.01" help:"After how many seconds without an answer to that it is given up. Goslo only."`
	Keepalive         int     `config:"zmq_tcp_keepalive" default:"-1" min:"-1" max:"1" help:"TCP keepalive: 1 on, 0 off, -1 as the system has it."`
	KeepaliveIdle     int     `config:"zmq_tcp_keepalive_idle" default:"-1" min:"-1" help:"After how many idle seconds it begins. -1 as the system has it."`
	KeepaliveCount    int     `config:"zmq_tcp_keepalive_cnt" default:"-1" min:"-1" help:"How many probes go unanswered until the connection counts as lost. -1 as the system has it."`
	KeepaliveInterval int     `config:"zmq_tcp_keepalive_intvl" default:"-1" min:"-1" help:"How many seconds lie between probes. -1 as the system has it."`
}

// ZMQDelivery are options of oslo.messaging's about delivery, all without effect.
type ZMQDelivery struct {
	PollTimeout   int    `config:"rpc_poll_timeout" default:"1" min:"0" deprecated:"DEFAULT.rpc_poll_timeout" help:"Without effect: nothing is polled."`
	Serialization string `config:"rpc_zmq_serialization" default:"json" choices:"json,msgpack" deprecated:"DEFAULT.rpc_zmq_serialization" help:"Without effect: messages are JSON."`
	ThreadPool    int    `config:"rpc_thread_pool_size" default:"100" min:"1" help:"Without effect: see executor_thread_pool_size."`
	MessageTTL    int    `config:"rpc_message_ttl" default:"300" min:"0" help:"Without effect: a message lives as long as its deadline says."`
	UseAcks       bool   `config:"rpc_use_acks" default:"false" help:"Without effect: every request is acknowledged."`
	AckBase       int    `config:"rpc_ack_timeout_base" default:"15" min:"0" help:"Without effect: every request is acknowledged."`
	AckMultiplier int    `config:"rpc_ack_timeout_multiplier" default:"2" min:"0" help:"Without effect: every request is acknowledged."`
	RetryAttempts int    `config:"rpc_retry_attempts" default:"3" min:"-1" help:"Without effect: a lost connection is resumed."`
	TopicBacklog  int    `config:"rpc_zmq_topic_backlog" min:"0" deprecated:"DEFAULT.rpc_zmq_topic_backlog" help:"Without effect, as in oslo.messaging."`
	Contexts      int    `config:"rpc_zmq_contexts" default:"1" min:"0" deprecated:"DEFAULT.rpc_zmq_contexts" help:"Without effect, as in oslo.messaging."`
}

// ZMQProxies are options of oslo.messaging's about who connects to whom, all without effect.
type ZMQProxies struct {
	Matchmaker          string   `config:"rpc_zmq_matchmaker" default:"redis" deprecated:"DEFAULT.rpc_zmq_matchmaker" help:"Without effect: the transport_url names the directory."`
	UsePubSub           bool     `config:"use_pub_sub" default:"false" deprecated:"DEFAULT.use_pub_sub" help:"Without effect: servers are connected to directly."`
	UseRouterProxy      bool     `config:"use_router_proxy" default:"false" deprecated:"DEFAULT.use_router_proxy" help:"Without effect: servers are connected to directly."`
	DynamicConnections  bool     `config:"use_dynamic_connections" default:"false" help:"Without effect: a connection is kept for as long as both ends live."`
	FailoverConnections int      `config:"zmq_failover_connections" default:"2" min:"0" help:"Without effect: servers are connected to directly."`
	SubscribeOn         []string `config:"subscribe_on" help:"Without effect: servers are connected to directly."`
}
