package notify_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/goslo/goslo/notify"
	"github.com/goslo/goslo/rpc"
	"github.com/goslo/goslo/transport/memory"
)

// Logs name notifications; what is in them, such as passwords, is nobody's business, in whatever form the log is written.
func TestLogsDoNotShowPayloads(t *testing.T) {
	t.Parallel()
	for name, handler := range map[string]func(*bytes.Buffer) slog.Handler{
		"text": func(b *bytes.Buffer) slog.Handler { return slog.NewTextHandler(b, nil) },
		"json": func(b *bytes.Buffer) slog.Handler { return slog.NewJSONHandler(b, nil) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			bus := memory.NewBus().Open(memory.Config{})
			defer func() { _ = bus.Close(context.Background()) }()
			var log bytes.Buffer
			var calls atomic.Int64
			l := notify.NewListener(bus, notify.ListenerConfig{MaxAttempts: 1, Logger: slog.New(handler(&log))},
				notify.Handle(func(context.Context, notify.Raw) error {
					calls.Add(1)
					cancel()
					return errors.New("no use")
				}))
			if err := l.Listen(ctx); err != nil {
				t.Fatal(err)
			}
			n := notify.NewNotifier(notify.NotifierConfig{Publisher: "shop", Drivers: []notify.Driver{notify.NewMessaging(bus, notify.MessagingConfig{})}})
			asked, err := rpc.NewRequestContext(map[string]string{"user_id": "x1-user"})
			if err != nil {
				t.Fatal(err)
			}
			if err := n.Notify(rpc.WithContext(ctx, asked), notify.Info, "stock.low", json.RawMessage(`{"password":"x1-pass"}`)); err != nil {
				t.Fatal(err)
			}
			if err := l.Run(ctx); err != nil {
				t.Fatal(err)
			}
			if text := log.String(); calls.Load() != 1 || strings.Contains(text, "x1-") || !strings.Contains(text, "stock.low") {
				t.Errorf("%d calls, log:\n%s", calls.Load(), text)
			}
		})
	}
}
