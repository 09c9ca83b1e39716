//go:build unix

package embedded

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"syscall"
)

// owned says whether a file or folder is this user's.
func owned(path string, info fs.FileInfo) error {
	s, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return fmt.Errorf("who owns %s: %w", path, errors.ErrUnsupported)
	}
	if uid := os.Geteuid(); int(s.Uid) != uid {
		return fmt.Errorf("%s belongs to the user with ID %d, this process runs as %d", path, s.Uid, uid)
	}
	return nil
}

func openNoFollow(path string) (*os.File, error) {
	return os.OpenFile(path, os.O_RDONLY|syscall.O_NOFOLLOW|syscall.O_CLOEXEC, 0)
}

// lockFile takes a lock that ends with the file's last descriptor, thus with the process. When another
// process has it, ok is false.
func lockFile(path string) (f *os.File, ok bool, err error) {
	f, err = os.OpenFile(path, os.O_RDWR|os.O_CREATE|syscall.O_NOFOLLOW|syscall.O_CLOEXEC, 0o600)
	if err != nil {
		return nil, false, err
	}
	err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if err == nil {
		return f, true, nil
	}
	if errors.Is(err, syscall.EWOULDBLOCK) {
		err = nil
	} else {
		err = fmt.Errorf("lock %s: %w", path, err)
	}
	return nil, false, errors.Join(err, f.Close())
}

// refused says whether nobody listens on a port.
func refused(err error) bool { return errors.Is(err, syscall.ECONNREFUSED) }
