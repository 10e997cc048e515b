package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/sessionbridge/sessionbridge/pgstore"
)

// postgresServer is a PostgreSQL of our own, which writes to the disk as it does by default.
type postgresServer struct {
	programs string
	dir      string
	port     int
	running  bool
	preload  string // a library for the server
}

// startPostgres starts one. Each of its syncs takes so much longer than the disk takes.
func startPostgres(longer time.Duration) (*postgresServer, error) {
	paths, _ := filepath.Glob("/usr/lib/postgresql/*/bin/initdb")
	if path, err := exec.LookPath("initdb"); err == nil {
		paths = append(paths, path)
	}
	if len(paths) == 0 {
		return nil, absent("no PostgreSQL here")
	}
	dir, err := os.MkdirTemp("", "sessionbridge-bench-")
	if err != nil {
		return nil, err
	}
	path, err := filepath.EvalSymlinks(slices.MaxFunc(paths, func(a, b string) int { return len(a) - len(b) }))
	if err != nil {
		return nil, err
	}
	s := &postgresServer{programs: filepath.Dir(path), dir: dir}
	if longer > 0 {
		s.preload, err = buildSlowDisk(dir, longer)
	}
	if err == nil {
		err = s.start()
	}
	if err != nil {
		return nil, errors.Join(err, s.close())
	}
	return s, nil
}

func (s *postgresServer) start() (err error) {
	if os.Geteuid() == 0 { // PostgreSQL refuses to run as root
		if out, err := exec.Command("chown", "postgres", s.dir).CombinedOutput(); err != nil { //nolint:gosec // our folder
			return fmt.Errorf("chown: %w: %s", err, out)
		}
	}
	data := filepath.Join(s.dir, "data")
	err = s.run("initdb", "--pgdata="+data, "--username=postgres", "--auth=trust", "--locale=C", "--encoding=UTF8")
	if err != nil {
		return err
	}
	for range 5 { // another process may take the port meanwhile
		if s.port, err = freePort(); err != nil {
			return err
		}
		options := "-c listen_addresses=127.0.0.1 -c unix_socket_directories= -c port=" + strconv.Itoa(s.port)
		err = s.run("pg_ctl", "start", "--wait", "--pgdata="+data, "--log="+filepath.Join(s.dir, "log"), "--options="+options)
		if err == nil {
			s.running = true
			return nil
		}
	}
	return err
}

func (s *postgresServer) run(name string, args ...string) error {
	command := append([]string{filepath.Join(s.programs, name)}, args...)
	if os.Geteuid() == 0 {
		command = append([]string{"runuser", "-u", "postgres", "--"}, command...)
	}
	cmd := exec.Command(command[0], command[1:]...) //nolint:gosec // a program of PostgreSQL
	cmd.Dir = s.dir
	if s.preload != "" && name == "pg_ctl" {
		cmd.Env = append(os.Environ(), "LD_PRELOAD="+s.preload)
	}
	output, err := os.CreateTemp(s.dir, "output") // not a pipe, which the server would keep open
	if err != nil {
		return err
	}
	defer func() { _ = output.Close() }()
	cmd.Stdout, cmd.Stderr = output, output
	if err := cmd.Run(); err != nil {
		text, _ := os.ReadFile(output.Name())
		return fmt.Errorf("%s: %w: %s", name, err, text)
	}
	return nil
}

func (s *postgresServer) url() string {
	return fmt.Sprintf("postgres://postgres@127.0.0.1:%d/postgres?pool_max_conns=%d", s.port, postgresConns)
}

func (s *postgresServer) pool() (*pgxpool.Pool, error) {
	return pgxpool.New(context.Background(), s.url())
}

// store opens a store in a schema of its own.
func (s *postgresServer) store(schema string) (*pgstore.Store, error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	return pgstore.Open(ctx, s.url(), &pgstore.Options{Schema: schema, Timeout: patience})
}

func (s *postgresServer) close() error {
	var err error
	if s.running {
		err = s.run("pg_ctl", "stop", "--wait", "--mode=immediate", "--pgdata="+filepath.Join(s.dir, "data"))
	}
	return errors.Join(err, os.RemoveAll(s.dir))
}
