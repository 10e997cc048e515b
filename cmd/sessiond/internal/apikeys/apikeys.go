// Package apikeys reads the keys of the REST API.
package apikeys

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"strings"

	"github.com/sessionbridge/sessionbridge/admin"
)

// Load returns the keys in the file at path, and the one with the secret, which may do everything
// and is called "env". Both may be "". A file that others than its owner can write to is an error.
func Load(path, secret string) (keys []admin.Key, err error) {
	if path != "" {
		info, err := os.Stat(path)
		if err != nil {
			return nil, err
		}
		if runtime.GOOS != "windows" && info.Mode().Perm()&0o022 != 0 {
			return nil, fmt.Errorf("%s: others can write to it: chmod 600 it", path)
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return nil, err
		}
		if keys, err = Parse(string(text)); err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
	}
	if secret != "" {
		keys = append(keys, admin.Key{Name: "env", Secret: secret, Scope: admin.ScopeWrite})
	}
	return keys, nil
}

// Parse returns the keys in a text: a line for each, with its name, its scope (read, write or auth)
// and its secret, and perhaps the names of the apps that it is for. # begins a comment. It is an
// error if there is no key. No error has a secret.
func Parse(text string) (keys []admin.Key, err error) {
	n := 0
	for line := range strings.Lines(text) {
		n++
		line, _, _ = strings.Cut(line, "#")
		words := strings.Fields(line)
		if len(words) == 0 {
			continue
		}
		if len(words) < 3 {
			return nil, fmt.Errorf("line %d: a key is NAME SCOPE SECRET", n)
		}
		scope, err := scopeOf(words[1])
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", n, err)
		}
		keys = append(keys, admin.Key{Name: words[0], Scope: scope, Secret: words[2], Apps: words[3:]})
	}
	if len(keys) == 0 {
		return nil, errors.New("there is no key")
	}
	return keys, nil
}

func scopeOf(word string) (admin.Scope, error) {
	for _, scope := range []admin.Scope{admin.ScopeRead, admin.ScopeWrite, admin.ScopeAuth} {
		if word == scope.String() {
			return scope, nil
		}
	}
	return 0, errors.New("the second word is not a scope: read, write or auth")
}
