package nats

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/goslo/goslo/transport"
)

const (
	queueGroup  = "servers" // of every subscription for calls
	durableName = "servers" // of every queue's one consumer

	// ackWait is how long the queue waits for a sign of life of who holds a message. The keeper renews
	// claims three times as often.
	ackWait = 15 * time.Second

	// maxWaitingPulls bounds how many servers of one topic wait for casts at a time. NATS's default is 512.
	maxWaitingPulls = 16384

	maxStreamName = 255 // JSMaxNameLen of nats-server
)

// The second token of a subject, after the virtual host, says what a message is.
const (
	callToken   = "call"
	castToken   = "cast"
	fanoutToken = "fanout"
	replyToken  = "reply"

	notificationToken = "notification"
)

// prefix begins all subjects of a virtual host.
func prefix(virtualHost string) string {
	return "om." + string(appendToken(nil, virtualHost)) + "."
}

// subject names the place on the bus of an address, for one kind of message.
func (c *Conn) subject(kind string, a transport.Address) string {
	return string(c.appendSubject(nil, kind, a))
}

// appendSubject writes the subject.
func (c *Conn) appendSubject(b []byte, kind string, a transport.Address) []byte {
	exchange := a.Exchange
	if exchange == "" {
		exchange = c.cfg.Exchange
	}
	b = append(append(b, c.prefix...), kind...)
	b = appendToken(append(b, '.'), exchange)
	b = appendToken(append(b, '.'), a.Topic)
	if a.Server != "" {
		b = appendToken(append(b, '.'), a.Server)
	}
	return b
}

// appendToken writes a name as one token of a subject. The empty name is "_", and a name "_" is escaped.
func appendToken(b []byte, name string) []byte {
	const hexDigits = "0123456789ABCDEF"
	switch name {
	case "":
		return append(b, '_')
	case "_":
		return append(b, "%5F"...)
	}
	plain := 0
	for i := range len(name) {
		c := name[i]
		if 'a' <= c|0x20 && c|0x20 <= 'z' || '0' <= c && c <= '9' { // nearly all
			continue
		}
		if c <= ' ' || c == 0x7f || c == '.' || c == '*' || c == '>' || c == '%' || c == '/' || c == '\\' || c == '~' || c == '$' && i == 0 {
			b = append(append(b, name[plain:i]...), '%', hexDigits[c>>4], hexDigits[c&15])
			plain = i + 1
		}
	}
	return append(b, name[plain:]...)
}

// parseToken is appendToken back. Text that appendToken never writes is taken as it stands.
func parseToken(token string) string {
	if token == "_" {
		return ""
	}
	if !strings.Contains(token, "%") {
		return token
	}
	b := make([]byte, 0, len(token))
	for i := 0; i < len(token); i++ {
		if token[i] == '%' && i+2 < len(token) {
			if c, err := hex.DecodeString(token[i+1 : i+3]); err == nil {
				b = append(b, c[0])
				i += 2
				continue
			}
		}
		b = append(b, token[i])
	}
	return string(b)
}

// streamName is the name of the stream behind a cast subject: the subject with "~" for ".", which no token
// holds, or a digest where that is longer than NATS allows.
func streamName(subject string) string {
	name := strings.ReplaceAll(subject, ".", "~")
	if len(name) > maxStreamName {
		sum := sha256.Sum256([]byte(subject))
		name = name[:maxStreamName-65] + "~" + hex.EncodeToString(sum[:])
	}
	return name
}

// ensureQueue makes the stream and the consumer of a cast subject. What is there already is taken as it
// is: an operator may have given it other limits or more replicas.
func (c *Conn) ensureQueue(ctx context.Context, subject string) error {
	name := streamName(subject)
	_, err := c.js.CreateStream(ctx, jetstream.StreamConfig{
		Name:        name,
		Description: "oslo casts, kept until a server takes them",
		Subjects:    []string{subject},
		Retention:   jetstream.WorkQueuePolicy,
		Storage:     c.storage(),
		Replicas:    c.cfg.Replicas,
		Duplicates:  2 * time.Minute,
		AllowMsgTTL: true, // servers before 2.11 do not know it, and do not mind
	})
	if errors.Is(err, jetstream.ErrStreamNameAlreadyInUse) {
		c.log.Debug("nats: queue exists with other settings, which stay", "stream", name)
		err = nil
	}
	if err != nil {
		return fmt.Errorf("make stream %s: %w", name, err)
	}
	return c.ensureConsumer(ctx, name, durableName, jetstream.DeliverAllPolicy, 0)
}

// storage is where new streams live: as configured, else in files, except on a server that keeps nothing.
func (c *Conn) storage() jetstream.StorageType {
	switch {
	case c.cfg.Storage == "memory", c.cfg.Storage == "" && strings.HasPrefix(c.nc.ConnectedServerName(), MemoryOnly):
		return jetstream.MemoryStorage
	default:
		return jetstream.FileStorage
	}
}
