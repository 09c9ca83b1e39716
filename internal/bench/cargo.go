package bench

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strconv"
	"strings"

	"github.com/goslo/goslo/rpc"
)

// Cargo is what messages carry: random lower-case letters, made before the run. It is safe for concurrent use.
type Cargo struct {
	texts []string
	mean  float64 // of their lengths
}

const (
	mostTexts = 1000     // different texts, as upstream's simulator has (SIM-07)
	mostBytes = 64 << 20 // of all of them
)

// NewCargo makes texts of lengths that are drawn from sizes, in bytes, each as probable as it is frequent there.
func NewCargo(sizes ...int) (*Cargo, error) {
	if len(sizes) == 0 {
		return nil, errors.New("bench: no sizes of messages")
	}
	c := &Cargo{}
	count := mostTexts
	if len(sizes) == 1 {
		count = 16
	}
	var total int
	for len(c.texts) < count && (total < mostBytes || len(c.texts) == 0) {
		size := sizes[rand.IntN(len(sizes))]
		if size < 0 || size > mostBytes {
			return nil, fmt.Errorf("bench: a message of %d bytes; there are 0 to %d", size, mostBytes)
		}
		text := make([]byte, size)
		for i := range text {
			text[i] = 'a' + byte(rand.Uint32N(26))
		}
		c.texts = append(c.texts, string(text))
		total += size
	}
	c.mean = float64(total) / float64(len(c.texts))
	return c, nil
}

// Mean is the mean length of the texts.
func (c *Cargo) Mean() float64 { return c.mean }

// dealer returns what deals texts to callers: to each all of them in turn, from a place of its own on. A caller is one goroutine.
func (c *Cargo) dealer(callers int) func(caller int) string {
	next := make([]int, callers)
	for i := range next {
		next[i] = rand.IntN(len(c.texts))
	}
	return func(caller int) string {
		text := c.texts[next[caller]]
		next[caller] = (next[caller] + 1) % len(c.texts)
		return text
	}
}

// ReadSizes reads sizes of messages, in bytes: whole numbers between commas and white space. Words that end with a colon, and what follows a # in a
// line, are passed over, so that upstream's messages_length.yaml can be read as it is.
func ReadSizes(r io.Reader) ([]int, error) {
	var sizes []int
	in := bufio.NewReader(r)
	for line := 1; ; line++ {
		text, err := in.ReadString('\n')
		if err != nil && !errors.Is(err, io.EOF) {
			return nil, err
		}
		code, _, _ := strings.Cut(text, "#")
		for _, word := range strings.FieldsFunc(code, func(r rune) bool { return strings.ContainsRune(", \t\r\n\"'[]", r) }) {
			if strings.HasSuffix(word, ":") {
				continue
			}
			n, parseErr := strconv.Atoi(word)
			if parseErr != nil || n < 0 || n > mostBytes {
				return nil, fmt.Errorf("line %d: %q is not a size from 0 to %d", line, word, mostBytes)
			}
			sizes = append(sizes, n)
		}
		if err != nil {
			break
		}
	}
	if len(sizes) == 0 {
		return nil, errors.New("no sizes in it")
	}
	return sizes, nil
}

// Context is a request context of so many members, as services have them: a request id, who asks, and filling.
func Context(keys int) (rpc.RequestContext, error) {
	members := []string{"request_id", "user", "tenant", "roles", "is_admin"}
	values := map[string]any{
		"request_id": "req-5f0c2c1e-7a55-4d9a-9d4f-3a3b2d1c0e9f", "user": strings.Repeat("0123456789abcdef", 2),
		"tenant": strings.Repeat("fedcba9876543210", 2), "roles": []string{"admin", "member"}, "is_admin": true,
	}
	all := make(map[string]any, keys)
	for i := range keys {
		if i < len(members) {
			all[members[i]] = values[members[i]]
			continue
		}
		all[fmt.Sprintf("context_key_%d", i)] = strings.Repeat("v", 20)
	}
	return rpc.NewRequestContext(all)
}
