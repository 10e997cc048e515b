package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/redis/rueidis"
)

// redisServer is a redis-server of our own, which keeps nothing on disk.
type redisServer struct {
	process *exec.Cmd
	client  rueidis.Client // for questions about it
	dir     string
	port    int
}

func startRedis() (*redisServer, error) {
	path, err := exec.LookPath("redis-server")
	if err != nil {
		return nil, absent("no redis-server here")
	}
	dir, err := os.MkdirTemp("", "sessionbridge-bench-")
	if err != nil {
		return nil, err
	}
	s := &redisServer{dir: dir}
	for range 5 { // somebody else may take the port meanwhile
		if err = s.start(path); err == nil {
			return s, nil
		}
	}
	return nil, errors.Join(err, s.close())
}

func (s *redisServer) start(path string) error {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	s.port = l.Addr().(*net.TCPAddr).Port //nolint:forcetypeassert // it listens with TCP
	if err := l.Close(); err != nil {
		return err
	}
	s.process = exec.Command(path, "--port", strconv.Itoa(s.port), "--bind", "127.0.0.1", "--dir", s.dir,
		"--logfile", filepath.Join(s.dir, "log"), "--save", "", "--appendonly", "no", "--daemonize", "no")
	if err := s.process.Start(); err != nil {
		s.process = nil
		return err
	}
	for deadline := time.Now().Add(patience); ; time.Sleep(10 * time.Millisecond) {
		s.client, err = rueidis.NewClient(
			rueidis.ClientOption{InitAddress: []string{s.addr()}, ForceSingleClient: true, DisableCache: true},
		)
		if err == nil {
			return nil
		}
		if time.Now().After(deadline) {
			log, _ := os.ReadFile(filepath.Join(s.dir, "log"))
			return errors.Join(fmt.Errorf("redis-server doesn't answer: %w\n%s", err, log), s.stop())
		}
	}
}

func (s *redisServer) addr() string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(s.port)) }

func (s *redisServer) url() string { return "redis://" + s.addr() }

func (s *redisServer) do(command ...string) (string, error) {
	return s.client.Do(context.Background(), s.client.B().Arbitrary(command...).Build()).ToString()
}

// field returns a number that INFO has.
func (s *redisServer) field(section, name string) (int, error) {
	info, err := s.do("INFO", section)
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(info) {
		if value, ok := strings.CutPrefix(strings.TrimSpace(line), name+":"); ok {
			return strconv.Atoi(value)
		}
	}
	return 0, fmt.Errorf("INFO has no %s", name)
}

// calls returns how often each command was called since the last time, by clients and by scripts.
func (s *redisServer) calls() (map[string]int, error) {
	info, err := s.do("INFO", "commandstats")
	if err != nil {
		return nil, err
	}
	calls := map[string]int{}
	for line := range strings.Lines(info) {
		name, value, ok := strings.Cut(strings.TrimPrefix(line, "cmdstat_"), ":calls=")
		if !ok {
			continue
		}
		value, _, _ = strings.Cut(value, ",")
		if calls[name], err = strconv.Atoi(value); err != nil {
			return nil, err
		}
	}
	_, err = s.do("CONFIG", "RESETSTAT")
	return calls, err
}

func (s *redisServer) stop() error {
	if s.client != nil {
		s.client.Close()
		s.client = nil
	}
	if s.process == nil {
		return nil
	}
	err := s.process.Process.Kill()
	_ = s.process.Wait() // killed
	s.process = nil
	return err
}

func (s *redisServer) close() error { return errors.Join(s.stop(), os.RemoveAll(s.dir)) }
