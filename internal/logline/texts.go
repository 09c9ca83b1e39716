package logline

import (
	"net"
	"regexp"
	"slices"
	"strings"
)

// The groups of the patterns below are the fields of an Event that they fill.

// symptoms are what oslo.messaging logs or raises. Of several that match, the first counts. The places in its source are in
// oslo_messaging/: _drivers/impl_rabbit.py, _drivers/amqpdriver.py, _drivers/pool.py, _drivers/amqp.py, rpc/server.py,
// rpc/dispatcher.py, rpc/client.py, server.py and exceptions.py. Texts of older versions are among them; where an exception
// was made of a format and its arguments, Python prints a tuple of the two.
var symptoms = []struct {
	symptom Symptom
	text    *regexp.Regexp
}{
	{Timeout, re(`Timed out waiting for a reply %\(reply_q\)s to message ID %\(msg_id\)s\.?["'], *\{'msg_id': '(?P<msg>[^']+)', 'reply_q': '(?P<reply>[^']+)'\}`)},
	{Timeout, re(`Timed out waiting for a reply to message ID %s\.?["'], *["'](?P<msg>[^"']+)`)},
	{Timeout, re(`Timed out waiting for a reply(?: (?P<reply>\S+))? to message ID (?P<msg>[\w-]+)`)},
	{Timeout, re(`Timed out waiting for a reply`)},
	{ReplyDropped, re(`(?P<reply>\S+) doesn't exist,? drop reply to (?P<msg>[\w-]+)`)},
	{ReplyDropped, re(`The reply (?P<msg>\S+) failed to send after (?P<seconds>[\d.]+) seconds due to a missing queue \((?P<reply>[^)\s]+)\)`)},
	{ReplyDropped, re(`The reply (?P<msg>\S+) failed to send after (?P<seconds>[\d.]+) seconds due to a broker issue \((?P<why>.*)\)\. Abandoning`)},
	{ReplyDropped, re(`The reply (?P<msg>\S+) could not be sent due to a missing queue \((?P<reply>[^)\s]+)\)`)},
	{ReplyDropped, re(`The reply (?P<msg>\S+) cannot be sent +(?P<reply>\S+) reply queue do(?:es)?n't exist`)},
	{ReplyDropped, re(`Heartbeat send failed\. Missing (?:queue|exchange)`)},
	{Undeliverable, re(`MessageUndeliverable error, source exception: (?P<why>.*?), routing_key: (?P<key>\S*), exchange: (?P<exchange>[^\s:]*)`)},
	{Undeliverable, re(`(?:^|[\s.])MessageUndeliverable\b`)},
	{LateReply, re(`No calling threads waiting for msg_id ?: (?P<msg>[^\s,]+)`)},
	{Unreachable, re(`(?:\[(?P<connection>[0-9a-f-]{36})\] )?AMQP server on (?P<host>\S+):(?P<port>\d+) is unreachable: (?P<why>.*?)\. Trying again in (?P<seconds>\d+) seconds`)},
	{Disconnected, re(`(?:\[(?P<connection>[0-9a-f-]{36})\] )?AMQP server (?:on )?(?P<host>\S+):(?P<port>\d+) closed the connection\. Check login credentials: (?P<why>.*)`)},
	{GaveUp, re(`Unable to connect to AMQP server on (?P<host>[^\s:]+|\[\S+\]):(?P<port>\S+) after (?P<tries>\S+) tries: (?P<why>.*)`)},
	{Reconnected, re(`(?:\[(?P<connection>[0-9a-f-]{36})\] )?Reconnected to AMQP server on (?P<host>\S+):(?P<port>\d+)`)},
	{Heartbeat, re(`Unexpected error during heartbear?t thread processing`)},
	{Heartbeat, re(`A recoverable connection/channel error occurred, trying to reconnect: (?P<why>.*)`)},
	{Blocked, re(`The broker has blocked the connection: (?P<why>.*)`)},
	{Blocked, re(`(?i)\bconnection\.blocked\b(?:[ :]+(?P<why>.*))?`)},
	{Unblocked, re(`The broker has unblocked the connection`)},
	{PoolExhausted, re(`Connection pool limit exceeded: current size (?P<size>\d+) surpasses max configured rpc_conn_pool_size (?P<limit>\d+)`)},
	{ManyCalls, re(`Number of call queues is (?P<size>\d+), greater than warning threshold: (?P<limit>\d+)`)},
	{Hang, re(`Possible hang: (?P<why>.*)`)},
	{Forked, re(`Process forked after connection established`)},
	{DeclareFailed, re(`Internal amqp error \(541\) during queue declare, ?retrying in (?P<seconds>\d+) seconds\. Queue: \[(?P<queue>[^\]]*)\], error message: \[(?P<why>.*)\]`)},
	{DeclareFailed, re(`Failed to declare consumer for topic '(?P<topic>[^']*)': (?P<why>.*)`)},
	{DeclareFailed, re(`Queue (?P<queue>\S+) could not be declared probably because of conflicting configurations: (?P<why>.*)`)},
	{DeclareFailed, re(`Retrying to declare the exchange \((?P<exchange>[^)]+)\) as non durable|Force creating a non durable exchange`)},
	{QueueStuck, re(`Queue (?P<queue>\S+) is stuck on unresponsive node\. .*Error info: (?P<why>.*)`)},
	{ConsumerEnded, re(`(?:\[(?P<connection>[0-9a-f-]{36})\] )?Basic\.cancel received\. Resetting consumers offsets`)},
	{PublishFailed, re(`Failed to publish message to topic '(?P<topic>[^']*)': (?P<why>.*)`)},
	{ConsumeFailed, re(`Failed to consume message from queue: (?P<why>.*)`)},
	{ConsumeFailed, re(`Failed to process message \.\.\. skipping it|Failed to process incoming message, retrying`)},
	{AckFailed, re(`Discarding RPC request due to failed acknowledge: (?P<why>.*)`)},
	{AckFailed, re(`Failed to (?:acknowledge|requeue) received message: (?P<why>.*)`)},
	{AckFailed, re(`Can not acknowledge message\. Skip processing`)},
	{Duplicate, re(`(?:Found|ignoring) duplicate message[ (](?P<msg>[\w-]+)`)},
	{WrongVersion, re(`Endpoint does not support RPC version (?P<version>\d+(?:\.\d+)*)(?:\.? Attempted method: (?P<method>\w+))?`)},
	{NoMethod, re(`Endpoint does not support RPC method (?P<method>\w+)`)},
	{VersionCapped, re(`Requested message version, (?P<version>[\d.]+) is incompatible`)},
	{GlobalConfig, re(`no such option (?:oslo_messaging_metrics|rpc_ping_enabled)`)},
	{NoConductor, re(`Timed out waiting for nova-conductor\b`)},
	{MissingExchange, re(`exchange (?P<exchange>\S+) doesn't exist`)},
	{Quorum, re(`rabbit_quorum_queue and rabbit_ha_queues both enabled`)},
}

