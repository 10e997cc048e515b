package pgstore_test

import (
	"context"
	"crypto/rand"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/internal/pgtest"
	"github.com/sessionbridge/sessionbridge/store"
)

// newRecord returns a new record of the user ada, seen now.
func newRecord(changes ...func(*store.Record)) store.Record {
	now := time.Now().UTC().Truncate(time.Millisecond)
	rec := store.Record{
		ID: uuid.NewString(), ClientID: uuid.NewString(), UserID: "ada", Data: []byte(`{"n":0}`), TokenGeneration: 1,
		Created: now, Seen: now, Expires: now.Add(time.Hour), Idle: time.Hour, WriteID: store.WriteID(uuid.New()),
	}
	_, _ = rand.Read(rec.TokenHash[:])
	for _, change := range changes {
		change(&rec)
	}
	return rec
}

func create(t testing.TB, st store.Store, changes ...func(*store.Record)) store.Record {
	t.Helper()
	rec := newRecord(changes...)
	revision, err := st.Set(t.Context(), rec)
	require.NoError(t, err)
	rec.Revision = revision
	return rec
}

// peer is a node that records the changes that it is notified of.
type peer struct {
	store.Node
	t *testing.T

	mu      sync.Mutex
	changes []store.Change
	arrived chan struct{}
}

// watch returns a node that has joined. It leaves at the end of the test.
func watch(t *testing.T, st store.Watcher) *peer {
	t.Helper()
	p := &peer{t: t, arrived: make(chan struct{}, 1)}
	p.Node = st.Watch(func(c store.Change) {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.changes = append(p.changes, c)
		select {
		case p.arrived <- struct{}{}:
		default:
		}
	})
	t.Cleanup(func() { _ = p.Leave(context.WithoutCancel(t.Context())) }) // the server may be gone
	p.hold("no session", "")
	return p
}

func (p *peer) hold(sessionID, clientID string) {
	p.t.Helper()
	require.NoError(p.t, p.Hold(p.t.Context(), sessionID, clientID))
}

// expect waits for a change, and drops those before it.
func (p *peer) expect(want store.Change) {
	p.t.Helper()
	deadline := time.After(patience)
	for {
		p.mu.Lock()
		for i, c := range p.changes {
			if c.Kind == want.Kind && c.ID == want.ID {
				require.Equal(p.t, want, c)
				p.changes = p.changes[i+1:]
				p.mu.Unlock()
				return
			}
		}
		p.mu.Unlock()
		select {
		case <-p.arrived:
		case <-deadline:
			require.FailNow(p.t, "the change is not reported", "%+v", want)
		}
	}
}

// heard waits until the node has received a notification of its own.
func (p *peer) heard() {
	p.t.Helper()
	since := time.Now()
	require.Eventually(p.t, func() bool { return p.Contact().Heard.After(since) }, patience, tick)
}

// connectTo returns a pool of the test's own.
func connectTo(t *testing.T, s *pgtest.Server) *pgxpool.Pool {
	t.Helper()
	pool, err := pgxpool.New(t.Context(), s.URL())
	require.NoError(t, err)
	t.Cleanup(pool.Close)
	return pool
}
