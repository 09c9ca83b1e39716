package messaging

// ZMQOptions are those of the transport for ZeroMQ, which programs built with -tags zmq have.
type ZMQOptions struct {
	ZMQPlaces
	ZMQSockets
	ZMQDelivery
	ZMQProxies
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

// ZMQProxies are options of oslo.messaging's about who connects to whom. Those of the directory matter where there is one.
type ZMQProxies struct {
	Matchmaker          string   `config:"rpc_zmq_matchmaker" default:"redis" deprecated:"DEFAULT.rpc_zmq_matchmaker" help:"Without effect: the transport_url names the directory."`
	TargetExpire        int      `config:"zmq_target_expire" default:"300" min:"-1" deprecated:"DEFAULT.zmq_target_expire" help:"Without effect in a directory that needs no renewal."`
	TargetUpdate        int      `config:"zmq_target_update" default:"180" min:"0" deprecated:"DEFAULT.zmq_target_update" help:"Without effect in a directory that needs no renewal."`
	UsePubSub           bool     `config:"use_pub_sub" default:"false" deprecated:"DEFAULT.use_pub_sub" help:"Without effect: servers are connected to directly."`
	UseRouterProxy      bool     `config:"use_router_proxy" default:"false" deprecated:"DEFAULT.use_router_proxy" help:"Without effect: servers are connected to directly."`
	DynamicConnections  bool     `config:"use_dynamic_connections" default:"false" help:"Without effect: a connection is kept for as long as both ends live."`
	FailoverConnections int      `config:"zmq_failover_connections" default:"2" min:"0" help:"Without effect: servers are connected to directly."`
	SubscribeOn         []string `config:"subscribe_on" help:"Without effect: servers are connected to directly."`
}
