package notifyslog_test

import (
	"context"
	"fmt"
	"log/slog"

	"github.com/goslo/goslo/notify"
	"github.com/goslo/goslo/notify/notifyslog"
)

// Errors that a service logs are told to whoever listens.
func Example() {
	told := new(notify.Recorder) // in a service: notify.NewMessaging(bus, ...)
	notifier := notify.NewNotifier(notify.NotifierConfig{Publisher: "shop.host-1", Drivers: []notify.Driver{told}})

	handler := notifyslog.New(slog.DiscardHandler, notifyslog.Config{Notifier: notifier, PublishErrors: true})
	slog.New(handler).Error("disk full")
	if err := handler.Close(context.Background()); err != nil {
		fmt.Println(err)
	}
	for _, n := range told.Notifications() {
		fmt.Println(n.Type, n.Priority, string(n.Payload))
	}
	// Output: error_notification error {"error":"disk full"}
}
