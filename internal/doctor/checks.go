package doctor

// Checks are all there are, by id. Ids are not used again when a check goes.
func Checks() []Check {
	view := []string{whyView}
	return []Check{
		{"B01", "deaf", "servers whose queue has a consumer and that do not answer a probe", []string{whyProbes}, deaf, false},
		{"B02", "reply-lost", "live processes without a consumer on a connection that had one: they hear no replies, or no requests", []string{whyView, whyChannels}, consumerLost, true},
		{"B03", "types", "exchanges and queues that are durable here and transient there, or of another type than their like", view, types, false},
		{"B04", "transient", "queues that are transient and not exclusive, which RabbitMQ 4.3 refuses", view, transient, false},
		{"B05", "orphans", "queues of processes that are gone", view, orphans, false},
		{"B06", "unserved", "requests that wait in queues nobody reads", view, unserved, false},
		{"B07", "unread", "notifications that nobody reads", view, unread, false},
		{"B08", "blocked", "connections that may not send", view, blocked, true},
		{"B09", "alarms", "nodes that are down, cut off, or short of memory, disk or files", []string{whyView, whyNodes}, alarms, false},
		{"B10", "prefetch", "consumers without a bound that hold many messages", view, prefetch, true},
		{"B11", "churn", "connections, channels and queues that come and go all the time", view, churn, false},
		{"B12", "clocks", "a clock of the broker that differs from this machine's", []string{whyClock}, clocks, false},
		{"B13", "version", "a broker that gets no more fixes, or lacks what oslo.messaging uses", []string{whyVersion}, version, false},
		{"B14", "clients", "libraries of several versions on one virtual host", view, clients, true},
		{"B15", "tls", "connections that are not encrypted, or do not check whom they talk to", []string{whySettings}, encryption, false},
		{"B16", "unbound", "queues that are read and get no requests, since their binding is gone", view, unbound, false},
		{"B17", "twins", "servers of one name on several hosts", view, twins, true},
		{"B18", "firehose", "tracing that was left on", view, firehose, false},
		{"B19", "mirrored", "policies that mirror classic queues, which RabbitMQ 4.0 ignores", []string{whyView, whyPolicies}, mirrored, false},
		{"B20", "heartbeat", "connections without heartbeats", view, heartbeat, true},
		{"B21", "atoms", "quorum queues and streams with names that are made up anew with every start", view, atoms, false},
		{"B22", "settings", "a configuration that will not go with the exchanges and queues that are there", []string{whyView, whySettings}, settings, false},
	}
}
