package logins_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/internal/gateway"
	"github.com/sessionbridge/sessionbridge/internal/logins"
	"github.com/sessionbridge/sessionbridge/livestore"
	"github.com/sessionbridge/sessionbridge/store"
)

// errDown is the error of a store that is down.
var errDown = errors.New("down")

// hooked is a store that other processes could use, too: it ends a session only at a revision. A
// hook runs before the operation of its name, which fails with its error.
type hooked struct {
	*livestore.Store

	mu    sync.Mutex
	hooks map[string]func(ctx context.Context, id string) error
}

func newHooked() *hooked {
	return &hooked{Store: livestore.New(), hooks: make(map[string]func(context.Context, string) error)}
}

func (h *hooked) on(operation string, hook func(ctx context.Context, id string) error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.hooks[operation] = hook
}

func (h *hooked) run(ctx context.Context, operation, id string) error {
	h.mu.Lock()
	hook := h.hooks[operation]
	h.mu.Unlock()
	if hook == nil {
		return nil
	}
	return hook(ctx, id)
}

func (h *hooked) Get(ctx context.Context, id string) (store.Record, error) {
	if err := h.run(ctx, "Get", id); err != nil {
		return store.Record{}, err
	}
	return h.Store.Get(ctx, id)
}

func (h *hooked) Set(ctx context.Context, rec store.Record) (uint64, error) {
	if err := h.run(ctx, "Set", rec.ID); err != nil {
		return 0, err
	}
	return h.Store.Set(ctx, rec)
}

func (h *hooked) End(ctx context.Context, id, _ string, revision uint64) (bool, error) {
	if err := h.run(ctx, "End", id); err != nil {
		return false, err
	}
	if rec, err := h.Store.Get(ctx, id); err == nil && revision != 0 && rec.Revision != revision {
		return false, store.ErrConflict
	}
	return h.Destroy(ctx, id)
}

func (h *hooked) ByUser(ctx context.Context, userID string) iter.Seq2[store.Record, error] {
	return func(yield func(store.Record, error) bool) {
		for rec, err := range h.Store.ByUser(ctx, userID) {
			if err == nil {
				err = h.run(ctx, "ByUser", rec.ID)
			}
			if !yield(rec, err) {
				return
			}
		}
	}
}

func (h *hooked) SurplusByClient(ctx context.Context, clientID string, keep, n int) ([]string, error) {
	if err := h.run(ctx, "SurplusByClient", clientID); err != nil {
		return nil, err
	}
	return h.Store.SurplusByClient(ctx, clientID, keep, n)
}

// change changes the stored session as another process does.
func (h *hooked) change(t testing.TB, id string, do func(*store.Record)) {
	t.Helper()
	rec, err := h.Store.Get(t.Context(), id)
	require.NoError(t, err)
	do(&rec)
	_, err = h.Store.Set(t.Context(), rec)
	require.NoError(t, err)
}

// locker is a hooked store that is a store.UserLocker.
type locker struct {
	*hooked

	locks  sync.Mutex
	locked map[string]int
}

func newLocker() *locker { return &locker{hooked: newHooked(), locked: make(map[string]int)} }

func (l *locker) LockUser(ctx context.Context, userID string) (func(context.Context) error, error) {
	if err := l.run(ctx, "LockUser", userID); err != nil {
		return nil, err
	}
	l.add(userID, 1)
	return func(ctx context.Context) error {
		l.add(userID, -1)
		return l.run(ctx, "unlock", userID)
	}, nil
}

func (l *locker) add(userID string, n int) {
	l.locks.Lock()
	defer l.locks.Unlock()
	l.locked[userID] += n
}

func (l *locker) Set(ctx context.Context, rec store.Record) (uint64, error) {
	l.locks.Lock()
	defer l.locks.Unlock()
	if l.locked[rec.UserID] > 0 {
		return 0, store.ErrBusy
	}
	return l.hooked.Set(ctx, rec)
}

// node is a process on a store.
type node struct {
	*gateway.Gateway
	gate *logins.Gate

	mu   sync.Mutex
	ends map[string]any // the tags of ends, by session
	told atomic.Int64   // ends whose Later has run
}

const storeTimeout = 5 * time.Second

func newNode(st store.Store) *node {
	n := &node{gate: logins.NewGate(), ends: make(map[string]any)}
	n.Gateway = gateway.New(st, gateway.Config{
		TouchInterval: time.Minute,
		StoreTimeout:  storeTimeout,
		Committed:     func(gateway.Commit) {},
		Ended: func(e gateway.End) {
			n.mu.Lock()
			defer n.mu.Unlock()
			if e.Found {
				n.ends[e.ID] = e.Tag
				e.Later.Add(func() { n.told.Add(1) })
			}
		},
		Reason:  func(any) string { return "" },
		Watched: func() bool { return false },
		Doubted: func(string) {},
		Failed:  func(context.Context, string, string, error) {},
		Gate:    n.gate,
	})
	return n
}

// ended returns the sessions whose end was reported with the tag.
func (n *node) ended(tag any) (ids []string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for id, by := range n.ends {
		if by == tag {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	return ids
}

var tokens atomic.Uint64

// draft returns a draft of the session that logs the user in; "" for none, in a new session.
func (n *node) draft(ctx context.Context, id, userID string) (*gateway.Draft, error) {
	rec, err := n.Load(ctx, id)
	switch {
	case errors.Is(err, gateway.ErrMissing):
		rec = store.Record{
			ID: id, ClientID: "client", TokenGeneration: 1, Data: []byte("{}"), Created: gateway.Now(), Idle: time.Hour,
		}
	case err != nil:
		return nil, err
	}
	d, err := gateway.NewDraft(rec)
	if err != nil {
		return nil, err
	}
	if userID == "" {
		d.Set("guest", true)
		return d, nil
	}
	hash := store.TokenHash(fmt.Appendf(nil, "%032d", tokens.Add(1)))
	d.ReplaceToken(hash, rec.TokenGeneration, &gateway.Login{UserID: userID})
	return d, nil
}

// login creates the session if it doesn't exist, and logs the user in; "" for none.
func (n *node) login(ctx context.Context, id, userID string) error {
	d, err := n.draft(ctx, id, userID)
	if err != nil {
		return err
	}
	return n.Commit(ctx, d, "login")
}

func (n *node) loginAll(t testing.TB, userID string, ids ...string) {
	t.Helper()
	for _, id := range ids {
		require.NoError(t, n.login(t.Context(), id, userID))
	}
}

// outcome is what a bulk destroy returns.
type outcome struct {
	n   int
	err error
}

func (n *node) destroyUser(ctx context.Context, userID string, except ...string) <-chan outcome {
	done := make(chan outcome, 1)
	go func() {
		count, err := n.gate.DestroyUser(ctx, n.Gateway, userID, except, "bulk")
		done <- outcome{count, err}
	}()
	return done
}

// stored returns the sorted IDs of the stored sessions.
func stored(t testing.TB, st store.Lister) []string {
	t.Helper()
	found := map[string]bool{}
	for rec, err := range st.List(t.Context()) {
		require.NoError(t, err)
		found[rec.ID] = true
	}
	return slices.Sorted(maps.Keys(found))
}

// names returns s00, s01 and so on.
func names(n int) (ids []string) {
	for i := range n {
		ids = append(ids, fmt.Sprintf("s%02d", i))
	}
	return ids
}
