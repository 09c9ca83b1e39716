//go:build !linux

package service

import "errors"

// monotonicMicroseconds is systemd's, which runs on Linux only.
func monotonicMicroseconds() (int64, error) { return 0, errors.ErrUnsupported }
