//go:build zmq

package zmq

import (
	"log/slog"
	"os"
	"path/filepath"
	"testing"

	"github.com/goslo/goslo/wire"
)

// Whoever is said to be gone, by a reply address of anybody's making, takes nothing with him but what is his own.
func TestGoneRemovesNothingOfOthers(t *testing.T) {
	t.Parallel()
	sockets := t.TempDir()
	d, err := openLocal(filepath.Join(sockets, "vhost-"), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	server, client := wire.NewID(), wire.NewID()
	if err := d.join(t.Context(), member{ID: server}); err != nil {
		t.Fatal(err)
	}
	serve(t, d, service{"nova", "compute", "h1"})
	file := filepath.Join(t.TempDir(), "precious")
	dead := filepath.Join(sockets, client)
	for _, path := range []string{file, dead} {
		if err := os.WriteFile(path, nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	other, err := openLocal(d.dir, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	for _, id := range []string{"*", "?" + server[1:], ".", "..", "precious", client} {
		other.gone(member{ID: id, Endpoints: []string{"ipc://" + file, "ipc://" + dead}})
	}
	expect(t, d, "nova", "compute", server+":h1")
	if _, err := os.Stat(file); err != nil {
		t.Errorf("a file elsewhere: %v", err)
	}
	if _, err := os.Stat(dead); err == nil {
		t.Error("the socket of who is gone is still there")
	}
}
