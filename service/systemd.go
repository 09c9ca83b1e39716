package service

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"os"
	"strconv"
	"time"
)

// A notifier tells systemd how the service is: sd_notify(3), over the datagram socket that $NOTIFY_SOCKET names. A nil one tells nobody.
type notifier struct {
	socket   net.UnixAddr
	watchdog time.Duration // between signs of life; 0 = none are expected
	log      *slog.Logger
}

// newNotifier returns nil where nobody wants to be told.
func newNotifier(env func(string) (string, bool), log *slog.Logger) *notifier {
	path, _ := env("NOTIFY_SOCKET") // a path, or "@" and a name in the abstract namespace, as package net has it
	if path == "" {
		return nil
	}
	n := &notifier{socket: net.UnixAddr{Name: path, Net: "unixgram"}, log: log}
	usec, _ := env("WATCHDOG_USEC")
	if pid, set := env("WATCHDOG_PID"); !set || pid == strconv.Itoa(os.Getpid()) {
		if v, err := strconv.ParseInt(usec, 10, 64); err == nil && v > 0 {
			n.watchdog = time.Duration(v) * time.Microsecond / 2 // as sd_watchdog_enabled(3) recommends
		}
	}
	return n
}

// tell sends lines such as READY=1. What cannot be sent is logged: systemd has a timeout of its own for what it does not hear.
func (n *notifier) tell(lines string) {
	if n == nil {
		return
	}
	if err := n.send(lines); err != nil {
		n.log.Warn("systemd not told", "what", lines, "error", err)
	}
}

func (n *notifier) send(lines string) error {
	c, err := net.DialUnix(n.socket.Net, nil, &n.socket)
	if err != nil {
		return fmt.Errorf("service: notify systemd: %w", err)
	}
	_, err = c.Write([]byte(lines))
	if err := c.Close(); err != nil {
		return fmt.Errorf("service: notify systemd: %w", err)
	}
	return err
}

// reloading tells that the configuration is read again, until the next READY=1. systemd tells by the time whether an answer is to
// its own request (Type=notify-reload).
func (n *notifier) reloading() {
	if n == nil {
		return
	}
	usec, err := monotonicMicroseconds()
	if err != nil {
		n.log.Warn("systemd not told", "what", "RELOADING=1", "error", err)
		return
	}
	n.tell("RELOADING=1\nMONOTONIC_USEC=" + strconv.FormatInt(usec, 10))
}

// beat gives signs of life until ctx ends.
func (n *notifier) beat(ctx context.Context) {
	if n == nil || n.watchdog == 0 {
		return
	}
	ticker := time.NewTicker(n.watchdog)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			n.tell("WATCHDOG=1")
		}
	}
}
