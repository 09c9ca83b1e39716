//go:build !unix

package cli

import "os"

// notifySize does nothing: this system tells nobody. The size is asked for with every drawing.
func notifySize(chan<- os.Signal) {}
