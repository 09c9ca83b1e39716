package cli

import (
	"cmp"
	"os"
	"time"

	"github.com/goslo/goslo"
	"github.com/goslo/goslo/config"
	"github.com/goslo/goslo/config/messaging"
)

// fileOptions are those that goslo knows, in files that hold others.
type fileOptions struct {
	messaging.Options
	Others struct{} `config:"DEFAULT,shared"`
}

// configSource is files, and folders with files.
func configSource(paths []string) config.Source {
	var s config.Source
	for _, path := range paths {
		flag := "--config-file="
		if info, err := os.Stat(path); err == nil && info.IsDir() {
			flag = "--config-dir="
		}
		s.Args = append(s.Args, flag+path)
	}
	return s
}

// loadFiles reads what --config-file names, once.
func (a *app) loadFiles() error {
	if a.options != nil || len(a.configFiles) == 0 {
		return nil
	}
	s := configSource(a.configFiles)
	s.Env = a.lookup
	var err error
	if s.Logger, err = a.logger(); err != nil {
		return err
	}
	conf, err := config.Load(s, fileOptions{})
	if err != nil {
		return &usageError{cause: err}
	}
	a.options = conf
	return nil
}

// fileOption returns an option of [DEFAULT], and where it is given; "" when nobody gives it.
func (a *app) fileOption(name string) (value, from string, err error) {
	if err = a.loadFiles(); err != nil || a.options == nil {
		return "", "", err
	}
	if value, from, err = a.options.Option(config.Default, name); err != nil {
		return "", "", &usageError{cause: err}
	}
	return value, from, nil
}

// fileTimeout is the files' rpc_response_timeout, or the default.
func (a *app) fileTimeout() (time.Duration, error) {
	if err := a.loadFiles(); err != nil {
		return 0, err
	}
	c, err := goslo.Config{Options: a.options}.ClientConfig()
	if err != nil {
		return 0, &usageError{cause: err}
	}
	return cmp.Or(c.Timeout, defaultTimeout), nil
}
