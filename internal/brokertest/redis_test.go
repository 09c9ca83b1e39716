package brokertest_test

import (
	"bufio"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/goslo/goslo/internal/brokertest"
)

// ask sends a line to a Redis server over a new connection, and returns the last line of its answer.
func ask(t *testing.T, address string, lines ...string) string {
	t.Helper()
	c, err := net.Dial("tcp4", address)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := c.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	answers := bufio.NewReader(c)
	var answer string
	for _, line := range lines {
		if _, err := fmt.Fprintf(c, "%s\r\n", line); err != nil {
			t.Fatal(err)
		}
		if answer, err = answers.ReadString('\n'); err != nil {
			t.Fatal(err)
		}
		if strings.HasPrefix(answer, "$") && !strings.HasPrefix(answer, "$-1") {
			if answer, err = answers.ReadString('\n'); err != nil {
				t.Fatal(err)
			}
		}
	}
	return strings.TrimSpace(answer)
}

func TestRedisKeepsWhatItsConfigurationSays(t *testing.T) {
	t.Parallel()
	for config, want := range map[string]string{
		"requirepass s3cret": "$-1",
		"requirepass s3cret\nappendonly yes\nappendfsync always": "kept",
	} {
		n := brokertest.NewRedis(t, brokertest.RedisOptions{Config: config})
		proxy := brokertest.NewProxy(t, n.Addr())
		if got := ask(t, proxy.Addr(), "GET key"); !strings.HasPrefix(got, "-NOAUTH") {
			t.Errorf("without the password: %s", got)
		}
		if got := ask(t, proxy.Addr(), "AUTH s3cret", "SET key kept"); got != "+OK" {
			t.Error(got, n.Output())
		}
		n.Kill()
		n.Restart(t)
		brokertest.Await(t, "the end of its start", func() bool { return ask(t, n.Addr(), "AUTH s3cret", "PING") == "+PONG" })
		if got := ask(t, proxy.Addr(), "AUTH s3cret", "GET key"); got != want {
			t.Errorf("after kill and restart with %q: %s, want %s", config, got, want)
		}
	}
}
