package brokertest

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strconv"
	"testing"
	"time"

	"github.com/goslo/goslo/internal/freeport"
)

// A Server is a broker that is one process and listens on one loopback port, with a folder of its own. Its
// methods are safe for concurrent use, except for those that start and end it.
type Server struct {
	name    string
	folder  string
	port    int
	command func() *exec.Cmd // a fresh one for each start
	process *process
}

// startServer starts a server of a new folder and port, which end with the test. command gets both.
func startServer(t testing.TB, name string, command func(folder string, port int) (*exec.Cmd, error)) *Server {
	t.Helper()
	var problem error
	for range 3 { // another process may take the port between the choice and its use
		s, err := newServer(name, command)
		if err == nil {
			t.Cleanup(s.discard)
			return s
		}
		problem = err
	}
	t.Fatalf("brokertest: start %s: %v", name, problem)
	return nil
}

func newServer(name string, command func(folder string, port int) (*exec.Cmd, error)) (*Server, error) {
	folder, err := newFolder(name)
	if err != nil {
		return nil, err
	}
	s := &Server{name: name, folder: folder}
	ports, err := freeport.Find(1)
	if err == nil {
		s.port = ports[0]
		var cmd *exec.Cmd
		if cmd, err = command(folder, s.port); err == nil {
			s.command = func() *exec.Cmd {
				again := exec.Command(cmd.Path, cmd.Args[1:]...)
				again.Env = cmd.Env
				return again
			}
			err = s.start()
		}
	}
	if err != nil {
		s.discard()
		return nil, err
	}
	return s, nil
}

// start starts the process and returns when it takes connections.
func (s *Server) start() error {
	var err error
	if s.process, err = startProcess(s.folder, s.name, s.command()); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), startLimit)
	defer cancel()
	if err := awaitPort(ctx, s.process, s.port); err != nil {
		s.process.kill()
		return err
	}
	return nil
}

// discard ends the server and removes its folder.
func (s *Server) discard() {
	if s.process != nil {
		s.process.kill()
	}
	_ = os.RemoveAll(s.folder)
}

// Addr is the server's address, host and port.
func (s *Server) Addr() string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(s.port)) }

// Output is the end of what the server wrote: its log.
func (s *Server) Output() string { return s.process.output() }

// CPUTime is the CPU time that the server has used since its last start.
func (s *Server) CPUTime(t testing.TB) time.Duration {
	t.Helper()
	used, err := s.process.cpuTime()
	if err != nil {
		t.Fatal(err)
	}
	return used
}

// Kill ends the server with SIGKILL. Restart brings it back.
func (s *Server) Kill() { s.process.kill() }

// Stop ends the server with SIGTERM, in an orderly way if it knows one. Restart brings it back.
func (s *Server) Stop(t testing.TB) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if err := s.process.stop(ctx); err != nil {
		t.Fatal(err)
	}
}

// Restart starts the server again on the same port and folder, after killing it when it still runs.
func (s *Server) Restart(t testing.TB) {
	t.Helper()
	s.Kill()
	if err := s.start(); err != nil {
		t.Fatal(fmt.Errorf("brokertest: restart %s: %w", s.name, err))
	}
}

// Pause freezes the server: its connections stay open and nothing answers. Resume ends that.
func (s *Server) Pause(t testing.TB) {
	t.Helper()
	if err := s.process.signal(pause); err != nil {
		t.Fatal(err)
	}
}

// Resume lets a paused server run on.
func (s *Server) Resume(t testing.TB) {
	t.Helper()
	if err := s.process.signal(resume); err != nil {
		t.Fatal(err)
	}
}

// PID is the process id of the server.
func (s *Server) PID() int { return s.process.pid }
