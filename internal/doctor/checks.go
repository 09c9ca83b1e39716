package doctor

// Checks are all there are, by id. Ids are not used again when a check goes.
func Checks() []Check {
	view := []string{whyView}
	return []Check{
		{"B01", "deaf", "servers whose queue has a consumer and that do not answer a probe", []string{whyProbes}, deaf},
		{"B02", "reply-lost", "live processes without a consumer on a connection that had one: they hear no replies, or no requests", []string{whyView, whyChannels}, consumerLost},
		{"B03", "types", "exchanges and queues that are durable here and transient there, or of another type than their like", view, types},
		{"B04", "transient", "queues that are transient and not exclusive, which RabbitMQ 4.3 refuses", view, transient},
		{"B05", "orphans", "queues of processes that are gone", view, orphans},
		{"B06", "unserved", "requests that wait in queues nobody reads", view, unserved},
		{"B07", "unread", "notifications that nobody reads", view, unread},
		{"B08", "blocked", "connections that may not send", view, blocked},
		{"B09", "alarms", "nodes that are down, cut off, or short of memory, disk or files", view, alarms},
		{"B10", "prefetch", "consumers without a bound that hold many messages", view, prefetch},
		{"B11", "churn", "connections, channels and queues that come and go all the time", view, churn},
		{"B12", "clocks", "a clock of the broker that differs from this machine's", []string{whyClock}, clocks},
		{"B13", "version", "a broker that gets no more fixes, or lacks what oslo.messaging uses", []string{whyVersion}, version},
		{"B14", "clients", "libraries of several versions on one virtual host", view, clients},
		{"B15", "tls", "connections that are not encrypted, or do not check whom they talk to", []string{whySettings}, encryption},
		{"B16", "unbound", "queues that are read and get no requests, since their binding is gone", view, unbound},
		{"B17", "twins", "servers of one name on several hosts", view, twins},
		{"B18", "firehose", "tracing that was left on", view, firehose},
		{"B19", "mirrored", "policies that mirror classic queues, which RabbitMQ 4.0 ignores", []string{whyView, whyPolicies}, mirrored},
		{"B20", "heartbeat", "connections without heartbeats", view, heartbeat},
		{"B21", "atoms", "quorum queues and streams with names that are made up anew with every start", view, atoms},
		{"B22", "settings", "a configuration that will not go with the exchanges and queues that are there", []string{whyView, whySettings}, settings},
	}
}
