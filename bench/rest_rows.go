package main

import (
	"errors"
	"fmt"
	"io"
	"time"
)

// restGroups compare the REST API over Redis with rest-sessions, on one redis-server: opening a session
// with its token, over connections that stay open, to servers on this machine.
func restGroups() []group {
	a := &restArena{}
	return []group{{
		name: "rest/get, 64 in flight", ours: side{"REST", a.ours}, peer: side{"rest-sessions", a.peer},
		rows: []row{{"", getRate, timesBetter(4)}}, rounds: 5, fixture: a,
	}}
}

// restArena is a Redis that both sides use.
type restArena struct {
	quick    bool
	progress io.Writer
	redis    *redisServer
}

func (a *restArena) prepare(quick bool, progress io.Writer) { a.quick, a.progress = quick, progress }

func (a *restArena) close() error {
	if a.redis == nil {
		return nil
	}
	redis := a.redis
	a.redis = nil
	return redis.close()
}

// start starts the Redis when it is needed first.
func (a *restArena) start() (err error) {
	if a.redis == nil {
		a.redis, err = startRedis()
	}
	return err
}

func (a *restArena) sessions() int {
	if a.quick {
		return 100
	}
	return 2000
}

// restServer is a side while it serves.
type restServer struct {
	addr  string
	gets  [][]byte // a request for each session, which is answered with its values
	close func() error
}

// subject measures how many requests the server answers in a second.
func (a *restArena) subject(s *restServer) (*subject, error) {
	measure := func(times int) (sample, error) {
		n := times * len(s.gets)
		began := time.Now()
		err := sendAll(s.addr, redisWidth, n, func(i int) []byte { return s.gets[i*7919%len(s.gets)] })
		return sample{getRate: float64(n) / time.Since(began).Seconds()}, err
	}
	if _, err := measure(2); err != nil { // a process of node has to find out what is worth compiling
		return nil, errors.Join(fmt.Errorf("warming up: %w", err), s.close())
	}
	return &subject{measure: func(bool) (sample, error) { return measure(10) }, close: s.close}, nil
}