// causes are what symptoms quote: RabbitMQ's errors (deps/rabbit/src/rabbit_amqqueue.erl, rabbit_channel.erl, rabbit_reader.erl,
// rabbit_access_control.erl, deps/rabbit_common/src/rabbit_misc.erl), and those of py-amqp and the system. Of several that match, the
// first counts. Those that are the broker's alone are known without a symptom, too.
var causes = []struct {
	cause Cause
	text  *regexp.Regexp
	alone bool
}{
	{Inequivalent, re(`inequivalent arg '(?P<arg>[^']+)' for (?P<kind>queue|exchange) '(?P<name>[^']*)' in vhost '(?P<vhost>[^']*)': received (?P<asked>.+?) but current is (?P<current>none|the value '[^']*' of type '[^']*'|'[^']*')`), true},
	{TransientDenied, re("Feature `transient_nonexcl_queues` is deprecated"), true},
	{FeatureDenied, re("Feature `(?P<name>\\w+)` is deprecated"), true},
	{NodeDown, re(`home node '[^']*' of durable (?P<kind>queue) '(?P<name>[^']*)' in vhost '(?P<vhost>[^']*)' is down or inaccessible`), true},
	{QueueTimeout, re(`failed to perform operation on (?P<kind>queue) '(?P<name>[^']*)' in vhost '(?P<vhost>[^']*)' due to timeout`), true},
	{NoQueue, re(`NOT_FOUND - (?:no )?(?P<kind>queue) '(?P<name>[^']*)' in vhost '(?P<vhost>[^']*)'`), true},
	{NoExchange, re(`NOT_FOUND - no (?P<kind>exchange) '(?P<name>[^']*)' in vhost '(?P<vhost>[^']*)'`), true},
	{QueueLocked, re(`cannot obtain exclusive access to locked (?P<kind>queue) '(?P<name>[^']*)' in vhost '(?P<vhost>[^']*)'`), true},
	{AckTimeout, re(`delivery acknowledgement on channel \d+ timed out\. Timeout value used: (?P<limit>\d+) ms`), true},
	{UnknownTag, re(`PRECONDITION_FAILED - unknown delivery tag`), true},
	{TooLarge, re(`message size (?P<size>\d+) is larger than configured max size (?P<limit>\d+)`), true},
	{LimitReached, re(`limit(?: in vhost '(?P<vhost>[^']*)')? \((?P<limit>\d+)\) is reached`), true},
	{VhostRefused, re(`NOT_ALLOWED - access to vhost '(?P<vhost>[^']*)' refused for user`), true},
	{NoVhost, re(`NOT_ALLOWED - vhost (?P<vhost>\S+) not found`), true},
	{PermissionDenied, re(`ACCESS_REFUSED - (?:\w+ )?access to (?P<kind>queue|exchange) '(?P<name>[^']*)' in vhost '(?P<vhost>[^']*)' refused`), true},
	{LoginRefused, re(`ACCESS_REFUSED - Login was refused`), true},
	{PermissionDenied, re(`\bACCESS_REFUSED\b`), true},
	{BrokerStops, re(`\bCONNECTION_FORCED\b`), true},
	{InternalError, re(`\bINTERNAL_ERROR\b|\(541\)`), true},
	{ConsumerCancel, re(`Basic\.cancel\b`), false},
	{HeartbeatMissed, re(`(?i)too many heartbeats missed|missed heartbeats? from|heartbeat timeout`), false},
	{TLS, re(`(?i)\bssl\b|\bcertificate\b|\btls\b`), false},
	{Refused, re(`(?i)ECONNREFUSED|connection refused`), false},
	{Reset, re(`(?i)ECONNRESET|connection reset|broken pipe|EPIPE`), false},
	{NoRoute, re(`(?i)EHOSTUNREACH|ENETUNREACH|no route to host|network is unreachable`), false},
	{NoName, re(`(?i)name or service not known|temporary failure in name resolution|nodename nor servname|no address associated|name does not resolve`), false},
	{TimedOut, re(`(?i)timed out|ETIMEDOUT|timeout`), false},
	{Closed, re(`(?i)server unexpectedly closed connection|socket closed|connection closed|already closed`), false},
}

