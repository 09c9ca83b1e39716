package computeapi

import "github.com/goslo/goslo/notify"

// NotificationTopic is where compute hosts tell what happens. Who listens there is nobody's business but the listener's.
const NotificationTopic = "example-notifications"

// What compute hosts tell of a live migration, in the way of nova's compute.instance.live_migration... notifications: that it starts, how far
// it is, and how it ended.
var (
	MigrationStart    = notify.NewEvent[Migration]("compute.instance.live_migration.start")
	MigrationProgress = notify.NewEvent[Migration]("compute.instance.live_migration.progress")
	MigrationEnd      = notify.NewEvent[Migration]("compute.instance.live_migration.end")
	MigrationError    = notify.NewEvent[Migration]("compute.instance.live_migration.error") // with priority error
)

// A Migration is what such a notification is about.
type Migration struct {
	Instance string `json:"instance"`
	Source   string `json:"source"`
	Dest     string `json:"dest"`
	Percent  int    `json:"percent"`         // of the memory that was copied
	Fault    string `json:"fault,omitempty"` // of one that has failed
}
