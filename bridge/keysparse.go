package bridge

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
)

// maxKeyFile is more than any list of keys takes.
const maxKeyFile = 64 << 10

// LoadKeys returns the keys in a file that something else has made, for Options.Keys: a secret that Kubernetes, Docker or systemd
// mounts. It follows symbolic links, and others than the owner may read the file, but not write it. The text is that of ParseKeys. An
// absent file (fs.ErrNotExist) is an error, and so is one without a key: keys are never made up.
func LoadKeys(path string) ([][]byte, error) {
	info, err := os.Stat(path)
	if err == nil {
		err = checkMounted(info)
	}
	if err != nil {
		return nil, fmt.Errorf("bridge: key file %s: %w", path, cause(err))
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("bridge: key file %s: %w", path, cause(err))
	}
	defer func() { _ = f.Close() }()
	if info, err = f.Stat(); err == nil { // it may be another file by now
		err = checkMounted(info)
	}
	var data []byte
	if err == nil {
		data, err = io.ReadAll(io.LimitReader(f, maxKeyFile+1))
	}
	var keys [][]byte
	if err == nil {
		keys, err = parseKeys(data)
	}
	if err != nil {
		return nil, fmt.Errorf("bridge: key file %s: %w", path, cause(err))
	}
	return keys, nil
}

// cause is err without the path, if it names one.
func cause(err error) error {
	var pathError *os.PathError
	if errors.As(err, &pathError) {
		return pathError.Err
	}
	return err
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

// ParseKeys returns the keys in text, for Options.Keys: that of an environment variable, say. Each is in base64 (standard alphabet, with
// padding) and has at least 32 bytes; the first one signs. They are separated by line breaks, spaces or commas; # begins a comment,
// which goes on to the end of its line. It is an error if there is no key, as with a variable that isn't set, or if one of them is
// malformed: the error names the line, never the key.
func ParseKeys(text string) ([][]byte, error) {
	keys, err := parseKeys([]byte(text))
	if err != nil {
		return nil, fmt.Errorf("bridge: keys: %w", err)
	}
	return keys, nil
}

func parseKeys(data []byte) (keys [][]byte, err error) {
	if len(data) > maxKeyFile {
		return nil, fmt.Errorf("these are no keys: more than %d bytes", maxKeyFile)
	}
	n := 0
	for line := range bytes.Lines(data) {
		n++
		text, _, _ := strings.Cut(string(line), "#")
		for _, field := range strings.FieldsFunc(text, isKeySeparator) {
			key, err := base64.StdEncoding.DecodeString(field)
			if err != nil { // its text would quote the key's
				return nil, fmt.Errorf("line %d is not the base64 of at least %d bytes", n, minKeyBytes)
			}
			if len(key) < minKeyBytes {
				return nil, fmt.Errorf("line %d is the base64 of %d bytes; a key has at least %d", n, len(key), minKeyBytes)
			}
			keys = append(keys, key)
		}
	}
	if len(keys) == 0 {
		return nil, errors.New("no key in it")
	}
	return keys, nil
}

func isKeySeparator(c rune) bool { return strings.ContainsRune(" \t\r\n,", c) }
