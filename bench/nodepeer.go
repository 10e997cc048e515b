package main

import (
	"bufio"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"strconv"
	"strings"
	"time"
)

//go:embed peers/redissessions
var redisSessionsFiles embed.FS

// redisSessions is the peer of the rows of redis/, in the version that package.json has.
var redisSessions = nodePackage{"redis-sessions-4.0.0", "redis-sessions", redisSessionsFiles}

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
	cmd, err := redisSessions.command(progress, "peer.js",
		strconv.Itoa(port), strconv.Itoa(perUser), strconv.Itoa(len(sessionData)))
	if err != nil {
		return nil, err
	}
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