// Symptoms are all there are.
func Symptoms() []Symptom {
	var all []Symptom
	for _, s := range symptoms {
		if !slices.Contains(all, s.symptom) {
			all = append(all, s.symptom)
		}
	}
	return all
}

// Causes are all there are.
func Causes() []Cause {
	var all []Cause
	for _, c := range causes {
		if !slices.Contains(all, c.cause) {
			all = append(all, c.cause)
		}
	}
	return all
}

func re(s string) *regexp.Regexp { return regexp.MustCompile(s) }

// fill sets the fields that are the groups of the pattern, when it matches.
func (e *Event) fill(pattern *regexp.Regexp, text string) bool {
	groups := pattern.FindStringSubmatch(text)
	if groups == nil {
		return false
	}
	for i, name := range pattern.SubexpNames() {
		if name != "" && groups[i] != "" {
			e.set(name, groups[i])
		}
	}
	return true
}

// set fills the field that is called so in the patterns.
func (e *Event) set(group, value string) {
	switch group {
	case "msg":
		e.MessageID = value
	case "reply":
		e.ReplyQueue = value
	case "why":
		e.Reason = strings.TrimSpace(value)
	case "kind":
		e.Object.Kind = value
	case "name":
		e.Object.Name = value
	case "vhost":
		e.Object.Vhost = value
	case "key":
		e.Object.Key = value
	case "queue", "exchange":
		e.Object.Kind, e.Object.Name = group, value
	case "topic":
		e.Topic = value
	case "method":
		e.Method = value
	case "version":
		e.Version = value
	case "connection":
		e.Broker.Connection = value
	case "host":
		e.Broker.Address = value
	case "port":
		e.Broker.Address = net.JoinHostPort(strings.Trim(e.Broker.Address, "[]"), value)
	case "arg":
		e.Mismatch.Argument = value
	case "asked":
		e.Mismatch.Asked = value
	case "current":
		e.Mismatch.Current = value
	case "tries":
		e.Numbers.Tries = value
	case "seconds":
		e.Numbers.Seconds = value
	case "size":
		e.Numbers.Size = value
	case "limit":
		e.Numbers.Limit = value
	}
}
