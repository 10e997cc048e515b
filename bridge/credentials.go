package bridge

import (
	"fmt"
	"net/http"

	"github.com/sessionbridge/sessionbridge/internal/credentials"
)

// LoadOrCreateKeys returns the keys in the file at path, for Options.Keys. The text has the form of
// ParseKeys. If there is no such file it creates one with a random key, readable by its owner only
// (0600); processes that do so at the same time get the same key. A file that others can read, a
// symbolic link, and a file without a key are errors. For a mounted secret use LoadKeys.
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

// prefixed adds the package to an error.
func prefixed(keys [][]byte, err error) ([][]byte, error) {
	if err != nil {
		return nil, fmt.Errorf("bridge: %w", err)
	}
	return keys, nil
}

// TokenFromHeader returns an Options.TokenFrom for clients that send their token in the named
// header, with or without "Bearer " before it. A client that sends the header needs no cookies;
// before it has a token it sends an empty header, or just "Bearer". A value of another scheme
// ("Basic …") is ignored.
//
// Browsers send such a header only for scripts of an origin that the application's CORS rules
// allow, so cross-site requests can't use it. But a web page can store the token only where other
// scripts can read it, unlike the session cookie: use this for programs that aren't web pages.
func TokenFromHeader(name string) func(r *http.Request) (token string, ok bool) {
	return credentials.TokenFromHeader(name)
}

// TokenFromProtocol returns an Options.TokenFrom for WebSocket clients that can't set headers at a
// handshake. They offer a subprotocol that consists of the prefix and the token, and Subprotocol
// with it, for the server to accept. An empty prefix stands for "sessionbridge.token.".
func TokenFromProtocol(prefix string) func(r *http.Request) (token string, ok bool) {
	return credentials.TokenFromProtocol(prefix)
}
