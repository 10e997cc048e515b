package credentials

import (
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
)

// MinKeyBytes is the least length of a key.
const MinKeyBytes = 32

// maxKeyText is more than any list of keys takes.
const maxKeyText = 64 << 10

// NewKey returns a random key.
func NewKey() []byte {
	key := make([]byte, 2*MinKeyBytes)
	_, _ = rand.Read(key)
	return key
}

// ParseKeys returns the keys in text. Each is in base64 (standard alphabet, with padding) and has
// at least MinKeyBytes. They are separated by line breaks, spaces or commas; # begins a comment,
// which ends with its line. No key is an error, and so is a malformed one. The error names the
// line, never the key.
func ParseKeys(text string) ([][]byte, error) {
	keys, err := parseKeys([]byte(text))
	if err != nil {
		return nil, fmt.Errorf("keys: %w", err)
	}
	return keys, nil
}

func parseKeys(data []byte) (keys [][]byte, err error) {
	if len(data) > maxKeyText {
		return nil, fmt.Errorf("the text has more than %d bytes", maxKeyText)
	}
	n := 0
	for line := range bytes.Lines(data) {
		n++
		text, _, _ := strings.Cut(string(line), "#")
		for _, field := range strings.FieldsFunc(text, isKeySeparator) {
			key, err := base64.StdEncoding.DecodeString(field)
			if err != nil { // its text would quote the key's
				return nil, fmt.Errorf("line %d is not the base64 of at least %d bytes", n, MinKeyBytes)
			}
			if len(key) < MinKeyBytes {
				return nil, fmt.Errorf("line %d is the base64 of %d bytes; a key has at least %d",
					n, len(key), MinKeyBytes)
			}
			keys = append(keys, key)
		}
	}
	if len(keys) == 0 {
		return nil, errors.New("no key in it: is the variable set, or the file the right one?")
	}
	return keys, nil
}

func isKeySeparator(c rune) bool { return strings.ContainsRune(" \t\r\n,", c) }
