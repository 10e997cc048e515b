package membership

import (
	"context"
	"crypto/rand"
	"encoding/base32"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sessionbridge/sessionbridge/internal/background"
	"github.com/sessionbridge/sessionbridge/redisstore/internal/conn"
	"github.com/sessionbridge/sessionbridge/redisstore/internal/scripts"
	"github.com/sessionbridge/sessionbridge/store"
)

// Config is what a Member needs. All fields are required.
type Config struct {
	Conn       *conn.Conn
	Scripts    *scripts.Scripts
	Background *background.Group  // runs the member; its end is the member's
	Prefixes   []string           // the key prefix of each shard
	OnChange   func(store.Change) // is called for each change, one at a time
}

// Member is a node among others. Start makes one. It is safe for concurrent use.
type Member struct {
	conn     *conn.Conn
	scripts  *scripts.Scripts
	prefixes []string

	ctx          context.Context
	cancel       context.CancelFunc
	ended        chan struct{} // closed when all goroutines have ended
	deregistered atomic.Bool

	term    atomic.Pointer[term]
	changes notifier

	// By shard:
	held       []held
	tombstones []tombstones
	answered   []instant // when Redis last replied
	heard      []instant // when the node last received its own message
	joinedAs   []string  // the name of the last term in which the node has joined; for the shard's goroutine only

	mu      sync.Mutex
	started chan struct{} // closed and replaced when a term starts
	failure error         // of the last attempt to join a shard
	recent  []string      // names under which the last terms have joined a shard
}

// namesKept is how many names Leave removes. Of earlier ones the leases have expired.
const namesKept = 4

// Start starts a member. It joins in the background.
func Start(c Config) *Member {
	n := len(c.Prefixes)
	m := &Member{
		conn: c.Conn, scripts: c.Scripts, prefixes: c.Prefixes, changes: notifier{onChange: c.OnChange},
		ended: make(chan struct{}), started: make(chan struct{}),
		held: make([]held, n), tombstones: make([]tombstones, n),
		answered: make([]instant, n), heard: make([]instant, n), joinedAs: make([]string, n),
	}
	m.ctx, m.cancel = context.WithCancel(c.Background.Context())
	if !c.Background.Go(m.run) {
		m.cancel()
		close(m.ended)
	}
	return m
}

// run runs one term after the other.
func (m *Member) run() {
	defer close(m.ended)
	backoff := background.Backoff{}
	for {
		t := newTerm(m, NewName())
		began := time.Now()
		m.publish(t)
		t.run()
		backoff.Worked(began)
		if !backoff.Wait(m.ctx) {
			return
		}
	}
}

// nameSize is the length of a name.
const nameSize = 8

// NewName returns a random name of 8 characters.
func NewName() string {
	var b [5]byte
	_, _ = rand.Read(b[:]) // never fails
	return strings.ToLower(base32.StdEncoding.EncodeToString(b[:]))
}

// publish makes t the current term.
func (m *Member) publish(t *term) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.term.Store(t)
	close(m.started)
	m.started = make(chan struct{})
}

// joined records the result of an attempt to join a shard under a name.
func (m *Member) joined(name string, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.failure = err
	if err != nil || slices.Contains(m.recent, name) {
		return
	}
	if len(m.recent) == namesKept {
		m.recent = slices.Delete(m.recent, 0, 1)
	}
	m.recent = append(m.recent, name)
}

// usedNames returns the names that Redis may still know. Under the current one the reply to the
// request to join may be lost.
func (m *Member) usedNames() []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	names := slices.Clone(m.recent)
	if t := m.term.Load(); t != nil && !slices.Contains(names, t.name) {
		names = append(names, t.name)
	}
	return names
}

// current returns the current term, and waits for one until the context ends. Its shards may not
// have joined yet.
func (m *Member) current(ctx context.Context, doing string) (*term, error) {
	if err := m.conn.Ready(ctx, doing); err != nil {
		return nil, err
	}
	for {
		m.mu.Lock()
		started := m.started
		m.mu.Unlock()
		if m.ctx.Err() != nil {
			return nil, store.ErrClosed
		}
		if t := m.term.Load(); t != nil && t.ctx.Err() == nil {
			return t, nil
		}
		select {
		case <-started:
		case <-m.ctx.Done():
		case <-ctx.Done():
			return nil, m.notJoined(ctx, doing)
		}
	}
}

// notJoined returns the error of a call whose context has ended while it waited for the node to
// join.
func (m *Member) notJoined(ctx context.Context, doing string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.failure != nil {
		return fmt.Errorf(
			"redisstore: %s: %w; the node hasn't joined the others: %w",
			doing,
			context.Cause(ctx),
			m.failure,
		)
	}
	return fmt.Errorf("redisstore: %s: %w", doing, context.Cause(ctx))
}

// Name returns the name in the current term, "" before the first.
func (m *Member) Name() string {
	if t := m.term.Load(); t != nil {
		return t.name
	}
	return ""
}
