// Package kafka is the transport for Kafka, "kafka://" URLs. It carries notifications alone, wire-compatible with oslo.messaging's kafka
// driver: the same topics, records and consumer groups, so that Go and Python peers tell and hear each other. RPC is errors.ErrUnsupported.
//
// It owns one client that sends and asks, and one for each listener, with their connections to the brokers of the cluster; franz-go owns the
// protocol. Bodies are package wire's.
//
// # Where things are
//
//	config.go   what there is to configure; options.go the options of [oslo_messaging_kafka], in the URL or in files; login.go as whom, and certificates
//	conn.go     is the transport, and knows whether the cluster answers
//	names.go    topics
//	send.go     Send, and records
//	listen.go   Listen: where a group begins
//	listener.go Next, Ack, Requeue, Close; ledger.go one partition's account; commit.go what the broker is told of it
//	inspect.go  what the cluster knows of an address
//
// # Topics and groups
//
// What is sent to the topic "notifications" with priority info goes to Kafka's topic notifications.info, or notifications.info.VHOST where the URL
// has a virtual host. All of one publisher goes to one partition, so that it stays in order. A pool is a consumer group; listeners without a
// pool are the group that consumer_group names. Its members share the partitions, not the records: of n partitions, n members have work.
//
// # Settling
//
// Kafka keeps one offset for a group and partition, and nothing of single records. An acknowledged record is off the bus when all before it
// in its partition are; then the offset is committed, at once and without the handler waiting. What is given back is handed out again by the
// same listener, and holds the offset meanwhile. See docs/adr/0031.
//
// When a listener ends, or its partitions go to others, they get what was not settled, and what was settled behind it: at least once. Commits carry how
// far records had been handed out, so that those come marked as redelivered; after a kill -9, as far as the last commit knew.
//
// # Goroutines
//
// Per connection one that looks whether the cluster answers, per listener one that fetches and one that commits, and one for a closed listener
// whose deliveries are not all settled yet; besides those of franz-go. All of them end with Close, which waits for them.
package kafka
