package notifyhttp_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"

	"github.com/goslo/goslo/notify"
	"github.com/goslo/goslo/notify/notifyhttp"
)

// Requests that change something are told to whoever listens.
func Example() {
	told := new(notify.Recorder) // in a service: notify.NewMessaging(bus, ...)
	notifier := notify.NewNotifier(notify.NotifierConfig{Publisher: "shop.host-1", Drivers: []notify.Driver{told}})

	m := notifyhttp.New(notifyhttp.Config{Notifier: notifier, IgnoreMethods: []string{"GET", "HEAD"}})
	front := m.Filter(http.NotFoundHandler())
	for _, method := range []string{"GET", "DELETE"} {
		front.ServeHTTP(httptest.NewRecorder(), httptest.NewRequestWithContext(context.Background(), method, "/orders/7", nil))
	}
	if err := m.Close(context.Background()); err != nil {
		fmt.Println(err)
	}
	for _, n := range told.Notifications() {
		fmt.Println(n.Type, n.Publisher)
	}
	// Output:
	// http.request shop.host-1
	// http.response shop.host-1
}
