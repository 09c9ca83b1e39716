//go:build !unix

package embedded

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
)

var errSystem = fmt.Errorf("the embedded bus needs a Unix system, for file locks and owners; start a nats-server and use nats://: %w", errors.ErrUnsupported)

func owned(string, fs.FileInfo) error { return errSystem }

func openNoFollow(string) (*os.File, error) { return nil, errSystem }

func lockFile(string) (*os.File, bool, error) { return nil, false, errSystem }

func refused(error) bool { return false }
