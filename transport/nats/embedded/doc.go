// Package embedded is the bus that needs nothing installed: "embedded://" URLs.
//
// It adds a NATS server to package nats. [Open] joins the bus that runs on this machine's loopback port, or
// starts it inside this process. When the process that hosts the bus ends, the next of its clients to
// notice hosts it anew, on the same port; the others reconnect to it and make their queues again. A file
// lock, which the kernel drops with its process, decides who does.
//
// What was stored and not taken ends with the host, unless the bus keeps its messages in a folder
// (store_dir) and whoever takes over was given the same folder.
//
// Only processes of the same user can join: they hold the key in the user's runtime folder (mode 0600),
// with which clients prove themselves to the server. The key itself never travels. Clients go by the server's
// name, which holds the public half of the key, and on Linux by the kernel's word that the other end of the
// connection is this user's.
//
// [NewBroker] is the same bus as a process of its own.
//
// Goroutines: those of package nats and, in the host, of nats-server. [Bus.Close] and [Broker.Run] wait for them.
package embedded
