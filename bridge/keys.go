package bridge

import (
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// LoadOrCreateKeys returns the keys in the file at path, for Options.Keys: one per line, in base64, the first one signs. If there is
// no such file it is created with one random key, readable by its owner only (0600); of several processes that do so at once,
// all get the same key. It refuses a file that others can read, a symbolic link, and one without a key. The text is that of
// ParseKeys. For a secret that is mounted use LoadKeys, which makes none.
func LoadOrCreateKeys(path string) ([][]byte, error) {
	keys, err := loadKeys(path)
	if !errors.Is(err, fs.ErrNotExist) {
		return keys, err
	}
	if err := createKeys(path); err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, fmt.Errorf("bridge: create key file: %w", err)
	}
	return loadKeys(path)
}

func loadKeys(path string) ([][]byte, error) {
	info, err := os.Lstat(path)
	if err != nil {
		return nil, fmt.Errorf("bridge: key file: %w", err)
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("bridge: key file %s: not a regular file (LoadKeys follows symbolic links)", path)
	}
	if mode := info.Mode().Perm(); mode&0o077 != 0 && filepath.Separator == '/' {
		return nil, fmt.Errorf("bridge: key file %s: mode %#o lets others in; chmod 600 it (LoadKeys reads mounted secrets)", path, mode)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("bridge: key file: %w", err)
	}
	keys, err := parseKeys(data)
	if err != nil {
		return nil, fmt.Errorf("bridge: key file %s: %w", path, err)
	}
	return keys, nil
}

// createKeys writes a whole file beside path and links it there, so that path never names half a file and is never overwritten.
func createKeys(path string) error {
	key := make([]byte, 2*minKeyBytes)
	_, _ = rand.Read(key)
	temp, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*.tmp") // mode 0600
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(temp.Name()) }()
	_, err = fmt.Fprintln(temp, base64.StdEncoding.EncodeToString(key))
	if err == nil {
		err = temp.Sync()
	}
	if err := errors.Join(err, temp.Close()); err != nil {
		return err
	}
	return os.Link(temp.Name(), path)
}
