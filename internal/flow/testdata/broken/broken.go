// Package broken does not compile.
package broken

import "github.com/goslo/goslo/rpc"

// Target has no such field.
var Target = rpc.Target{Subject: "x"}

func twice() int { return undefined }
