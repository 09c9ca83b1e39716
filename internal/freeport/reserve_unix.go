//go:build unix && !solaris && !aix

package freeport

import "syscall"

// reserve takes the lock that the file is, until this process ends: its descriptor stays open for that.
func reserve(file string) bool {
	fd, err := syscall.Open(file, syscall.O_CREAT|syscall.O_RDWR|syscall.O_CLOEXEC, 0o600)
	if err != nil {
		return false
	}
	if err := syscall.Flock(fd, syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		_ = syscall.Close(fd)
		return false
	}
	return true
}
