// Package bench is what goslo bench does on a bus: servers that echo, and the calls, casts, fanouts and notifications that they are sent.
//
// How much load there is, and how it is measured, is internal/load's business. This package owns the methods, what they carry, and the account
// that servers give of what they have received, by a call of its own: so that it is told from whichever host they run on.
//
// Goroutines: those of the servers and listeners that [Server.Run] runs, for which it waits.
package bench

import (
	"github.com/goslo/goslo/rpc"
)

// The methods of servers. The namespace keeps them apart from those of services, which refuse them.
var (
	methods = rpc.Target{Namespace: "goslo.bench", Version: "1.0"}

	echo    = rpc.NewCall[message, string](methods, "echo")
	take    = rpc.NewCast[message](methods, "take")
	report  = rpc.NewCall[ask, Report](methods, "report")
	find    = rpc.NewCast[finding](methods, "find")
	present = rpc.NewCast[presence](methods, "present")
)

// control is where the servers of a topic are asked about what they do.
func control(topic string) string { return topic + "-control" }

// event is the type of notifications.
const event = "goslo.bench"

// message is what operations carry.
type message struct {
	Run   string `json:"run"`     // in whose account it is to be; "" = in none's, as while callers warm up
	Sent  int64  `json:"sent_ns"` // when it was due, since 1970
	Cargo string `json:"cargo"`
}

// ask is for the account of a run.
type ask struct {
	Run  string `json:"run"`
	Done bool   `json:"done"` // the run has ended
}

// finding asks all servers of a topic who they are; they tell a server that the asker runs.
type finding struct {
	Topic  string `json:"topic"`
	Server string `json:"server"`
}

type presence struct {
	Server string `json:"server"`
}
