package rabbit

import (
	"math"
	"os"
	"path/filepath"
	"time"

	"github.com/goslo/goslo/transport"
)

// Why some options of oslo.messaging change nothing here.
const (
	noPool    = "two connections carry everything, there is no pool of them"
	noRate    = "heartbeats are sent at half the negotiated interval"
	noFIPS    = "a Go program is put into FIPS 140 mode from outside, with GODEBUG=fips140=on"
	noThread  = "heartbeats have a goroutine of their own always"
	noRetries = "the connection is rebuilt for as long as the program runs; deadlines belong to calls"
	noManager = "use_queue_manager is off"
)

// formerNames are what options were called in earlier releases of oslo.messaging (CFG-26, CFG-69).
var formerNames = map[string][]string{
	"amqp_durable_queues":                  {"rabbit_durable_queues", "durable_queues"},
	"rabbit_ha_queues":                     {"ha_queues"},
	"rabbit_quorum_max_memory_length":      {"rabbit_quroum_max_memory_length"},
	"rabbit_quorum_max_memory_bytes":       {"rabbit_quroum_max_memory_bytes"},
	"kombu_missing_consumer_retry_timeout": {"kombu_reconnect_timeout"},
	"ssl":                                  {"rabbit_use_ssl"},
	"ssl_version":                          {"kombu_ssl_version"},
	"ssl_key_file":                         {"kombu_ssl_keyfile"},
	"ssl_cert_file":                        {"kombu_ssl_certfile"},
	"ssl_ca_file":                          {"kombu_ssl_ca_certs"},
}

// options reads the options of [oslo_messaging_rabbit], by their names there, and our own. The result has what is
// to be said about them.
func (s *settings) options(u *transport.URL, files []transport.Setting) (*transport.Options, error) {
	o := u.Options().From(files)
	for name, old := range formerNames {
		o.Formerly(name, old...)
	}
	s.hosts(o, u)
	s.encryption(o)
	s.connecting(o)
	s.declaring(o)
	s.naming(o)
	s.sending(o)
	withoutEffect(o)
	return o, o.Finish()
}

func (s *settings) connecting(o *transport.Options) {
	heartbeat, interval, step, most, strategy := 60, 1, 2, 30, "round-robin"
	s.backoff.delay = time.Second
	s.probes = probePolicy{every: 10 * time.Second, misses: 3}
	o.Int("heartbeat_timeout_threshold", &heartbeat, 0, math.MaxUint16)
	o.Int("rabbit_retry_interval", &interval, 1, math.MaxInt32)
	o.Int("rabbit_retry_backoff", &step, 0, math.MaxInt32)
	o.Int("rabbit_interval_max", &most, 1, math.MaxInt32)
	o.Seconds("kombu_reconnect_delay", &s.backoff.delay, 0, 4500*time.Millisecond)
	o.Seconds("kombu_reconnect_splay", &s.backoff.splay, 0, time.Hour)
	o.Seconds("probe_interval", &s.probes.every, 0, 24*time.Hour)
	o.Int("probe_misses", &s.probes.misses, 1, 1000)
	o.OneOf("kombu_failover_strategy", &strategy, "round-robin", "shuffle")
	o.Int("rabbit_qos_prefetch_count", &s.prefetch, 0, math.MaxUint16)
	s.heartbeat = time.Duration(heartbeat) * time.Second
	s.backoff.first = time.Duration(interval) * time.Second
	s.backoff.step = time.Duration(step) * time.Second
	s.backoff.most = time.Duration(most+interval) * time.Second
	s.backoff.shuffle = strategy == "shuffle"
}

