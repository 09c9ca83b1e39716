package cli

import (
	"strconv"
	"strings"
	"time"

	"github.com/goslo/goslo/config"
)

// readFiles reads what --config-file names.
func (a *app) readFiles() (config.Files, error) {
	files, err := config.ReadFiles(a.configFiles...)
	if err != nil {
		return nil, &usageError{cause: err}
	}
	return files, nil
}

// fileOption returns an option of [DEFAULT], and where it stands; "" when no file has it.
func fileOption(files config.Files, name string) (value, at string, err error) {
	if value, at, err = files.Get(config.Default, name); err != nil {
		return "", "", &usageError{cause: err}
	}
	return value, at, nil
}

// fileTimeout is the files' rpc_response_timeout, or its default.
func (a *app) fileTimeout() (time.Duration, error) {
	files, err := a.readFiles()
	if err != nil {
		return 0, err
	}
	value, at, err := fileOption(files, "rpc_response_timeout")
	if err != nil || value == "" {
		return defaultTimeout, err
	}
	n, err := strconv.Atoi(strings.TrimSpace(value))
	if err != nil || n <= 0 {
		return 0, usagef("%s: option rpc_response_timeout: %q is not a whole number of seconds above 0", at, value)
	}
	return time.Duration(n) * time.Second, nil
}
