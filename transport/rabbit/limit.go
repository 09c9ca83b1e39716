package rabbit

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/goslo/goslo/wire"
)

// RabbitMQ's default for max_message_size, in bytes: up to 3.13, and from 4.0 on.
const (
	limitOf3 = 128 << 20
	limitOf4 = 16 << 20
)

// bodyLimit is the most bytes of a body that the broker takes: as configured, else what its version takes by
// default, which is among the properties with which it greets. Where that says nothing, the larger.
func (s *settings) bodyLimit(server amqp.Table) int64 {
	if s.maxMessage > 0 {
		return int64(s.maxMessage)
	}
	if major, _ := brokerVersion(server); major >= 4 {
		return limitOf4
	}
	return limitOf3
}

// brokerVersion is in the properties with which a broker greets; 0 when they do not say.
func brokerVersion(server amqp.Table) (major, minor int) {
	version, _ := server["version"].(string)
	if _, err := fmt.Sscanf(version, "%d.%d", &major, &minor); err != nil {
		return 0, 0
	}
	return major, minor
}

// tooBig says what makes p bigger than the broker takes.
func (p *publication) tooBig(limit int64) error {
	if p.message == nil {
		return reject(fmt.Errorf("the body has %d bytes, and the broker takes %d", len(p.body), limit))
	}
	compressed := ""
	if p.compression != "" {
		compressed = fmt.Sprintf(", %d when compressed", len(p.body))
	}
	field, bytes := wire.Largest(p.message)
	return reject(fmt.Errorf("%s is %d of %d bytes%s, and the broker takes %d: send less, or a reference to it", field, bytes, len(*p.buf), compressed, limit))
}

// limitIn finds the limit in the broker's refusal of a body of so many bytes. RabbitMQ writes "message size 5 is
// larger than configured max size 4".
func limitIn(reason string, bytes int) (limit int64, ok bool) {
	words := strings.Fields(reason)
	if !strings.Contains(reason, "message size") || !slices.Contains(words, strconv.Itoa(bytes)) {
		return 0, false
	}
	limit, err := strconv.ParseInt(words[len(words)-1], 10, 64)
	return limit, err == nil && limit < int64(bytes)
}
