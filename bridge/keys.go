package bridge

import (
	"fmt"

	"github.com/sessionbridge/sessionbridge/internal/credentials"
)

// LoadOrCreateKeys returns the keys in the file at path, for Options.Keys: one per line, in base64;
// the first one signs. If there is no such file it creates one with a random key, readable by its
// owner only (0600). Of several processes that do so at the same time, all get the same key. It
// refuses a file that others can read, a symbolic link, and a file without a key. The text has the
// form of ParseKeys. For a mounted secret use LoadKeys, which never creates one.
func LoadOrCreateKeys(path string) ([][]byte, error) {
	return prefixed(credentials.LoadOrCreateKeys(path))
}

// LoadKeys returns the keys in a file that another program has made, for Options.Keys: a secret
// mounted by Kubernetes, Docker or systemd. It follows symbolic links. Users other than the owner
// may read the file, but not write it. The text has the form of ParseKeys. An absent file
// (fs.ErrNotExist) is an error, and so is a file without a key: LoadKeys never creates keys.
func LoadKeys(path string) ([][]byte, error) {
	return prefixed(credentials.LoadKeys(path))
}

// ParseKeys returns the keys in text, for Options.Keys: the value of an environment variable, for
// example. Each is in base64 (standard alphabet, with padding) and has at least 32 bytes; the first
// one signs. They are separated by line breaks, spaces or commas; # begins a comment, which ends
// with its line. It is an error if there is no key, as in a variable that isn't set, or if a key is
// malformed: the error names the line, never the key.
func ParseKeys(text string) ([][]byte, error) {
	return prefixed(credentials.ParseKeys(text))
}

func prefixed(keys [][]byte, err error) ([][]byte, error) {
	if err != nil {
		return nil, fmt.Errorf("bridge: %w", err)
	}
	return keys, nil
}
