package config

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// FindFile returns the path of a file that belongs to the configuration, such as api-paste.ini, as oslo.config's find_file does
// (oslo_config/cfg.py): an absolute name as it is; any other in the folders of --config-dir, in those of the files that were read, the last
// one first, and in ~/.project, ~, /etc/project and /etc. The error names the folders when it is in none.
func (c *Config[T]) FindFile(name string) (string, error) {
	if filepath.IsAbs(name) {
		if _, err := os.Stat(name); err != nil {
			return "", fmt.Errorf("config: find a file of the configuration: %w", err)
		}
		return name, nil
	}
	var dirs, files []string
	for _, p := range c.loader.places {
		if p.dir {
			dirs = append(dirs, p.path)
		} else {
			files = append(files, filepath.Dir(p.path))
		}
	}
	slices.Reverse(files)
	dirs = slices.Concat(dirs, files, c.loader.others)
	for _, dir := range dirs {
		path := filepath.Join(dir, name)
		if _, err := os.Stat(path); err == nil {
			return path, nil
		}
	}
	return "", fmt.Errorf("config: %s is in none of the folders %s: %w", name, strings.Join(dirs, ", "), os.ErrNotExist)
}
