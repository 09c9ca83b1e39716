//go:build !unix

package rabbit

import (
	"errors"
	"fmt"
	"os"
)

func lockFile(string) (*os.File, bool, error) {
	return nil, false, fmt.Errorf("it needs the file locks of a Unix system: %w", errors.ErrUnsupported)
}
