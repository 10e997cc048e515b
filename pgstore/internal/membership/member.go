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

	"github.com/jackc/pgx/v5"

	"github.com/sessionbridge/sessionbridge/internal/background"
	"github.com/sessionbridge/sessionbridge/pgstore/internal/conn"
	"github.com/sessionbridge/sessionbridge/store"
)

// Config is what a Member needs. All fields but Listen are required.
type Config struct {
	Conn       *conn.Conn
	Background *background.Group // runs the member; its end is the member's
	Waker      *Waker
	Listen     *pgx.ConnConfig    // of the connection for notifications; nil: that of Conn's pool
	Schema     string             // quoted
	App        string             // whose sessions the node holds
	OnChange   func(store.Change) // is called for each change, one at a time
}

// Member is a node among others. Start makes one. It is safe for concurrent use.
type Member struct {
	conn       *conn.Conn
	waker      *Waker
	listen     *pgx.ConnConfig // nil: that of the pool
	app        string
	statements statements

	ctx          context.Context
	cancel       context.CancelFunc
	ended        chan struct{} // closed when all goroutines have ended
	deregistered atomic.Bool

	term     atomic.Pointer[term]
	changes  notifier
	held     held
	answered instant // when PostgreSQL last replied
	heard    instant // when the node last received its own notification

	mu      sync.Mutex
	started chan struct{} // closed and replaced when a term starts
	failure error         // of the last attempt to join
	recent  []string      // names under which the last terms have joined
}

// namesKept is how many names Leave removes. Of earlier ones the leases have expired.
const namesKept = 4

// Start starts a member. It joins in the background.
func Start(c Config) *Member {
	m := &Member{
		conn: c.Conn, waker: c.Waker, listen: c.Listen, app: c.App, statements: newStatements(c.Schema),
		changes: notifier{onChange: c.OnChange}, ended: make(chan struct{}), started: make(chan struct{}),
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
	backoff, again := background.Backoff{}, false
	for {
		t := newTerm(m, newName())
		began := time.Now()
		m.publish(t)
		again = t.run(again) || again
		backoff.Worked(began)
		if !backoff.Wait(m.ctx) {
			return
		}
	}
}

// newName returns a random name of 8 characters.
func newName() string {
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

// joined records the result of an attempt to join under a name.
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

// usedNames returns the names that the server may still know. Under the current one the reply to the
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

// current returns the current term, and waits for one until the context ends. It may not have joined
// yet.
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

// notJoined returns the error of a call whose context has ended while it waited for the node to join.
func (m *Member) notJoined(ctx context.Context, doing string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.failure != nil {
		return fmt.Errorf("pgstore: %s: %w; the node hasn't joined the others: %w", doing, context.Cause(ctx), m.failure)
	}
	return fmt.Errorf("pgstore: %s: %w", doing, context.Cause(ctx))
}

// Name returns the name in the current term, "" before the first.
func (m *Member) Name() string {
	if t := m.term.Load(); t != nil {
		return t.name
	}
	return ""
}

// Contact implements store.Node.
func (m *Member) Contact() store.Contact {
	answered := m.answered.load()
	return store.Contact{Answered: answered, Reached: answered, Heard: m.heard.load()}
}

// SessionEnded is called when a session was removed through the node.
func (m *Member) SessionEnded(id string) { m.held.remove(item{kindSession, id}) }

// Leave implements store.Node. If the context ends first, or PostgreSQL is unreachable, it returns an
// error; the member has stopped nevertheless.
func (m *Member) Leave(ctx context.Context) error {
	const doing = "leave"
	m.changes.stop()
	m.cancel()
	select {
	case <-m.ended:
	case <-ctx.Done():
		return fmt.Errorf("pgstore: %s: %w", doing, context.Cause(ctx))
	}
	if m.deregistered.Load() {
		return nil
	}
	err := m.conn.Exec(ctx, doing, m.statements.remove, m.usedNames())
	if err != nil && m.conn.Ready(ctx, doing) == nil {
		return err
	}
	m.deregistered.Store(true)
	return nil
}
