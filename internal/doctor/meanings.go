package doctor

import "github.com/goslo/goslo/internal/logline"

// A meaning is what a line says to those who know, why that is, and what to do about it.
type meaning struct{ what, likely, next string }

// symptomMeanings are those of what oslo.messaging logs. What is known of the bus may replace likely and next.
var symptomMeanings = map[logline.Symptom]meaning{
	logline.Timeout: {
		"a call got no reply in time; the process that says so is usually the healthy one",
		"the server that was called did not take the request, was too slow, or its reply got lost", "goslo doctor",
	},
	logline.ReplyDropped: {
		"a server had done its work, and the queue for its caller's replies was not there: the reply is lost, the work is done",
		"the caller ended, or was restarted, or its queue expired under it", "goslo doctor --only reply-lost,orphans",
	},
	logline.Undeliverable: {
		"the broker gave a message back, since no queue took it",
		"the caller, whose reply this was, ended; or the topic has never had a server", "see that the service runs: goslo ls",
	},
	logline.LateReply: {
		"a reply came after its caller had given up: the method ran, and took longer than the caller waited",
		"rpc_response_timeout is shorter than the method takes, or the server was busy", "see what the method waits for in the server's log; then raise rpc_response_timeout of the caller",
	},
	logline.Unreachable: {
		"a connection to the broker broke, or an operation on it failed; oslo.messaging says unreachable of all of these",
		"see the cause", "see on that host whether it reaches the broker",
	},
	logline.Disconnected: {
		"the broker closed the connection without saying why, which it does to who cannot log in; the advice about credentials in the line is a guess",
		"user, password or virtual host are wrong; or the port is one that wants TLS; or the broker stopped", "goslo doctor with the same -c: it logs in as the service does",
	},
	logline.GaveUp: {
		"an operation on the bus failed for good; connecting may have had nothing to do with it, whatever the line says",
		"see the cause", "goslo doctor",
	},
	logline.Reconnected: {"a connection is back; what was declared on it is declared again", "the broker, or the network, was away for a moment", "nothing, unless it comes often: goslo doctor --only churn"},
	logline.Heartbeat: {
		"the thread that keeps connections alive met an error, and connects again by itself",
		"the broker or the network was away for a moment; or the process was too busy to run that thread", "nothing, unless it comes often; under mod_wsgi or eventlet set heartbeat_in_pthread as the release notes of the service say",
	},
	logline.Blocked:   {"the broker takes no messages on this connection: calls and casts wait", "an alarm: the broker is short of memory or disk", "goslo doctor --only alarms,blocked"},
	logline.Unblocked: {"the broker takes messages again", "the alarm is over", "see what it was in the broker's log"},
	logline.PoolExhausted: {
		"all connections for sending are in use, and the next one waits",
		"senders hold them: replies to callers that are gone (60 s each), a blocked broker, or more workers than rpc_conn_pool_size", "goslo doctor --only blocked,reply-lost,orphans; then raise rpc_conn_pool_size to the number of workers",
	},
	logline.ManyCalls:     {"very many calls of this process wait for replies", "those that it calls do not answer; or the process makes more calls at once than it should", "goslo doctor --only deaf,unserved"},
	logline.Hang:          {"a server waits for itself: it is to stop, or to be waited for, and was not started yet, or not stopped", "a mistake in the order of start, stop and wait in the service, or a handler that does not end", "take its stacks (kill -USR2, where the service has reports), then restart it"},
	logline.Forked:        {"the process was forked after it had connected, and parent and child use one connection", "the service opens the transport before its workers start", "a mistake in the service: report it; until then one worker"},
	logline.PublishFailed: {"a message was not sent", "see the cause", "goslo doctor"},
	logline.ConsumeFailed: {"nothing could be read from a queue; it is tried again", "see the cause", "goslo doctor"},
	logline.DeclareFailed: {"a queue or an exchange that the service needs could not be made", "see the cause", "goslo doctor --only types,transient"},
	logline.QueueStuck:    {"a queue lives on a node of the cluster that is away; the service deletes it and makes it again", "a node is down", "goslo doctor --only alarms"},
	logline.ConsumerEnded: {"the broker ended a consumer of a stream, which goes on with the newest message: fanouts in between are lost to it", "the stream was deleted, or its node went away", "goslo doctor --only alarms"},
	logline.AckFailed:     {"a message that was received could not be acknowledged; the broker gives it to somebody else, or again", "the connection broke in between", "nothing, unless it comes often"},
	logline.Duplicate:     {"a message came twice, and was dropped the second time", "the broker delivered it again after a connection had broken", "nothing"},
	logline.WrongVersion: {
		"a server was asked for a version of its methods that it does not have",
		"an upgrade that is under way: the caller is newer than the server, or its upgrade_levels is wrong", "set [upgrade_levels] of the callers to the oldest release that runs, or finish the upgrade",
	},
	logline.NoMethod:        {"a server was asked for a method that it does not have", "the caller is newer than the server, or meant another service", "compare the releases of both"},
	logline.VersionCapped:   {"a client may not use a method, since it is held to an older version", "[upgrade_levels] pins it", "lift the pin once all servers are new enough"},
	logline.GlobalConfig:    {"a client was made with options of its own, and part of oslo.messaging reads the global ones", "a script that uses its own ConfigOpts()", "use oslo_config.cfg.CONF in it"},
	logline.NoConductor:     {"nova waits for an answer of its conductor before it starts", "no conductor runs on this bus, or it does not answer", "goslo ping conductor --all"},
	logline.MissingExchange: {"an exchange that should lead to a queue does not exist", "nobody has listened there yet, or it was deleted", "start the service that listens, which makes it"},
	logline.Quorum:          {"two options exclude each other", "rabbit_quorum_queue and rabbit_ha_queues are both set", "remove rabbit_ha_queues"},
}

