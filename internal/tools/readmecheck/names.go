package main

import (
	"fmt"
	"maps"
	"os/exec"
	"strings"
)

// variableTypes are the variables that documents use without declaring them.
var variableTypes = map[string]string{
	"b":          "*bridge.Bridge",
	"c":          "*bridge.Conn",
	"conn":       "*bridge.Conn",
	"link":       "*bridge.Link",
	"s":          "*bridge.Session",
	"st":         "store.Store",
	"rec":        "store.Record",
	"mux":        "*http.ServeMux",
	"app":        "http.Handler",
	"next":       "http.Handler",
	"handler":    "http.Handler",
	"server":     "*http.Server",
	"w":          "http.ResponseWriter",
	"r":          "*http.Request",
	"ctx":        "context.Context",
	"t":          "*testing.T",
	"logger":     "*slog.Logger",
	"keys":       "[][]byte",
	"err":        "error",
	"id":         "string",
	"sessionID":  "string",
	"clientID":   "string",
	"connID":     "string",
	"userID":     "string",
	"user":       "string",
	"addr":       "string",
	"path":       "string",
	"payload":    "[]byte",
	"passphrase": "[]byte",
}

// otherPackages are the packages outside the module that documents use without importing them.
var otherPackages = map[string]string{
	"bytes":     "bytes",
	"cmp":       "cmp",
	"context":   "context",
	"errors":    "errors",
	"filepath":  "path/filepath",
	"fmt":       "fmt",
	"hex":       "encoding/hex",
	"http":      "net/http",
	"httptest":  "net/http/httptest",
	"httputil":  "net/http/httputil",
	"io":        "io",
	"iter":      "iter",
	"json":      "encoding/json",
	"log":       "log",
	"maps":      "maps",
	"net":       "net",
	"netip":     "net/netip",
	"os":        "os",
	"rand":      "crypto/rand",
	"signal":    "os/signal",
	"slices":    "slices",
	"slog":      "log/slog",
	"strconv":   "strconv",
	"strings":   "strings",
	"sync":      "sync",
	"synctest":  "testing/synctest",
	"syscall":   "syscall",
	"template":  "html/template",
	"testing":   "testing",
	"time":      "time",
	"tls":       "crypto/tls",
	"url":       "net/url",
	"rueidis":   "github.com/redis/rueidis",
	"scs":       "github.com/alexedwards/scs/v2",
	"sessions":  "github.com/gorilla/sessions",
	"uuid":      "github.com/google/uuid",
	"websocket": "github.com/coder/websocket",
}

// knownPackages returns, by name, otherPackages and the packages of the module in root that a
// reader can import.
func knownPackages(root string) (map[string]string, error) {
	cmd := exec.Command("go", "list", "-e", "-f", "{{.Name}} {{.ImportPath}}", "./...")
	cmd.Dir = root
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("readmecheck: go list: %w", err)
	}
	packages := maps.Clone(otherPackages)
	for line := range strings.Lines(string(out)) {
		name, path, ok := strings.Cut(strings.TrimSpace(line), " ")
		if ok && name != "main" && !isInternal(path) {
			packages[name] = path
		}
	}
	return packages, nil
}

// isInternal reports whether a reader can't import the package.
func isInternal(path string) bool {
	return strings.Contains("/"+path+"/", "/internal/")
}
