package kafka

import (
	"context"
	"log/slog"

	"github.com/twmb/franz-go/pkg/kgo"
)

// library hands what franz-go says to our log, at level Debug: what operators need to know is said by ourselves.
type library struct{ log *slog.Logger }

// Level implements [kgo.Logger].
func (l library) Level() kgo.LogLevel {
	if l.log.Enabled(context.Background(), slog.LevelDebug) { //nolint:forbidigo // The interface has none.
		return kgo.LogLevelInfo
	}
	return kgo.LogLevelNone
}

// Log implements [kgo.Logger].
func (l library) Log(_ kgo.LogLevel, text string, about ...any) {
	l.log.Debug("franz-go: "+text, about...) //nolint:sloglint // The text is the library's.
}
