package rabbit

import (
	"errors"
	"math"
	"time"

	"github.com/goslo/goslo/transport"
)

// Why options of oslo.messaging are refused rather than ignored.
const (
	notYet     = "is not supported"
	noPool     = "is not supported: two connections carry everything, there is no pool of them"
	noRate     = "is not supported: heartbeats are always sent at half the negotiated interval"
	noCompress = "is not supported: messages are sent uncompressed"
	noVersion  = "is not supported: TLS 1.2 or 1.3 is negotiated"
	noNames    = "is not supported: reply and fanout queues have unique names"
)

// options reads the query of the URL: the options of [oslo_messaging_rabbit] that are supported, by their names there.
func (s *settings) options(u *transport.URL) error {
	var (
		ttl, heartbeat            = 1800, 60
		interval, step, most      = 1, 2, 30
		patience                  = 60
		strategy                  = "round-robin"
		useTLS, verify            = false, true
		caFile, certFile, keyFile string
	)
	s.login = "AMQPLAIN"
	s.backoff.delay = time.Second
	s.probes = probePolicy{every: 10 * time.Second, misses: 3}
	s.replies.mandatory = true

	o := u.Options()
	o.Bool("amqp_durable_queues", &s.topology.durable)
	o.Bool("amqp_auto_delete", &s.topology.autoDelete)
	o.Bool("rabbit_quorum_queue", &s.topology.quorum)
	o.Int("rabbit_transient_queues_ttl", &ttl, 0, math.MaxInt32/1000)
	o.Int("rabbit_qos_prefetch_count", &s.prefetch, 0, 1<<16-1)
	o.Int("heartbeat_timeout_threshold", &heartbeat, 0, 1<<16-1)
	o.OneOf("rabbit_login_method", &s.login, "AMQPLAIN", "PLAIN", "EXTERNAL")
	o.Bool("direct_mandatory_flag", &s.replies.mandatory)
	o.Int("kombu_missing_consumer_retry_timeout", &patience, 0, 1<<31)
	o.Int("rabbit_retry_interval", &interval, 1, 1<<31)
	o.Int("rabbit_retry_backoff", &step, 0, 1<<31)
	o.Int("rabbit_interval_max", &most, 1, 1<<31)
	o.Seconds("kombu_reconnect_delay", &s.backoff.delay, 0, 4500*time.Millisecond)
	o.Seconds("kombu_reconnect_splay", &s.backoff.splay, 0, time.Hour)
	o.Seconds("probe_interval", &s.probes.every, 0, 24*time.Hour)
	o.Int("probe_misses", &s.probes.misses, 1, 1000)
	o.OneOf("kombu_failover_strategy", &strategy, "round-robin", "shuffle")
	o.Bool("ssl", &useTLS)
	o.Text("ssl_ca_file", &caFile)
	o.Text("ssl_cert_file", &certFile)
	o.Text("ssl_key_file", &keyFile)
	o.Bool("ssl_enforce_hostname_verification", &verify)

	o.Refuse("rpc_conn_pool_size", noPool)
	o.Refuse("conn_pool_min_size", noPool)
	o.Refuse("conn_pool_ttl", noPool)
	o.Refuse("heartbeat_rate", noRate)
	o.Refuse("kombu_compression", noCompress)
	o.Refuse("ssl_version", noVersion)
	o.Refuse("ssl_enforce_fips_mode", notYet)
	o.Refuse("rabbit_ha_queues", notYet)
	o.Refuse("rabbit_transient_quorum_queue", notYet)
	o.Refuse("rabbit_quorum_delivery_limit", notYet)
	o.Refuse("rabbit_quorum_max_memory_length", notYet)
	o.Refuse("rabbit_quorum_max_memory_bytes", notYet)
	o.Refuse("enable_cancel_on_failover", notYet)
	o.Refuse("rabbit_stream_fanout", notYet)
	o.Refuse("use_queue_manager", noNames)
	o.Refuse("hostname", noNames)
	o.Refuse("processname", noNames)
	if err := o.Finish(); err != nil {
		return err
	}
	if heartbeat == 0 {
		return unusable(u, errors.New("option heartbeat_timeout_threshold: 0 is not supported: without heartbeats a dead broker is never noticed"))
	}
	s.topology.ttl = time.Duration(ttl) * time.Second
	s.heartbeat = time.Duration(heartbeat) * time.Second
	s.replies.patience = time.Duration(patience) * time.Second
	s.backoff.first = time.Duration(interval) * time.Second
	s.backoff.step = time.Duration(step) * time.Second
	s.backoff.most = time.Duration(most+interval) * time.Second
	s.backoff.shuffle = strategy == "shuffle"
	if err := s.encryption(useTLS, verify, caFile, certFile, keyFile); err != nil {
		return unusable(u, err)
	}
	return nil
}

// unusable says of options that go together what Finish says of one that is wrong by itself.
func unusable(u *transport.URL, why error) error {
	return &transport.OptionsError{Driver: u.Driver(), Problems: []string{why.Error()}}
}
