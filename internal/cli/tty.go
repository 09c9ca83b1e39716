package cli

import (
	"errors"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"golang.org/x/term"
)

// A tty is the terminal as a screen that is drawn on as a whole, and keys that come one by one. Close gives it back as it was.
type tty struct {
	out    *os.File
	in     *os.File    // nil = no keys
	before *term.State // of in
	fd     int         // of in
	keys   chan string // one key each, control sequences whole
	sizes  chan os.Signal
	done   chan struct{} // closed when no keys come any more
}

// What terminals understand, see console_codes(4).
const (
	enterScreen = "\x1b[?1049h\x1b[?25l" // another screen than the shell's, without a cursor
	leaveScreen = "\x1b[?25h\x1b[?1049l"
	home        = "\x1b[H"
	clearRest   = "\x1b[J"
	clearLine   = "\x1b[K"
)

// openTTY takes the terminal over. Where keys cannot be read, the rest works; Ctrl-C is a signal then.
func openTTY(out *os.File) (*tty, error) {
	t := &tty{out: out, keys: make(chan string), sizes: make(chan os.Signal, 1), done: make(chan struct{})}
	notifySize(t.sizes)
	if err := t.openKeys(); err != nil {
		close(t.done)
	} else {
		go t.read()
	}
	if _, err := out.WriteString(enterScreen); err != nil {
		return nil, errors.Join(err, t.close())
	}
	return t, nil
}

func (t *tty) openKeys() error {
	in, err := os.OpenFile("/dev/tty", os.O_RDONLY, 0)
	if err != nil {
		return err
	}
	// A reader that cannot be interrupted could not be waited for.
	if err = in.SetReadDeadline(time.Time{}); err == nil {
		var conn syscall.RawConn
		if conn, err = in.SyscallConn(); err == nil { // in.Fd would make it one that cannot be interrupted
			err = errors.Join(conn.Control(func(fd uintptr) {
				t.fd = int(fd)
				t.before, err = term.MakeRaw(t.fd)
			}), err)
		}
	}
	if err != nil {
		return errors.Join(err, in.Close())
	}
	t.in = in
	return nil
}

// read hands on keys until close.
func (t *tty) read() {
	defer close(t.done)
	buf := make([]byte, 64)
	for {
		n, err := t.in.Read(buf)
		if err != nil {
			return
		}
		for _, key := range splitKeys(string(buf[:n])) {
			t.keys <- key
		}
	}
}

// splitKeys takes apart what was typed: characters, and sequences of ESC [ up to a letter or ~.
func splitKeys(typed string) (keys []string) {
	for len(typed) > 0 {
		n := 1
		if len(typed) > 2 && typed[0] == 0x1b && (typed[1] == '[' || typed[1] == 'O') {
			n = 3
			for n < len(typed) && (typed[n-1] < '@' || typed[n-1] > '~') {
				n++
			}
		}
		keys = append(keys, typed[:n])
		typed = typed[n:]
	}
	return keys
}

// close gives the terminal back, and waits for the reader.
func (t *tty) close() error {
	signal.Stop(t.sizes)
	_, err := t.out.WriteString(leaveScreen)
	if t.in != nil {
		_ = t.in.SetReadDeadline(time.Unix(1, 0))
		for running := true; running; {
			select {
			case <-t.keys: // too late
			case <-t.done:
				running = false
			}
		}
		err = errors.Join(err, term.Restore(t.fd, t.before), t.in.Close())
	}
	return err
}

// size is in characters.
func (t *tty) size() (width, height int) {
	width, height, err := term.GetSize(int(t.out.Fd()))
	if err != nil || width <= 0 || height <= 0 {
		return 80, 24
	}
	return width, height
}

// draw shows lines from the top, with as little flicker as can be.
func (t *tty) draw(lines []string) error {
	_, err := t.out.WriteString(home + strings.Join(lines, clearLine+"\r\n") + clearLine + clearRest)
	return err
}
