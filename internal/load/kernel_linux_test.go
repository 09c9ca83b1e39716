package load_test

import (
	"io"
	"net"
	"os"
	"os/exec"
	"strconv"
	"testing"

	"github.com/goslo/goslo/internal/load"
)

// TestTheKernelCountsWhatConnectionsCarry runs in a process of its own, as it looks at all connections of the process.
func TestTheKernelCountsWhatConnectionsCarry(t *testing.T) {
	t.Parallel()
	const other = "GOSLO_TEST_COUNT_BYTES_AT"
	if address := os.Getenv(other); address != "" {
		countBytes(t, address)
		return
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	served := make(chan error, 1)
	go func() {
		c, err := l.Accept()
		if err == nil {
			defer c.Close()
			_, err = io.Copy(c, c)
		}
		served <- err
	}()
	c := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^"+t.Name()+"$")
	c.Env = append(os.Environ(), other+"="+l.Addr().String())
	if out, err := c.CombinedOutput(); err != nil {
		t.Errorf("%v: %s", err, out)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-served; err != nil {
		t.Error(err)
	}
}

// countBytes exchanges some with an echo, and asks for what the kernel says.
func countBytes(t *testing.T, address string) {
	none := load.ReadTraffic(false)
	if _, err := none.Since(none); err == nil {
		t.Error("without connections, bytes are known")
	}
	c, err := net.Dial("tcp", address) //nolint:gosec // of this test
	if err != nil {
		t.Fatal(err)
	}
	exchange(t, c, 100)
	before := load.ReadTraffic(false)
	exchange(t, c, 12345)
	if got, err := load.ReadTraffic(false).Since(before); err != nil || got != (load.Carried{Sent: 12345, Received: 12345}) {
		t.Errorf("carried %+v, %v; want 12345 bytes each way", got, err)
	}
	// What was opened meanwhile counts as well; a connection within the process once.
	inner, accepted := pipe(t)
	exchangeOver(t, inner, accepted, 500)
	if got, err := load.ReadTraffic(false).Since(before); err != nil || got != (load.Carried{Sent: 12345 + 500, Received: 12345}) {
		t.Errorf("with a connection inside, carried %+v, %v", got, err)
	}
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := load.ReadTraffic(false).Since(before); err == nil {
		t.Error("a connection was closed, and bytes are known")
	}
	file, err := net.Listen("unix", t.TempDir()+"/socket")
	if err != nil {
		t.Fatal(err)
	}
	local, err := net.Dial("unix", file.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	if got := load.ReadTraffic(false); got.Unknown == "" {
		t.Error("with a Unix socket, bytes are known")
	}
	if err := local.Close(); err != nil {
		t.Fatal(err)
	}
}

func exchange(t *testing.T, c net.Conn, n int) { exchangeOver(t, c, c, n) }

// exchangeOver sends bytes over one and reads them from the other.
func exchangeOver(t *testing.T, to, from net.Conn, n int) {
	t.Helper()
	if _, err := to.Write(make([]byte, n)); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(from, make([]byte, n)); err != nil {
		t.Fatal(err)
	}
}

// pipe is a TCP connection with both ends here.
func pipe(t *testing.T) (dialled, accepted net.Conn) {
	t.Helper()
	l, err := net.Listen("tcp", "localhost:0")
	if err != nil {
		t.Fatal(err)
	}
	if dialled, err = net.Dial("tcp", "localhost:"+strconv.Itoa(l.Addr().(*net.TCPAddr).Port)); err != nil {
		t.Fatal(err)
	}
	if accepted, err = l.Accept(); err != nil {
		t.Fatal(err)
	}
	return dialled, accepted
}

func TestUsed(t *testing.T) {
	t.Parallel()
	before := load.Used()
	if before.CPU <= 0 || before.RSS < 1<<20 || before.Peak < before.RSS || before.Routines < 1 {
		t.Errorf("used %+v", before)
	}
	kept := make([][]byte, 1000) // of which some are counted later
	for i := range kept {
		kept[i] = make([]byte, 1<<10)
	}
	spent := load.Used().Since(before)
	if spent.Objects < 900 || spent.Bytes < 900<<10 || spent.CPU < 0 || spent.CPU > before.CPU+spent.CPU {
		t.Errorf("spent %+v on %d objects", spent, len(kept))
	}
	if two := spent.Add(load.Usage{CPU: load.Unknown, RSS: 1}); two.CPU != load.Unknown || two.RSS != spent.RSS+1 {
		t.Errorf("with another that is not known: %+v", two)
	}
}
