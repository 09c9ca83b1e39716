package nats

import (
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// What was left behind by listeners that have gone does not look like a listener for ever.
func TestQuietConsumers(t *testing.T) {
	t.Parallel()
	now := time.Now()
	ago := func(d time.Duration) *time.Time { at := now.Add(-d); return &at }
	for name, c := range map[string]struct {
		created, delivered, acked *time.Time
		want                      bool
	}{
		"new":                        {created: ago(time.Minute)},
		"old, and never asked":       {created: ago(time.Hour), want: true},
		"handed over of late":        {ago(time.Hour), ago(time.Minute), nil, false},
		"acknowledged of late":       {ago(24 * time.Hour), ago(time.Hour), ago(time.Minute), false},
		"neither for half an hour":   {ago(24 * time.Hour), ago(time.Hour), ago(31 * time.Minute), true},
		"nearly, a handler may work": {ago(24 * time.Hour), ago(29 * time.Minute), ago(time.Hour), false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			info := &jetstream.ConsumerInfo{
				Created: *c.created, Delivered: jetstream.SequenceInfo{Last: c.delivered}, AckFloor: jetstream.SequenceInfo{Last: c.acked},
			}
			if got := quiet(info, now); got != c.want {
				t.Errorf("got %t, want %t", got, c.want)
			}
		})
	}
}
