package credentials

import (
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// LoadOrCreateKeys returns the keys in the file at path, in the form of ParseKeys. If there is no
// such file it creates one with a random key, readable by its owner only (0600). If several
// processes do so at the same time, they all get the same key. A file that others can read, a
// symbolic link, and a file without a key are errors.
func LoadOrCreateKeys(path string) ([][]byte, error) {
	keys, err := loadOwnKeys(path)
	if !errors.Is(err, fs.ErrNotExist) {
		return keys, err
	}
	switch err := createKeys(path); {
	case errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("create key file: there is no folder %s: create it, readable by its owner only (0700): %w",
			filepath.Dir(path), err)
	case err != nil && !errors.Is(err, fs.ErrExist):
		return nil, fmt.Errorf("create key file: %w", err)
	}
	return loadOwnKeys(path)
}

func loadOwnKeys(path string) ([][]byte, error) {
	info, err := os.Lstat(path)
	if err != nil {
		return nil, fmt.Errorf("key file: %w", err)
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("key file %s: not a regular file (LoadKeys follows symbolic links)", path)
	}
	if mode := info.Mode().Perm(); mode&0o077 != 0 && filepath.Separator == '/' {
		return nil, fmt.Errorf(
			"key file %s: mode %#o allows access by other users; chmod 600 it (LoadKeys reads mounted secrets)",
			path,
			mode,
		)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("key file: %w", err)
	}
	keys, err := parseKeys(data)
	if err != nil {
		return nil, fmt.Errorf("key file %s: %w", path, err)
	}
	return keys, nil
}

// createKeys writes a complete file beside path and links it there, so that path never names a
// partial file and is never overwritten.
func createKeys(path string) error {
	temp, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*.tmp") // mode 0600
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(temp.Name()) }()
	_, err = fmt.Fprintln(temp, base64.StdEncoding.EncodeToString(NewKey()))
	if err == nil {
		err = temp.Sync()
	}
	if err := errors.Join(err, temp.Close()); err != nil {
		return err
	}
	return os.Link(temp.Name(), path)
}

// LoadKeys returns the keys in a file that another program has made: a secret mounted by
// Kubernetes, Docker or systemd. It follows symbolic links. Users other than the owner may read the
// file, but not write it. An absent file (fs.ErrNotExist) and one without a key are errors.
func LoadKeys(path string) ([][]byte, error) {
	keys, err := loadMounted(path)
	if err != nil {
		return nil, fmt.Errorf("key file %s: %w", path, cause(err))
	}
	return keys, nil
}

func loadMounted(path string) ([][]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if err := checkMounted(info); err != nil {
		return nil, err
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	if info, err = f.Stat(); err != nil { // it may be another file by now
		return nil, err
	}
	if err := checkMounted(info); err != nil {
		return nil, err
	}
	data, err := io.ReadAll(io.LimitReader(f, maxKeyText+1))
	if err != nil {
		return nil, err
	}
	return parseKeys(data)
}

func checkMounted(info os.FileInfo) error {
	if !info.Mode().IsRegular() {
		return errors.New("not a regular file")
	}
	if mode := info.Mode().Perm(); mode&0o022 != 0 && filepath.Separator == '/' {
		return fmt.Errorf("mode %#o lets others write it; chmod go-w it", mode)
	}
	return nil
}

// cause returns err without the path, if it names one.
func cause(err error) error {
	var pathError *os.PathError
	if errors.As(err, &pathError) {
		return pathError.Err
	}
	return err
}
