package amqp1

import (
	"fmt"
	"math"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/goslo/goslo/transport"
	"github.com/goslo/goslo/wire"
)

// Why some options of oslo.messaging change nothing here.
const (
	noTrace      = "frames are not logged; a network analyser such as Wireshark decodes AMQP 1.0"
	noSASLFiles  = "SASL is part of this program; there is no library to configure"
	noReplyRetry = "a reply that did not leave waits for the connection, up to default_reply_timeout; one that left is never sent again"
)

// options reads the options of [oslo_messaging_amqp], by their names there. The result has what is to be said about
// them.
func (s *settings) options(u *transport.URL, files []transport.Setting) (*transport.Options, error) {
	o := u.Options().From(files)
	use := s.hosts(o, u)
	s.encryption(o, use || u.Scheme == "amqps")
	s.authentication(o)
	s.connecting(o)
	s.sending(o)
	s.addressing(o, u)
	withoutEffect(o)
	return o, o.Finish()
}

func (s *settings) connecting(o *transport.Options) {
	// Upstream's default is none, so that a connection that was cut without a word is never noticed.
	s.idle = 20 * time.Second
	first, step, most := 1, 2, 30
	s.retry.link = 10 * time.Second
	o.Text("container_name", &s.container)
	o.Seconds("idle_timeout", &s.idle, 0, time.Hour)
	o.Int("connection_retry_interval", &first, 1, math.MaxInt32)
	o.Int("connection_retry_backoff", &step, 0, 1000)
	o.Int("connection_retry_interval_max", &most, 1, math.MaxInt32)
	o.Seconds("link_retry_delay", &s.retry.link, time.Second, time.Hour)
	s.retry.first = time.Duration(first) * time.Second
	s.retry.most = time.Duration(most) * time.Second
	s.retry.step = max(step, 1)
	if s.container == "" {
		host, err := os.Hostname()
		if err != nil {
			host = "localhost"
		}
		s.container = fmt.Sprintf("openstack.org/om/container/%s/%s/%d/%s", host, s.program, os.Getpid(), wire.NewID())
	}
}

func (s *settings) sending(o *transport.Options) {
	s.timeouts = timeouts{send: 30 * time.Second, reply: 30 * time.Second, notify: 30 * time.Second, idleSender: 10 * time.Minute}
	o.Seconds("default_send_timeout", &s.timeouts.send, 5*time.Second, 24*time.Hour)
	o.Seconds("default_reply_timeout", &s.timeouts.reply, 5*time.Second, 24*time.Hour)
	o.Seconds("default_notify_timeout", &s.timeouts.notify, 5*time.Second, 24*time.Hour)
	o.Seconds("default_sender_link_timeout", &s.timeouts.idleSender, time.Second, 24*time.Hour)
	o.Int("reply_link_credit", &s.credit.replies, 1, math.MaxInt16)
	o.Int("rpc_server_credit", &s.credit.requests, 1, math.MaxInt16)
	o.Int("notify_server_credit", &s.credit.notifications, 1, math.MaxInt16)
	kinds := []string{"rpc-reply"} // docs/adr/0021: a cast that was sent settled may be lost without an error
	o.List("pre_settled", &kinds)
	known := []string{"rpc-call", "rpc-reply", "rpc-cast", "notify"}
	for i, k := range kinds {
		kinds[i] = strings.ToLower(k)
		if !slices.Contains(known, kinds[i]) {
			o.Wrong("pre_settled", fmt.Sprintf("%q is not one of %s", k, strings.Join(known, ", ")))
		}
	}
	s.settled = settled{
		call:  slices.Contains(kinds, "rpc-call"),
		cast:  slices.Contains(kinds, "rpc-cast"),
		reply: slices.Contains(kinds, "rpc-reply"),

		notification: slices.Contains(kinds, "notify"),
	}
}

func (s *settings) addressing(o *transport.Options, u *transport.URL) {
	a := &s.addresses
	a.mode, a.server, a.broadcast, a.group = "dynamic", "exclusive", "broadcast", "unicast"
	a.rpc, a.multicast, a.unicast, a.anycast = "openstack.org/om/rpc", "multicast", "unicast", "anycast"
	a.notify = "openstack.org/om/notify"
	pseudo := true
	o.OneOf("addressing_mode", &a.mode, "dynamic", "legacy", "routable")
	o.Text("server_request_prefix", &a.server)
	o.Text("broadcast_prefix", &a.broadcast)
	o.Text("group_request_prefix", &a.group)
	o.Text("rpc_address_prefix", &a.rpc)
	o.Text("multicast_address", &a.multicast)
	o.Text("unicast_address", &a.unicast)
	o.Text("anycast_address", &a.anycast)
	o.Text("default_rpc_exchange", &a.rpcExchange)
	o.Text("notify_address_prefix", &a.notify)
	o.Text("default_notification_exchange", &a.notifyExchange)
	o.Bool("pseudo_vhost", &pseudo)
	if pseudo {
		a.vhost = u.VirtualHost
	} else {
		s.vhost = u.VirtualHost
	}
}

// withoutEffect checks the options that mean nothing here, and has them explained.
func withoutEffect(o *transport.Options) {
	var trace bool
	var text string
	retry := 0
	o.Bool("trace", &trace)
	o.NoEffect("trace", noTrace)
	for _, name := range []string{"sasl_config_dir", "sasl_config_name"} {
		o.Text(name, &text)
		o.NoEffect(name, noSASLFiles)
	}
	o.Int("default_reply_retry", &retry, -1, math.MaxInt32)
	o.NoEffect("default_reply_retry", noReplyRetry)
}