func (s *settings) declaring(o *transport.Options) {
	t := &s.topology
	ttl := 1800
	o.Bool("amqp_durable_queues", &t.durable)
	o.Bool("amqp_auto_delete", &t.autoDelete)
	o.Bool("rabbit_ha_queues", &t.mirrored)
	o.Bool("rabbit_quorum_queue", &t.quorum)
	o.Bool("rabbit_transient_quorum_queue", &t.transientQuorum)
	o.Int("rabbit_quorum_delivery_limit", &t.limits.deliveries, 0, math.MaxInt32)
	o.Int("rabbit_quorum_max_memory_length", &t.limits.length, 0, math.MaxInt)
	o.Int("rabbit_quorum_max_memory_bytes", &t.limits.bytes, 0, math.MaxInt)
	o.Bool("rabbit_stream_fanout", &t.stream)
	o.Int("rabbit_transient_queues_ttl", &ttl, 0, math.MaxInt32/1000)
	o.Bool("enable_cancel_on_failover", &t.cancelOnFailover)
	t.ttl = time.Duration(ttl) * time.Second

	if t.mirrored && (t.quorum || t.transientQuorum) { // RMQ-TOPO-27
		o.Wrong("rabbit_ha_queues", "a queue is mirrored or a quorum queue, not both; take quorum queues, later brokers know nothing else")
	}
	if t.stream && s.prefetch == 0 { // RMQ-TOPO-28
		o.Wrong("rabbit_stream_fanout", "a stream needs a limit of what is on its way: set rabbit_qos_prefetch_count above 0")
	}
	if t.stream && !t.transientQuorum { // RMQ-TOPO-29
		o.Wrong("rabbit_stream_fanout", "it needs rabbit_transient_quorum_queue=true, as oslo.messaging does")
	}
}

func (s *settings) naming(o *transport.Options) {
	manage := false
	host, err := os.Hostname()
	if err != nil {
		host = "localhost"
	}
	process := filepath.Base(os.Args[0])
	o.Bool("use_queue_manager", &manage)
	o.Text("hostname", &host)
	o.Text("processname", &process)
	if manage {
		s.topology.names = &namer{host: host, process: process}
		return
	}
	o.NoEffect("hostname", noManager)
	o.NoEffect("processname", noManager)
}

func (s *settings) sending(o *transport.Options) {
	patience, compression := 60, ""
	s.replies.mandatory = true
	o.Bool("direct_mandatory_flag", &s.replies.mandatory)
	o.Int("kombu_missing_consumer_retry_timeout", &patience, 0, math.MaxInt32)
	o.OneOf("kombu_compression", &compression, codecNames...)
	s.replies.patience = time.Duration(patience) * time.Second
	s.compression = compression
	if compression == "bzip2" || compression == "bz2" {
		s.compression = "gzip"
		o.Note("kombu_compression", "messages are compressed with gzip instead", "bzip2 can be read here but not written; peers read either")
	}
}

// withoutEffect checks the options that mean nothing here, and has them explained.
func withoutEffect(o *transport.Options) {
	size, least, idle, rate, retries := 30, 2, 1200, 3, 0
	var fips, thread bool
	o.Int("rpc_conn_pool_size", &size, 1, math.MaxInt32)
	o.Int("conn_pool_min_size", &least, 0, math.MaxInt32)
	o.Int("conn_pool_ttl", &idle, 0, math.MaxInt32)
	o.Int("heartbeat_rate", &rate, 1, math.MaxInt32)
	o.Bool("ssl_enforce_fips_mode", &fips)
	o.Bool("heartbeat_in_pthread", &thread)
	o.Int("rabbit_max_retries", &retries, 0, math.MaxInt32)
	if size < least { // RMQ-POOL-03
		o.Wrong("rpc_conn_pool_size", "is less than conn_pool_min_size")
	}
	o.NoEffect("rpc_conn_pool_size", noPool)
	o.NoEffect("conn_pool_min_size", noPool)
	o.NoEffect("conn_pool_ttl", noPool)
	o.NoEffect("heartbeat_rate", noRate)
	o.NoEffect("ssl_enforce_fips_mode", noFIPS)
	o.NoEffect("heartbeat_in_pthread", noThread)
	o.NoEffect("rabbit_max_retries", noRetries)
}
