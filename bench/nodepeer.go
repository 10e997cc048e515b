package main

import (
	"bufio"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

//go:embed peers/redissessions/package.json
var peerPackage []byte

//go:embed peers/redissessions/peer.js
var peerScript string

// peerVersion is what package.json has.
const peerVersion = "4.0.0"

// nodePeer is a process of node that runs redis-sessions.
type nodePeer struct {
	cmd *exec.Cmd
	in  io.WriteCloser
	out *bufio.Scanner
}

// task is what the peer is told to do: an operation, n times, width of them at once.
type task struct {
	Op    string `json:"op"`
	N     int    `json:"n"`
	Width int    `json:"width"`
}

type peerAnswer struct {
	NS    float64 `json:"ns"`
	Met   int     `json:"met"`
	Error string  `json:"error"`
}

// startPeer installs the peer, if it isn't yet, and starts it.
func startPeer(port int, progress io.Writer) (*nodePeer, error) {
	node, err := exec.LookPath("node")
	if err != nil {
		return nil, absent("no node here")
	}
	modules, err := installPeer(progress)
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(
		node,
		filepath.Join(filepath.Dir(modules), "peer.js"),
		strconv.Itoa(port),
		strconv.Itoa(perUser),
		strconv.Itoa(len(sessionData)),
	)
	cmd.Env = append(os.Environ(), "NODE_ENV=production")
	in, out, err := startPiped(cmd)
	if err != nil {
		return nil, err
	}
	p := &nodePeer{cmd, in, bufio.NewScanner(out)}
	if _, err := p.answer(); err != nil {
		return nil, errors.Join(err, p.close())
	}
	return p, nil
}

// installPeer returns the folder node_modules that has the peer. npm fetches it once for all runs.
func installPeer(progress io.Writer) (string, error) {
	caches, err := os.UserCacheDir()
	if err != nil {
		caches = os.TempDir()
	}
	folder := filepath.Join(caches, "sessionbridge-bench", "redis-sessions-"+peerVersion)
	modules := filepath.Join(folder, "node_modules")
	if _, err := os.Stat(filepath.Join(modules, "redis-sessions", "package.json")); err != nil {
		if err := npmInstall(folder, progress); err != nil {
			return "", err
		}
	}
	return modules, os.WriteFile(
		filepath.Join(folder, "peer.js"),
		[]byte(peerScript),
		0o600,
	) // beside them, where node looks for them
}

// npmInstall fills the folder, or leaves it as it was.
func npmInstall(folder string, progress io.Writer) error {
	npm, err := exec.LookPath("npm")
	if err != nil {
		return absent("no npm here")
	}
	fmt.Fprint(progress, "(installing redis-sessions) ")
	if err := os.MkdirAll(filepath.Dir(folder), 0o700); err != nil {
		return err
	}
	fresh, err := os.MkdirTemp(filepath.Dir(folder), "new-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(fresh) //nolint:errcheck // it has moved, or is of no use
	if err := os.WriteFile(filepath.Join(fresh, "package.json"), peerPackage, 0o600); err != nil {
		return err
	}
	cmd := exec.Command(
		npm,
		"install",
		"--no-package-lock",
		"--ignore-scripts",
		"--omit=dev",
		"--no-audit",
		"--no-fund",
		"--loglevel=error",
		"--fetch-retries=1",
		"--fetch-timeout=30000",
	)
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

// run implements redisSide.
func (p *nodePeer) run(op string, n, width int) (time.Duration, int, error) {
	line, err := json.Marshal(task{op, n, width})
	if err != nil {
		return 0, 0, err
	}
	if _, err := p.in.Write(append(line, '\n')); err != nil {
		return 0, 0, fmt.Errorf("redis-sessions: %w", err)
	}
	a, err := p.answer()
	return time.Duration(a.NS), a.Met, err
}

func (p *nodePeer) answer() (a peerAnswer, err error) {
	if !p.out.Scan() {
		return a, errors.Join(errors.New("redis-sessions: its process has ended"), p.out.Err())
	}
	if err := json.Unmarshal(p.out.Bytes(), &a); err != nil {
		return a, fmt.Errorf("redis-sessions: %w", err)
	}
	if a.Error != "" {
		return a, fmt.Errorf("redis-sessions: %s", strings.TrimSpace(a.Error))
	}
	return a, nil
}

func (p *nodePeer) close() error { return errors.Join(p.in.Close(), p.cmd.Wait()) }
