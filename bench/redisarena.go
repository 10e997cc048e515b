package main

import (
	"errors"
	"fmt"
	"io"
)

// redisArena is a Redis that ours and the peer use in turn, each on an empty one, and what they
// need for it. It is started when it is needed first.
type redisArena struct {
	quick    bool
	progress io.Writer
	server   *redisServer
	sides    map[string]redisSide // by name, once they are open
}

func (a *redisArena) prepare(quick bool, progress io.Writer) { a.quick, a.progress = quick, progress }

func (a *redisArena) close() (err error) {
	for _, s := range a.sides {
		err = errors.Join(err, s.close())
	}
	if a.server != nil {
		err = errors.Join(err, a.server.close())
	}
	a.sides, a.server = nil, nil
	return err
}

// open returns ours or the peer, which stay open.
func (a *redisArena) open(name string) (s redisSide, err error) {
	if a.server == nil {
		if a.server, err = startRedis(); err != nil {
			return nil, err
		}
		a.sides = map[string]redisSide{}
	}
	if s, ok := a.sides[name]; ok {
		return s, nil
	}
	switch name {
	case oursName:
		s, err = openOursInRedis(a.server.url())
	default:
		s, err = startPeer(a.server.port, a.progress)
	}
	if err != nil {
		return nil, err
	}
	a.sides[name] = s
	return s, a.warmUp(s)
}

// warmUp does everything once: a process of node has to find out what is worth compiling.
func (a *redisArena) warmUp(s redisSide) error {
	for _, measure := range []func(*redisRound) sample{life, ofUsers, questionsAboutAll} {
		if _, err := a.measured(s, a.sessions()/5, measure); err != nil {
			return err
		}
	}
	return nil
}

// measured is one turn of the side, beginning and ending without sessions.
func (a *redisArena) measured(s redisSide, sessions int, measure func(*redisRound) sample) (sample, error) {
	r := &redisRound{side: s, server: a.server, sessions: sessions}
	got := measure(r)
	_, err := a.server.do("FLUSHALL")
	return got, errors.Join(r.err, err)
}

func (a *redisArena) sessions() int {
	if a.quick {
		return 200
	}
	return 10_000
}

// side is one of the two, and how it is measured.
func (a *redisArena) side(name string, measure func(*redisRound) sample) side {
	return side{name, func() (*subject, error) {
		s, err := a.open(name)
		if err != nil {
			return nil, err
		}
		return &subject{
			measure: func(bool) (sample, error) { return a.measured(s, a.sessions(), measure) },
			close:   func() error { return nil },
		}, nil
	}}
}

// redisRound is one turn of a side. After the first error it does nothing any more.
type redisRound struct {
	side     redisSide
	server   *redisServer
	sessions int
	err      error
}

// took returns the nanoseconds that n operations took together, which are to meet as many sessions.
func (r *redisRound) took(op string, n, width, meet int) float64 {
	if r.err != nil {
		return 0
	}
	took, met, err := r.side.run(op, n, width)
	if err == nil {
		err = same("sessions met", met, meet)
	}
	if err != nil {
		r.err = fmt.Errorf("%s: %w", op, err)
	}
	return float64(took)
}

// rate returns how many operations there are in a second, with 64 under way, if each is to meet so
// many sessions.
func (r *redisRound) rate(op string, n, meet int) float64 {
	return float64(n) / r.took(op, n, redisWidth, n*meet) * 1e9
}

// memory returns what Redis has in memory.
func (r *redisRound) memory() float64 {
	n, err := r.server.field("memory", "used_memory")
	r.err = errors.Join(r.err, err)
	return float64(n)
}
