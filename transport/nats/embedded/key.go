package embedded

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"

	"github.com/nats-io/nkeys"
)

const keyFile = "bus.nk"

// A key is what members of a bus share.
type key struct {
	path   string // of the file with the seed
	public string
}

// runtimeDir is the user's folder for the key and for locks, made if need be.
func runtimeDir(configured string) (string, error) {
	dir := configured
	if dir == "" {
		parent, err := userDir()
		if err != nil {
			return "", err
		}
		dir = filepath.Join(parent, "goslo")
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", fmt.Errorf("make the runtime folder: %w", err)
	}
	info, err := os.Lstat(dir)
	if err != nil {
		return "", fmt.Errorf("look at the runtime folder: %w", err)
	}
	if !info.IsDir() {
		return "", fmt.Errorf("runtime folder %s is not a folder", dir)
	}
	return dir, private(dir, info, "chmod 700")
}

// userDir is a folder of this user alone, the same for all of the user's sessions where possible.
func userDir() (string, error) {
	if dir := os.Getenv("XDG_RUNTIME_DIR"); dir != "" {
		info, err := os.Stat(dir) //nolint:gosec // The user names the folder; whose it is is looked at next.
		if err != nil {
			return "", fmt.Errorf("look at $XDG_RUNTIME_DIR: %w", err)
		}
		return dir, owned(dir, info)
	}
	// Where sessions have one, a cron job of the same user finds it too.
	dir := "/run/user/" + strconv.Itoa(os.Getuid())
	if info, err := os.Stat(dir); err == nil && owned(dir, info) == nil {
		return dir, nil
	}
	dir, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("no place for the key of the bus; set XDG_RUNTIME_DIR: %w", err)
	}
	return dir, nil
}

// private says whether nobody but this user can use a file or folder.
func private(path string, info fs.FileInfo, remedy string) error {
	if err := owned(path, info); err != nil {
		return err
	}
	if mode := info.Mode().Perm(); mode&0o077 != 0 {
		return fmt.Errorf("%s is open to other users (mode %04o); after making sure that nobody took part in the bus who should not, run %s %s", path, mode, remedy, path)
	}
	return nil
}

// loadKey reads the user's key, making it if need be.
func loadKey(dir string) (key, error) {
	k := key{path: filepath.Join(dir, keyFile)}
	seed, err := readPrivate(k.path)
	if errors.Is(err, fs.ErrNotExist) {
		if err := makeKey(dir, k.path); err != nil {
			return k, fmt.Errorf("make the key of the bus: %w", err)
		}
		seed, err = readPrivate(k.path)
	}
	if err != nil {
		return k, fmt.Errorf("read the key of the bus: %w", err)
	}
	defer clear(seed)
	pair, err := nkeys.FromSeed(seed)
	if err == nil {
		k.public, err = pair.PublicKey()
	}
	if err != nil {
		return k, fmt.Errorf("the key of the bus, %s, is damaged; remove it once no process of yours uses the bus: %w", k.path, err)
	}
	return k, nil
}

// readPrivate reads a file that nobody else can. It is checked after it was opened, so that it cannot be
// exchanged in between.
func readPrivate(path string) ([]byte, error) {
	f, err := openNoFollow(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }() // it was only read
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is not a plain file", path)
	}
	if err := private(path, info, "chmod 600"); err != nil {
		return nil, err
	}
	return io.ReadAll(io.LimitReader(f, 128)) // a seed has 58
}

// makeKey writes a new key. Of several processes that do so at once, one succeeds, and its file is complete
// when it appears.
func makeKey(dir, path string) error {
	pair, err := nkeys.CreateUser()
	if err != nil {
		return err
	}
	seed, err := pair.Seed()
	if err != nil {
		return err
	}
	defer clear(seed)
	f, err := os.CreateTemp(dir, keyFile+".*") // mode 0600
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(f.Name()) }() // what is left over is private, and never read
	_, err = f.Write(seed)
	if err := errors.Join(err, f.Close()); err != nil {
		return err
	}
	if err := os.Link(f.Name(), path); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return nil
}
