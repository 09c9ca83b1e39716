//go:build zmq

package zmq

import (
	"cmp"
	"errors"
	"log/slog"
	"math"
	"net"
	"os"
	"time"

	"github.com/goslo/goslo/transport"
)

// Why some options of oslo.messaging change nothing here.
const (
	noProxy      = "servers are connected to directly, there are no proxies"
	noMatchmaker = "the url's scheme names the directory"
	noThreads    = "a server's workers are rpc.ServerConfig.Workers"
	noAckOption  = "every request is acknowledged, and lost connections are resumed"
	noLocal      = "zmq:// without a directory is a bus on this host, over ipc:// sockets alone"
)

// options reads the options of [oslo_messaging_zmq], by their names there, and our own. The result has what is to be said
// about them.
func (s *settings) options(u *transport.URL, files []transport.Setting, log *slog.Logger) (*transport.Options, error) {
	o := u.Options().From(files)
	o.Formerly("zmq_linger", "rpc_cast_timeout")
	directory, err := readDirectory(u, o)
	s.directory = directory
	s.listening(o)
	s.sockets(o)
	keys, keyErr := readCurve(o)
	withoutEffect(o)
	if err = errors.Join(o.Finish(), err, keyErr); err != nil {
		return o, err
	}
	s.security, err = keys.load(log)
	return o, err
}

func (s *settings) listening(o *transport.Options) {
	t := &s.tcp
	t.on = s.directory.redis != nil || s.directory.static.given()
	t.bind, t.min, t.max, t.trials = "*", 49153, 65536, 100
	o.Text("rpc_zmq_bind_address", &t.bind)
	o.Text("rpc_zmq_host", &t.host)
	o.Int("rpc_zmq_min_port", &t.min, 1, math.MaxUint16)
	o.Int("rpc_zmq_max_port", &t.max, 2, math.MaxUint16+1)
	o.Int("rpc_zmq_bind_port_retries", &t.trials, 1, 100000)
	o.Text("rpc_zmq_ipc_dir", &s.ipcDir)
	if t.max <= t.min {
		o.Wrong("rpc_zmq_max_port", "is not above rpc_zmq_min_port; it is the first port that is not used")
	}
	_, noInterface := net.InterfaceByName(t.bind)
	switch {
	case t.host != "" || noInterface == nil: // of an interface it is the address that libzmq has bound, see bind
	case t.bind != "*" && t.bind != "0.0.0.0" && t.bind != "::" && t.bind != "[::]":
		t.host = t.bind
	default:
		name, err := os.Hostname()
		if err != nil {
			name = ""
		}
		t.host = cmp.Or(name, "localhost")
	}
	if !t.on {
		for _, name := range []string{"rpc_zmq_bind_address", "rpc_zmq_host", "rpc_zmq_min_port", "rpc_zmq_max_port", "rpc_zmq_bind_port_retries"} {
			o.NoEffect(name, noLocal)
		}
	}
}

func (s *settings) sockets(o *transport.Options) {
	c := &s.socket
	s.immediate = true
	c.highWater, c.linger, c.heartbeat, c.timeout = 1000, 5*time.Second, 2*time.Second, 6*time.Second
	c.keepalive = keepalive{-1, -1, -1, -1}
	o.Int("zmq_high_water_mark", &c.highWater, 1, math.MaxInt32)
	o.Seconds("zmq_heartbeat_interval", &c.heartbeat, 0, time.Hour)
	o.Seconds("zmq_heartbeat_timeout", &c.timeout, 10*time.Millisecond, time.Hour)
	o.Bool("zmq_immediate", &s.immediate)
	o.Int("zmq_tcp_keepalive", &c.keepalive.on, -1, 1)
	o.Int("zmq_tcp_keepalive_idle", &c.keepalive.idle, -1, math.MaxInt32)
	o.Int("zmq_tcp_keepalive_cnt", &c.keepalive.count, -1, math.MaxInt32)
	o.Int("zmq_tcp_keepalive_intvl", &c.keepalive.interval, -1, math.MaxInt32)

	linger := int(c.linger / time.Second)
	o.Int("zmq_linger", &linger, -1, math.MaxInt32)
	if linger < 0 {
		linger = int(c.linger / time.Second)
		o.Note("zmq_linger", "the time is limited", "a process that never ends is worse than what it has not sent; "+c.linger.String()+" is the time without the option")
	}
	c.linger = time.Duration(linger) * time.Second
}

// withoutEffect checks the options that mean nothing here, and has them explained.
func withoutEffect(o *transport.Options) {
	var (
		text   string
		flag   bool
		number int
		list   []string
	)
	o.Text("rpc_zmq_matchmaker", &text)
	o.OneOf("rpc_zmq_serialization", &text, "json", "msgpack")
	o.Bool("use_pub_sub", &flag)
	o.Bool("use_router_proxy", &flag)
	o.Bool("use_dynamic_connections", &flag)
	o.Int("zmq_failover_connections", &number, 0, math.MaxInt32)
	o.List("subscribe_on", &list)
	o.Int("rpc_zmq_contexts", &number, 0, math.MaxInt32)
	o.Int("rpc_zmq_topic_backlog", &number, 0, math.MaxInt32)
	o.Int("rpc_poll_timeout", &number, 0, math.MaxInt32)
	o.Int("rpc_thread_pool_size", &number, 1, math.MaxInt32)
	o.Int("rpc_message_ttl", &number, 0, math.MaxInt32)
	o.Bool("rpc_use_acks", &flag)
	o.Int("rpc_ack_timeout_base", &number, 0, math.MaxInt32)
	o.Int("rpc_ack_timeout_multiplier", &number, 0, math.MaxInt32)
	o.Int("rpc_retry_attempts", &number, -1, math.MaxInt32)
	for name, why := range map[string]string{
		"rpc_zmq_matchmaker":         noMatchmaker,
		"rpc_zmq_serialization":      "arguments and results are JSON",
		"use_pub_sub":                noProxy,
		"use_router_proxy":           noProxy,
		"use_dynamic_connections":    "a connection is kept for as long as both ends live",
		"zmq_failover_connections":   noProxy,
		"subscribe_on":               noProxy,
		"rpc_zmq_contexts":           "each open transport has one",
		"rpc_zmq_topic_backlog":      "oslo.messaging never used it either",
		"rpc_poll_timeout":           "nothing is polled",
		"rpc_thread_pool_size":       noThreads,
		"rpc_message_ttl":            "a message lives as long as its deadline says",
		"rpc_use_acks":               noAckOption,
		"rpc_ack_timeout_base":       noAckOption,
		"rpc_ack_timeout_multiplier": noAckOption,
		"rpc_retry_attempts":         noAckOption,
	} {
		o.NoEffect(name, why)
	}
}
