package embedded_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/goslo/goslo/internal/brokertest"
	"github.com/goslo/goslo/transport"
	"github.com/goslo/goslo/transport/nats/embedded"
)

// childVariable makes a copy of the test binary a member of a bus: it holds a child as JSON.
const childVariable = "GOSLO_EMBEDDED_TEST_CHILD"

func TestMain(m *testing.M) {
	if config := os.Getenv(childVariable); config != "" {
		os.Exit(beChild(config))
	}
	brokertest.Main(m)
}

// A child is another process on the bus. It ends when its standard input does.
type child struct {
	Config embedded.Config
	Server string // listens on topic "compute" under this name and answers calls with it; "" = does not
}

func beChild(config string) int {
	if err := child.run(child{}, config); err != nil {
		fmt.Fprintln(os.Stderr, "child:", err)
		return 1
	}
	return 0
}

func (c child) run(config string) error {
	if err := json.Unmarshal([]byte(config), &c); err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	bus, err := embedded.Open(ctx, c.Config)
	if err != nil {
		return err
	}
	served := make(chan error, 1)
	if c.Server == "" {
		served <- nil
	} else {
		l, err := bus.Listen(ctx, transport.Address{Kind: transport.Topic, Topic: "compute", Server: c.Server}, transport.ListenOptions{})
		if err != nil {
			return err
		}
		go func() { served <- c.serve(ctx, bus, l) }()
	}
	fmt.Println("ready")
	for in := bufio.NewScanner(os.Stdin); in.Scan(); {
		fmt.Println(bus.Hosting()) // whatever is asked
	}
	cancel()
	if err := <-served; err != nil && !errors.Is(err, context.Canceled) {
		return err
	}
	return bus.Close(context.Background())
}

func (c child) serve(ctx context.Context, bus transport.Transport, l transport.Listener) error {
	for {
		d, err := l.Next(ctx)
		if err != nil {
			return err
		}
		if err := d.Ack(ctx); err != nil {
			continue // the bus is away: a cast comes again
		}
		if d.Message.ReplyTo != "" {
			answer := &transport.Message{ID: d.Message.ID, Result: json.RawMessage(`"` + c.Server + `"`), Ending: true}
			if err := bus.Send(ctx, transport.Address{Kind: transport.Reply, Topic: d.Message.ReplyTo}, answer); err != nil {
				fmt.Fprintln(os.Stderr, "child: answer:", err)
			}
		}
	}
}

// A process is a running child.
type process struct {
	t    testing.TB
	cmd  *exec.Cmd
	in   interface{ Write([]byte) (int, error) }
	out  *bufio.Scanner
	err  strings.Builder
	done bool
}

// spawn starts a child; it has joined the bus once ready was called.
func spawn(t testing.TB, c child) *process {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	config, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	p := &process{t: t, cmd: exec.Command(self)}
	p.cmd.Env = append(os.Environ(), childVariable+"="+string(config))
	p.cmd.Stderr = &p.err
	in, err := p.cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	p.in, p.out = in, bufio.NewScanner(out)
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if p.done {
			return
		}
		_ = in.Close()
		end := time.AfterFunc(10*time.Second, func() { _ = p.cmd.Process.Kill() })
		defer end.Stop()
		if err := p.cmd.Wait(); err != nil {
			t.Errorf("child: %v\n%s", err, p.err.String())
		}
	})
	return p
}

func (p *process) ready() *process {
	p.t.Helper()
	if !p.out.Scan() || p.out.Text() != "ready" {
		p.kill()
		p.t.Fatalf("child is not ready: %s", p.err.String())
	}
	return p
}

func (p *process) hosting() bool {
	p.t.Helper()
	if _, err := p.in.Write([]byte("hosting?\n")); err != nil {
		p.t.Fatal(err)
	}
	if !p.out.Scan() {
		p.t.Fatalf("child ended: %s", p.err.String())
	}
	return p.out.Text() == "true"
}

// kill is kill -9.
func (p *process) kill() {
	p.done = true
	_ = p.cmd.Process.Kill()
	_ = p.cmd.Wait()
}
