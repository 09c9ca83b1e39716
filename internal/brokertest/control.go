package brokertest

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"time"
)

// evalLimit is the most time that a node may take to answer the tests.
const evalLimit = 3 * time.Minute

// A control is a pair of pipes to the program control.erl inside a node. It is what rabbitmqctl is, without
// the second that starting rabbitmqctl takes.
type control struct {
	mu     sync.Mutex // one question at a time: held while the node answers, which is the point
	in     *os.File
	out    *os.File
	broken error
}

// newControl returns the test's end, and the files that become descriptors 3 and 4 of the node.
func newControl() (*control, []*os.File, error) {
	theirIn, in, err := os.Pipe()
	if err != nil {
		return nil, nil, err
	}
	out, theirOut, err := os.Pipe()
	if err != nil {
		return nil, nil, errors.Join(err, theirIn.Close(), in.Close())
	}
	return &control{in: in, out: out}, []*os.File{theirIn, theirOut}, nil
}

func (c *control) close() {
	_ = c.in.Close()
	_ = c.out.Close()
}

// ready waits until the node's start is complete.
func (c *control) ready(ctx context.Context) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	deadline, _ := ctx.Deadline()
	answer, err := c.read(deadline)
	if err == nil && answer != "ready" {
		err = fmt.Errorf("unexpected answer %q", answer)
	}
	return err
}

// eval has the node evaluate Erlang expressions and returns the last one's value: a binary as it is, all else as Erlang text.
func (c *control) eval(expressions string) (string, error) {
	return c.evalWithin(evalLimit, expressions)
}

// evalWithin is eval for what may take the node longer.
func (c *control) evalWithin(limit time.Duration, expressions string) (string, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.broken != nil {
		return "", c.broken
	}
	deadline := time.Now().Add(limit)
	frame := binary.BigEndian.AppendUint32(nil, uint32(len(expressions)))
	frame = append(frame, expressions...)
	err := c.in.SetWriteDeadline(deadline)
	if err == nil {
		_, err = c.in.Write(frame)
	}
	if err != nil {
		c.broken = fmt.Errorf("ask the node: %w", err)
		return "", c.broken
	}
	return c.read(deadline)
}

func (c *control) read(deadline time.Time) (string, error) {
	err := c.out.SetReadDeadline(deadline)
	var head [4]byte
	if err == nil {
		_, err = io.ReadFull(c.out, head[:])
	}
	var body []byte
	if err == nil {
		body = make([]byte, binary.BigEndian.Uint32(head[:]))
		_, err = io.ReadFull(c.out, body)
	}
	if err != nil {
		// What comes later would be taken for the answer to the next question.
		c.broken = fmt.Errorf("wait for the node's answer: %w", err)
		return "", c.broken
	}
	if len(body) == 0 || body[0] != '+' {
		return "", fmt.Errorf("the node refused: %s", body)
	}
	return string(body[1:]), nil
}
