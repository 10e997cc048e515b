package redisstore

import (
	"context"
	"crypto/rand"
	"encoding/base32"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sessionbridge/sessionbridge/store"
)

// membership is a node's life among the others. It consists of terms: in each the node has another name, the same in all shards. A term ends when a shard doesn't
// know the node any more, or may have lost something; the node joins again then, under a new name, because others may be burying the old one, holds everything
// again, and says that changes may have been missed.
type membership struct {
	store    *Store // the node's view of it
	ctx      context.Context
	stop     context.CancelFunc
	ended    chan struct{} // closed when its goroutines have ended
	term     atomic.Pointer[term]
	held     []held    // by shard
	again    []burials // by shard
	answered []instant // by shard: when it last answered
	heard    []instant // by shard: when the node last heard itself
	left     atomic.Bool

	mu      sync.Mutex
	joined  chan struct{} // closed, and another one made, when a term begins
	failure error         // of the last attempt to join

	telling sync.Mutex
	silent  bool // nothing is told any more
	tell    func(store.Change)
}

// instant is a time that is read and written at once. It is monotonic: a clock that is set forward must not make a server look silent.
type instant struct{ at atomic.Pointer[time.Time] }

func (i *instant) now() {
	now := time.Now()
	i.at.Store(&now)
}

func (i *instant) load() time.Time {
	if at := i.at.Load(); at != nil {
		return *at
	}
	return time.Time{}
}

func newMembership(view *Store, tell func(store.Change)) *membership {
	n := len(view.prefixes)
	m := &membership{
		store: view, tell: tell, ended: make(chan struct{}), joined: make(chan struct{}),
		held: make([]held, n), again: make([]burials, n), answered: make([]instant, n), heard: make([]instant, n),
	}
	m.ctx, m.stop = context.WithCancel(view.engine.background.ctx)
	return m
}

// begin lets the node live until stop.
func (m *membership) begin() {
	if !m.store.engine.background.begin(m.live) {
		m.stop()
		close(m.ended)
	}
}

func (m *membership) live() {
	defer close(m.ended)
	before, between := "", pause{}
	for {
		t := m.join(before)
		if t == nil {
			return
		}
		began := time.Now()
		m.publish(t)
		t.run(before != "")
		if before = t.name; time.Since(began) > 10*time.Second {
			between.over()
		}
		if !between.wait(m.ctx) {
			return
		}
	}
}

// join joins the others in all shards, as soon as that is possible; nil: the node has ended.
func (m *membership) join(before string) *term {
	const doing = "joining the other nodes"
	name, between := newName(), pause{}
	calls := make([]call, len(m.store.prefixes))
	for i, prefix := range m.store.prefixes {
		calls[i] = call{&m.store.engine.scripts.join, prefix, []string{name, before}}
	}
	for {
		answers, err := m.store.engine.runAll(m.ctx, doing, calls)
		if err == nil {
			var t *term
			if t, err = newTerm(m, name, answers); err == nil {
				return t
			}
		}
		m.mu.Lock()
		m.failure = err
		m.mu.Unlock()
		if !between.wait(m.ctx) {
			return nil
		}
	}
}

func newName() string {
	var b [5]byte
	_, _ = rand.Read(b[:]) // never fails
	return strings.ToLower(base32.StdEncoding.EncodeToString(b[:]))
}

// nameSize is how long a name is.
const nameSize = 8

// publish makes the term the one that calls go to.
func (m *membership) publish(t *term) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.term.Store(t)
	m.failure = nil
	close(m.joined)
	m.joined = make(chan struct{})
}

// current returns the term, and waits for one until the context ends.
func (m *membership) current(ctx context.Context, doing string) (*term, error) {
	if err := m.store.engine.ready(ctx, doing); err != nil {
		return nil, err
	}
	for {
		m.mu.Lock()
		joined := m.joined
		m.mu.Unlock()
		if m.ctx.Err() != nil {
			return nil, store.ErrClosed
		}
		if t := m.term.Load(); t != nil && t.ctx.Err() == nil {
			return t, nil
		}
		select {
		case <-joined:
		case <-m.ctx.Done():
		case <-ctx.Done():
			return nil, m.outside(ctx, doing)
		}
	}
}

// outside is the error of a call that has waited for the node to join.
func (m *membership) outside(ctx context.Context, doing string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.failure != nil {
		return fmt.Errorf("redisstore: %s: %w; the node hasn't joined the others: %w", doing, context.Cause(ctx), m.failure)
	}
	return fmt.Errorf("redisstore: %s: %w", doing, context.Cause(ctx))
}

// name returns what the node is called; "" as long as it has no name.
func (m *membership) name() string {
	if t := m.term.Load(); t != nil {
		return t.name
	}
	return ""
}

// say tells changes, one at a time.
func (m *membership) say(changes ...store.Change) {
	m.telling.Lock()
	defer m.telling.Unlock()
	for _, c := range changes {
		if !m.silent {
			m.tell(c)
		}
	}
}

// silence has nothing told when it has returned.
func (m *membership) silence() {
	m.telling.Lock()
	defer m.telling.Unlock()
	m.silent = true
}
