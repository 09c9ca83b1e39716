package brokertest

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// A process is a child that does not outlive this one.
type process struct {
	name string
	pid  int
	log  string        // file that holds its standard output and error
	done chan struct{} // closed when it has ended
	err  error         // how it ended; valid once done is closed
}

// startProcess starts a program in a process group of its own, with its output in folder/name.out. The
// kernel kills it when this process ends in whatever way.
//
// PR_SET_PDEATHSIG fires when the thread that forked ends, not the process. Therefore the goroutine that
// starts the child keeps its thread until the child has ended.
func startProcess(folder, name string, cmd *exec.Cmd) (*process, error) {
	out, err := os.OpenFile(filepath.Join(folder, name+".out"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	defer out.Close()
	cmd.Stdout, cmd.Stderr = out, out
	cmd.Dir = folder
	if cmd.SysProcAttr, err = tied(); err != nil {
		return nil, err
	}

	p := &process{name: name, log: out.Name(), done: make(chan struct{})}
	started := make(chan error)
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		started <- err
		if err != nil {
			return
		}
		p.err = cmd.Wait()
		close(p.done)
	}()
	if err := <-started; err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	p.pid = cmd.Process.Pid
	if err := recordProcess(folder, p.pid); err != nil {
		p.kill()
		return nil, err
	}
	return p, nil
}

// signal sends s to the process group, and says nothing about one that has ended.
func (p *process) signal(s syscall.Signal) error {
	select {
	case <-p.done:
		return nil
	default:
	}
	if err := signalGroup(p.pid, s); err != nil {
		return fmt.Errorf("%s: %w", p.name, err)
	}
	return nil
}

// kill ends the process at once and waits until it is gone.
func (p *process) kill() {
	// The error can only say that the process is not ours, which it is.
	_ = p.signal(syscall.SIGKILL)
	<-p.done
}

// stop asks the process to end, and kills it when it has not by ctx's end.
func (p *process) stop(ctx context.Context) error {
	if err := p.signal(syscall.SIGTERM); err != nil {
		return err
	}
	select {
	case <-p.done:
		return nil
	case <-ctx.Done():
		p.kill()
		return fmt.Errorf("stop %s (pid %d): %w; it was killed", p.name, p.pid, ctx.Err())
	}
}

// output is the end of what the process wrote, for a failed test to show.
func (p *process) output() string {
	b, err := os.ReadFile(p.log)
	if err != nil {
		return err.Error()
	}
	const limit = 4 << 10
	if len(b) > limit {
		b = b[len(b)-limit:]
	}
	return string(b)
}

// clockTick is what the kernel counts CPU time of processes in.
const clockTick = time.Second / 100

// cpuTime is the CPU time that the process and its threads have used, in user and kernel mode.
func (p *process) cpuTime() (time.Duration, error) {
	fields := statFields(p.pid)
	if fields == nil {
		return 0, fmt.Errorf("cpu time of %s (pid %d): no such process", p.name, p.pid)
	}
	user, err := strconv.Atoi(fields[11])
	if err != nil {
		return 0, err
	}
	kernel, err := strconv.Atoi(fields[12])
	return time.Duration(user+kernel) * clockTick, err
}

// startTime is when a process began, in clock ticks since the machine's start: with the process id it
// names a process for good. It is "" when there is no such process. It is field 22 of its stat file.
func startTime(pid int) string {
	fields := statFields(pid)
	if fields == nil || fields[0] == "Z" {
		return ""
	}
	return fields[19]
}

// statFields are the fields of /proc/PID/stat from the third on; nil when there is no such process.
func statFields(pid int) []string {
	b, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return nil
	}
	// The second field is the program's name in parentheses, and may hold blanks.
	_, rest, ok := strings.Cut(string(b), ") ")
	fields := strings.Fields(rest)
	if !ok || len(fields) < 20 {
		return nil
	}
	return fields
}
