package redisstore

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"

	"github.com/redis/rueidis"

	"github.com/sessionbridge/sessionbridge/store"
)

// term is a node's life under one name.
type term struct {
	member   *membership
	name     string
	ctx      context.Context // ends with the term
	lose     context.CancelFunc
	shards   []*shard
	settling atomic.Int32 // how many shards don't hold everything again yet, of those that can be reached
	again    atomic.Bool  // what may have been missed is still to be said
	work     sync.WaitGroup
}

// shard is what a node does in one of the shards during a term. It listens in one goroutine, reads what it is told in another, and says in a third what it holds.
type shard struct {
	term   *term
	number int
	prefix string
	server string // that it has joined at
	last   string // entry that it has read
	late   bool   // it couldn't be reached when the term began

	wake      chan struct{} // there is something in the inbox
	listening chan struct{} // messages arrive from now on
	hints     chan string   // members of sessions that were stored
	requests  chan *request
	dead      chan string // nodes to be buried
}

// hintsAtOnce is how many hints may wait to be told; of more some are lost.
const hintsAtOnce = 1024

func newTerm(m *membership, name string) *term {
	t := &term{member: m, name: name}
	for i, prefix := range m.store.prefixes {
		t.shards = append(t.shards, &shard{
			term: t, number: i, prefix: prefix,
			wake: make(chan struct{}, 1), listening: make(chan struct{}, 1), hints: make(chan string, hintsAtOnce),
			requests: make(chan *request), dead: make(chan string, 1),
		})
	}
	t.ctx, t.lose = context.WithCancel(m.ctx)
	t.settling.Store(int32(len(t.shards))) //nolint:gosec // few
	return t
}

// run returns when the term is over.
func (t *term) run() {
	for _, s := range t.shards {
		t.work.Go(s.live)
	}
	t.work.Wait()
	t.lose()
}

// live is a shard's part of the term: one that can't be reached keeps no other waiting.
func (s *shard) live() {
	again, ok := s.join()
	if !ok {
		return
	}
	s.term.work.Go(s.listen)
	s.term.work.Go(s.read)
	s.serve(again)
}

// join joins the others, as soon as that is possible; false: the term is over. again: it isn't the node's first time here, and what it held under its name before is to be forgotten.
func (s *shard) join() (again, ok bool) {
	const doing = "joining the other nodes"
	m, between := s.term.member, pause{}
	before := m.joinedAs[s.number]
	for {
		answer, err := m.store.engine.run(s.term.ctx, doing, call{&m.store.engine.scripts.join, s.prefix, []string{s.term.name, before}})
		if err == nil {
			err = s.begin(doing, answer)
		}
		m.tried(err)
		if err == nil {
			if before != "" {
				s.dead <- before // which has room for one
			}
			return before != "", true
		}
		if !s.late {
			s.late = true
			s.settled(false)
		}
		if !between.wait(s.term.ctx) {
			return false, false
		}
	}
}

// begin begins with what the script join has answered.
func (s *shard) begin(doing string, answer rueidis.RedisMessage) error {
	fields, err := texts(doing, answer)
	if err != nil {
		return err
	}
	if len(fields) != 2 {
		return damaged(doing, errAnswer)
	}
	m := s.term.member
	s.last, s.server = fields[0], fields[1]
	m.joinedAs[s.number] = s.term.name
	m.answered[s.number].now()
	if s.late {
		s.term.settling.Add(1)
	}
	return nil
}

// settled is called when the shard holds everything again, or can't be reached. That something may have been missed is said when that is so of all shards, and once more for
// one that comes later.
func (s *shard) settled(again bool) {
	if again {
		s.term.again.Store(true)
	}
	if s.term.settling.Add(-1) == 0 && s.term.again.Swap(false) {
		s.term.member.say(store.Change{Kind: store.ChangeMissed})
	}
}

// errLost: the node isn't known in the shard any more.
var errLost = errors.New("redisstore: the node has to join again")

// signal wakes who waits at the channel, or will.
func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
