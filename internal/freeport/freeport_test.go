package freeport_test

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/goslo/goslo/internal/freeport"
)

const asOther = "GOSLO_TEST_FREEPORTS"

func TestMain(m *testing.M) {
	if os.Getenv(asOther) == "" {
		os.Exit(m.Run())
	}
	ports, err := freeport.Find(500)
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	fmt.Println(strings.Trim(fmt.Sprint(ports), "[]"))
}

func TestOne(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp4", fmt.Sprintf("127.0.0.1:%d", freeport.One(t)))
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Close(); err != nil {
		t.Error(err)
	}
}

// What this process was given another is not, though nobody listens there.
func TestProcessesShareNoPort(t *testing.T) {
	t.Parallel()
	mine, err := freeport.Find(500)
	if err != nil {
		t.Fatal(err)
	}
	other := exec.CommandContext(t.Context(), os.Args[0])
	other.Env = append(os.Environ(), asOther+"=1")
	out, err := other.CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	theirs := strings.Fields(string(out))
	if len(theirs) != 500 {
		t.Fatalf("the other process has %d ports", len(theirs))
	}
	for _, p := range mine {
		if slices.Contains(theirs, fmt.Sprint(p)) {
			t.Errorf("port %d was given to both", p)
		}
	}
}
