package main

import (
	"embed"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
)

// nodePackage is a peer for node, which npm installs.
type nodePackage struct {
	name  string // with its version: a folder
	needs string // a module that is there when npm has installed all
	files embed.FS
}

// command returns the command that runs one of its scripts. npm installs what is missing, once for all
// runs.
func (p *nodePackage) command(progress io.Writer, script string, args ...string) (*exec.Cmd, error) {
	node, err := exec.LookPath("node")
	if err != nil {
		return nil, absent("no node here")
	}
	caches, err := os.UserCacheDir()
	if err != nil {
		caches = os.TempDir()
	}
	folder := filepath.Join(caches, "sessionbridge-bench", p.name)
	if _, err := os.Stat(filepath.Join(folder, "node_modules", p.needs, "package.json")); err != nil {
		if err := p.install(folder, progress); err != nil {
			return nil, err
		}
	}
	if err := p.copyTo(folder); err != nil { // the scripts are those of this program
		return nil, err
	}
	cmd := exec.Command(node, append([]string{filepath.Join(folder, script)}, args...)...)
	cmd.Env = append(os.Environ(), "NODE_ENV=production")
	return cmd, nil
}

// copyTo writes its files into the folder.
func (p *nodePackage) copyTo(folder string) error {
	return fs.WalkDir(p.files, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := p.files.ReadFile(name)
		if err != nil {
			return err
		}
		return os.WriteFile(filepath.Join(folder, filepath.Base(name)), text, 0o600)
	})
}

// install fills the folder, or leaves it as it was.
func (p *nodePackage) install(folder string, progress io.Writer) error {
	npm, err := exec.LookPath("npm")
	if err != nil {
		return absent("no npm here")
	}
	fmt.Fprintf(progress, "(installing %s) ", p.name)
	if err := os.MkdirAll(filepath.Dir(folder), 0o700); err != nil {
		return err
	}
	fresh, err := os.MkdirTemp(filepath.Dir(folder), "new-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(fresh) //nolint:errcheck // it has moved, or is of no use
	if err := p.copyTo(fresh); err != nil {
		return err
	}
	cmd := exec.Command(npm, "install", "--no-package-lock", "--ignore-scripts", "--omit=dev", "--no-audit", "--no-fund",
		"--loglevel=error", "--fetch-retries=1", "--fetch-timeout=30000")
	cmd.Dir = fresh
	if out, err := cmd.CombinedOutput(); err != nil {
		fmt.Fprintf(progress, "\nnpm install: %v\n%s\n", err, out)
		return absent("npm can't install it")
	}
	if err := os.RemoveAll(folder); err != nil {
		return err
	}
	return os.Rename(fresh, folder)
}