// causeMeanings are those of what a line repeats of others' words. They come before those of the symptom, where they say something.
var causeMeanings = map[logline.Cause]meaning{
	logline.Inequivalent: {
		"what is there was declared otherwise than this service asks for",
		"services with different options share it: one was changed and restarted before the others", "goslo plan quorum",
	},
	logline.TransientDenied: {"this broker refuses queues that are neither durable nor exclusive", "RabbitMQ 4.3 or later, and options that make such queues", "goslo plan quorum"},
	logline.FeatureDenied:   {"this broker refuses a feature that RabbitMQ means to lose", "the broker was upgraded, or its configuration denies the feature", "see deprecated_features in rabbitmq.conf"},
	logline.NoQueue:         {"a queue that was there does not exist any more", "it expired, was deleted, or went with its node", "the process makes it again by itself; if not, restart it"},
	logline.NoExchange:      {"an exchange does not exist", "nobody has listened there yet, or it was deleted", "start the service that listens, which makes it"},
	logline.NodeDown:        {"the queue lives on a node that is down", "a durable classic queue lives on one node alone", "start that node; quorum queues do not have this: goslo plan quorum"},
	logline.QueueTimeout:    {"a queue did not answer the broker", "its node is going down, or overloaded", "goslo doctor --only alarms,churn"},
	logline.QueueLocked:     {"the queue is exclusive to another connection", "the broker has not noticed yet that this connection is gone", "it ends with that connection's heartbeat; or close it: rabbitmqctl close_connection"},
	logline.AckTimeout:      {"a consumer held a message longer than the broker allows, and lost its channel", "a handler that acknowledges after it ran, and ran too long", "raise consumer_timeout of the broker, or have the handler end sooner"},
	logline.UnknownTag:      {"a message was acknowledged twice, or on another channel than it came on", "the connection was made anew in between", "nothing, unless it comes often"},
	logline.LoginRefused:    {"the broker does not know this user with this password", "transport_url is wrong, or the password was changed", "rabbitmqctl authenticate_user USER PASSWORD on the broker"},
	logline.PermissionDenied: {
		"the user lacks a right on the broker", "permissions of the user in the virtual host do not cover the name",
		`rabbitmqctl set_permissions -p VHOST USER ".*" ".*" ".*", or what covers it`,
	},
	logline.NoVhost:         {"the virtual host does not exist", "the end of transport_url is wrong, or the virtual host was deleted", "rabbitmqctl list_vhosts; a virtual host /nova is written //nova in transport_url"},
	logline.VhostRefused:    {"the user may not use the virtual host", "it has no permissions there", `rabbitmqctl set_permissions -p VHOST USER ".*" ".*" ".*"`},
	logline.LimitReached:    {"a limit of the broker on connections, channels or queues is reached", "processes that leak them, or a limit that is too low", "goslo doctor --only churn,orphans"},
	logline.TooLarge:        {"a message is larger than the broker takes", "max_message_size of the broker", "send less at once, or raise max_message_size"},
	logline.BrokerStops:     {"the broker, or somebody on it, closed the connection on purpose", "it was stopped, put into maintenance, or an operator closed the connection", "the broker's log tells which; processes connect again by themselves"},
	logline.InternalError:   {"the broker failed to do what it was asked", "a node that is coming or going, or a fault of the broker", "see the broker's log at that time"},
	logline.ConsumerCancel:  {"the broker ended a consumer, because its queue is gone; the broker was reachable all the time", "the queue was deleted, expired, or went with its node", "nothing: the process makes the queue again within a second or two; find out who deletes queues if it comes often"},
	logline.HeartbeatMissed: {"neither side heard the other for the length of a heartbeat", "the network dropped the connection, or the process was too busy to send", "see whether it is one process (busy), one host (its network) or all (the broker)"},
	logline.Refused:         {"nobody listens at that address and port", "the broker is down, or the address in transport_url is wrong", "see on the broker: rabbitmqctl status, and its listeners"},
	logline.Reset:           {"the connection was broken off from the other side, or between", "the broker was killed, or a firewall or load balancer dropped the connection", "see the broker's log at that time; idle timeouts on the way must be longer than the heartbeat"},
	logline.NoRoute:         {"the network does not reach that address", "routing, a firewall, or the host is down", "ping and traceroute from that host"},
	logline.NoName:          {"the name of the broker cannot be resolved", "DNS, or a slip in transport_url", "getent hosts NAME on that host"},
	logline.TimedOut:        {"the broker did not answer in time", "the broker or the network is overloaded, or drops packets", "goslo doctor --only alarms,churn"},
	logline.TLS:             {"TLS could not be agreed on", "the certificate has ended, is another host's, or is of an authority that ssl_ca_file does not have", "openssl s_client -connect HOST:5671 -CAfile FILE -verify_hostname HOST"},
	logline.Closed:          {"the other side closed the connection without a word", "the broker stopped, or refused the login; or the port wants TLS", "see the broker's log at that time"},
}
