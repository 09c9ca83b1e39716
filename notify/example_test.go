package notify_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/goslo/goslo/notify"
	"github.com/goslo/goslo/transport/memory"
)

// Image is what happens to.
type Image struct {
	Name string `json:"name"`
	Size int    `json:"size"`
}

var Uploaded = notify.NewEvent[Image]("image.upload")

// An event is described once, told by a notifier, and heard by a listener, which may come later.
func Example() {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	bus := memory.NewBus().Open(memory.Config{}) // or goslo.Open(ctx, "rabbit://...")

	notifier := notify.NewNotifier(notify.NotifierConfig{
		Publisher: "image.host-1",
		Drivers:   []notify.Driver{notify.NewMessaging(bus, notify.MessagingConfig{})},
	})
	if err := Uploaded.Emit(ctx, notifier, notify.Info, Image{"debian", 300}); err != nil {
		fmt.Println(err)
		return
	}

	l := notify.NewListener(bus, notify.ListenerConfig{}, Uploaded.Handle(func(_ context.Context, n notify.Notification[Image]) error {
		fmt.Printf("%s from %s: %s, %d MB\n", n.Type, n.Publisher, n.Payload.Name, n.Payload.Size)
		cancel()
		return nil
	}))
	if err := l.Run(ctx); err != nil {
		fmt.Println(err)
	}
	// Output: image.upload from image.host-1: debian, 300 MB
}

// Batches, a pool of its own, and only large images of one publisher's hosts.
func ExampleListener() {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	bus := memory.NewBus().Open(memory.Config{})
	l := notify.NewListener(bus, notify.ListenerConfig{Pool: "meter", Batch: notify.Batch{Size: 2, Timeout: time.Minute}},
		Uploaded.HandleBatch(func(_ context.Context, all []notify.Notification[Image]) error {
			for _, n := range all {
				fmt.Println(n.Payload.Name)
			}
			cancel()
			return nil
		}).On(notify.Info).Where(notify.Filter{Publisher: `image\.`, Payload: map[string]string{"name": "debian"}}))
	if err := l.Listen(ctx); err != nil { // a pool has what is told from now on
		fmt.Println(err)
		return
	}
	notifier := notify.NewNotifier(notify.NotifierConfig{Drivers: []notify.Driver{notify.NewMessaging(bus, notify.MessagingConfig{})}})
	for _, name := range []string{"debian-12", "debian-13"} {
		if err := Uploaded.Emit(ctx, notifier.As("image.host-1"), notify.Info, Image{Name: name}); err != nil {
			fmt.Println(err)
			return
		}
	}
	if err := l.Run(ctx); err != nil {
		fmt.Println(err)
	}
	// Output:
	// debian-12
	// debian-13
}

// What can never be handled is dropped; what fails too often is kept elsewhere.
func ExampleListenerConfig_gaveUp() {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	bus := memory.NewBus().Open(memory.Config{})
	notifier := notify.NewNotifier(notify.NotifierConfig{Drivers: []notify.Driver{notify.NewMessaging(bus, notify.MessagingConfig{})}})
	for _, event := range []string{"image.unknown", "image.upload"} {
		if err := notifier.Notify(ctx, notify.Info, event, json.RawMessage(`{"size":"large"}`)); err != nil {
			fmt.Println(err)
			return
		}
	}
	l := notify.NewListener(bus, notify.ListenerConfig{
		MaxAttempts: 2,
		Backoff:     time.Millisecond,
		GaveUp: func(_ context.Context, n notify.Raw, err error) error {
			fmt.Printf("kept %s %s\n", n.Type, n.Payload)
			cancel()
			return nil
		},
	}, notify.Handle(func(_ context.Context, n notify.Raw) error {
		if n.Type == "image.unknown" {
			return fmt.Errorf("%s is nothing to us: %w", n.Type, notify.Drop)
		}
		return errors.New("the database says no")
	}))
	if err := l.Run(ctx); err != nil {
		fmt.Println(err)
	}
	// Output: kept image.upload {"size":"large"}
}
