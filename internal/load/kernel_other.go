//go:build !linux

package load

import "errors"

// processMemory is not known here.
func processMemory() (now, peak int64) { return Unknown, Unknown }

// connections are not known here.
func connections() (map[string]Connection, error) {
	return nil, errors.New("the bytes of connections are read from Linux's counters")
}
