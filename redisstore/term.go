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
	settling atomic.Int32 // how many shards don't hold everything again yet
	work     sync.WaitGroup
}

// shard is what a node does in one of the shards during a term. It listens in one goroutine, reads what it is told in another, and says in a third what it holds.
type shard struct {
	term   *term
	number int
	prefix string
	server string // that it has joined at
	last   string // entry that it has read

	wake      chan struct{} // there is something in the inbox
	listening chan struct{} // messages arrive from now on
	hints     chan string   // members of sessions that were stored
	requests  chan *request
	dead      chan string // nodes to be buried
}

// hintsAtOnce is how many hints may wait to be told; of more some are lost.
const hintsAtOnce = 1024

// newTerm makes a term of what the script join has answered.
func newTerm(m *membership, name string, answers []rueidis.RedisMessage) (*term, error) {
	t := &term{member: m, name: name}
	for i, answer := range answers {
		fields, err := texts("join", answer)
		if err != nil {
			return nil, err
		}
		if len(fields) != 2 {
			return nil, damaged("join", errAnswer)
		}
		t.shards = append(t.shards, &shard{
			term: t, number: i, prefix: m.store.prefixes[i], last: fields[0], server: fields[1],
			wake: make(chan struct{}, 1), listening: make(chan struct{}, 1), hints: make(chan string, hintsAtOnce),
			requests: make(chan *request), dead: make(chan string, 1),
		})
		m.answered[i].now()
	}
	t.ctx, t.lose = context.WithCancel(m.ctx)
	t.settling.Store(int32(len(t.shards))) //nolint:gosec // few
	return t, nil
}

// run returns when the term is over. again: it isn't the first.
func (t *term) run(again bool) {
	for _, s := range t.shards {
		t.work.Go(s.listen)
		t.work.Go(s.read)
		t.work.Go(func() { s.serve(again) })
	}
	t.work.Wait()
	t.lose()
}

// settled is called by each shard when it holds everything again.
func (t *term) settled(again bool) {
	if t.settling.Add(-1) == 0 && again {
		t.member.say(store.Change{Kind: store.ChangeMissed})
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
