// Package computeapi is the contract of the compute service: what its callers and its implementer share.
//
// Go-to-definition on a descriptor leads here from both sides, and find-references lists every caller
// beside the one handler. It owns names, versions and the shape of arguments; it does no I/O of its own.
package computeapi

import "github.com/goslo/goslo/rpc"

// Target is where compute hosts listen. Each host is a server of the topic under its own name.
//
//	6.0  the first version here
//	6.1  live_migration takes bandwidth_mbps
var Target = rpc.Target{Topic: "example-compute", Version: "6.1"}

// The methods of a compute host.
var (
	// LiveMigration moves an instance away from the host that receives it. Cast to that host.
	LiveMigration = rpc.NewCast[LiveMigrationArgs](Target.Since("6.1"), "live_migration")

	// liveMigration60 is the same method as hosts of version 6.0 know it; Client chooses.
	liveMigration60 = rpc.NewCast[liveMigrationArgs60](Target.Since("6.0"), "live_migration")

	// PreLiveMigration prepares a host for an instance that is about to arrive.
	PreLiveMigration = rpc.NewCall[InstanceArgs, MigrateData](Target.Since("6.0"), "pre_live_migration")

	// PostLiveMigrationAtDestination tells a host that the instance has arrived and is its own now.
	PostLiveMigrationAtDestination = rpc.NewCall[InstanceArgs, struct{}](Target.Since("6.0"), "post_live_migration_at_destination")

	// GetDiagnostics describes an instance as its host sees it. Fails with InstanceNotFound.
	GetDiagnostics = rpc.NewCall[InstanceArgs, Diagnostics](Target.Since("6.0"), "get_diagnostics")

	// GetHostUptime returns the host's uptime in words.
	GetHostUptime = rpc.NewCall[struct{}, string](Target.Since("6.0"), "get_host_uptime")

	// CacheImages makes a host fetch images before they are needed. Meant for a fanout.
	CacheImages = rpc.NewCast[CacheImagesArgs](Target.Since("6.0"), "cache_images")
)

// InstanceNotFound is the failure of asking a host about an instance that it does not have. It crosses the
// bus as the Python class of that name.
var InstanceNotFound = rpc.ErrorClass{Module: "nova.exception", Name: "InstanceNotFound"}

// InstanceArgs name an instance.
type InstanceArgs struct {
	Instance string `json:"instance"`
}

// LiveMigrationArgs say where an instance goes, and how fast.
type LiveMigrationArgs struct {
	Instance      string `json:"instance"`
	Dest          string `json:"dest"`
	BandwidthMbps int    `json:"bandwidth_mbps,omitempty"` // 0 = as fast as it goes; since 6.1
}

type liveMigrationArgs60 struct {
	Instance string `json:"instance"`
	Dest     string `json:"dest"`
}

// MigrateData is what the destination tells the source before a migration.
type MigrateData struct {
	ListenAddr string `json:"listen_addr"`
}

// Diagnostics describe a running instance.
type Diagnostics struct {
	Instance string `json:"instance"`
	Host     string `json:"host"`
	State    string `json:"state"`
}

// CacheImagesArgs name images.
type CacheImagesArgs struct {
	ImageIDs []string `json:"image_ids"`
}
