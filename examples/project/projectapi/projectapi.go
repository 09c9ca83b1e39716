// Package projectapi is the contract of a project manager: what it can be asked, for those who ask and for those who answer.
package projectapi

import (
	"time"

	"github.com/goslo/goslo/rpc"
)

// Target is where managers listen: anyone of them on the topic, or one host's. Version 1.1 came with building.
var Target = rpc.Target{Topic: "manager", Version: "1.1"}

// Admin is the second endpoint, for operators.
var Admin = rpc.Target{Topic: "manager", Namespace: "admin", Version: "1.0"}

var (
	// CreateProject builds a project on some host, and returns it once it is built.
	CreateProject = rpc.NewCall[CreateArgs, Project](Target.Since("1.0"), "create_project")
	// Building returns which projects a host is building now: for client.To(host).
	Building = rpc.NewCall[struct{}, []string](Target, "building")
	// Usage returns what a host has: for client.To(host).
	Usage = rpc.NewCall[struct{}, HostUsage](Admin, "usage")
	// Forget removes a project from the host that has it, which is all that its client may assume: for client.Fanout().
	Forget = rpc.NewCast[ForgetArgs](Admin, "forget")
)

// Errors that callers tell apart.
var (
	ProjectExists = rpc.ErrorClass{Module: "project.exception", Name: "ProjectExists"}
	QuotaExceeded = rpc.ErrorClass{Module: "project.exception", Name: "QuotaExceeded"}
)

// CreateArgs are those of CreateProject.
type CreateArgs struct {
	Name string `json:"name"`
}

// A Project is one that was built.
type Project struct {
	Name  string    `json:"name"`
	Host  string    `json:"host"`
	Began time.Time `json:"began"` // when it was being built
}

// HostUsage is what one host has.
type HostUsage struct {
	Host      string `json:"host"`
	Projects  int    `json:"projects"`
	Abandoned int    `json:"abandoned"` // found half-built when the host started, and cleared away
	Reports   int    `json:"reports"`   // how often the periodic task ran
}

// ForgetArgs are those of Forget.
type ForgetArgs struct {
	Name string `json:"name"`
}
