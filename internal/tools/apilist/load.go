package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"go/importer"
	"go/token"
	"go/types"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
)

// public is a public package.
type public struct {
	path  string
	types *types.Package
}

// listed is a package as `go list` describes it.
type listed struct {
	ImportPath, Name, Export string
	GoFiles                  []string
	DepOnly                  bool
}

// load returns the public packages of the module in dir, sorted by path.
func load(dir string) ([]public, error) {
	cmd := exec.Command("go", "list", "-export", "-deps", "-json=ImportPath,Name,Export,GoFiles,DepOnly", "./...")
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GOOS=linux", "GOARCH=amd64")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	text, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("go list: %w\n%s", err, stderr.String())
	}
	exports := map[string]string{}
	var paths []string
	for decoder := json.NewDecoder(bytes.NewReader(text)); ; {
		var p listed
		if err := decoder.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return nil, fmt.Errorf("go list: %w", err)
		}
		exports[p.ImportPath] = p.Export
		if !p.DepOnly && p.Name != "main" && len(p.GoFiles) > 0 && !isInternal(p.ImportPath) {
			paths = append(paths, p.ImportPath)
		}
	}
	slices.Sort(paths)
	compiled := importer.ForCompiler(token.NewFileSet(), "gc", func(path string) (io.ReadCloser, error) {
		return os.Open(exports[path])
	})
	var all []public
	for _, path := range paths {
		p, err := compiled.Import(path)
		if err != nil {
			return nil, err
		}
		all = append(all, public{path, p})
	}
	return all, nil
}

// isInternal reports whether only packages of the same module can import the path.
func isInternal(path string) bool {
	return slices.Contains(strings.Split(path, "/"), "internal")
}
