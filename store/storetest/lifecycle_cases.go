package storetest

import (
	"context"
	"io"
	"iter"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/store"
)

func namespaceCases() []testCase {
	return []testCase{
		{"same name", "App: the same name means the same records; \"\" is the store that was opened.", func(e *env) {
			spaces := capability[store.Namespacer](e.st)
			rec := e.create()
			e.in(spaces.App("")).requireStored(rec)
			shop := e.in(spaces.App("shop"))
			rec = shop.create(ofAda)
			e.in(spaces.App("shop")).requireStored(rec)
			e.in(spaces.App("shop")).checkConsistency()
		}},
		{"isolation", "App: different names never see one another's records.", func(e *env) {
			spaces := capability[store.Namespacer](e.st)
			apps := []*env{e}
			for _, name := range []string{"a", "a:b", "b", "A", "é", "{a}", "a/b", "s"} {
				apps = append(apps, e.in(spaces.App(name)))
			}
			id := newID()
			stored := make([]store.Record, len(apps))
			for i, app := range apps {
				app.requireGone(id)
				stored[i] = app.create(ofAda, func(rec *store.Record) { rec.ID, rec.Data = id, counter(i) })
			}
			for i, app := range apps {
				app.requireStored(stored[i])
				app.checkConsistency()
			}
			apps[1].destroy(id, true)
			apps[1].requireGone(id)
			if is[store.Sweeper](apps[2].st) {
				require.Len(e, apps[2].sweep(2*time.Hour, 10), 1)
				apps[2].requireGone(id)
			}
			apps[0].requireStored(stored[0])
			for i, app := range apps[3:] {
				app.requireStored(stored[i+3])
			}
		}},
		{"closed together", "An App's store is closed with the store that was opened.", func(e *env) {
			closer, ok := store.As[io.Closer](e.st)
			if !ok {
				e.Logf("%T has no method Close, which is optional", e.st)
				return
			}
			app := capability[store.Namespacer](e.st).App("shop")
			require.NoError(e, closer.Close())
			_, err := app.Get(e.ctx, newID())
			require.ErrorIs(e, err, store.ErrClosed)
			e.st = closedStore{}
		}},
	}
}

// in returns the same environment around another store.
func (e *env) in(st store.Store) *env {
	other := newEnv(e.T, st)
	other.base = e.base
	return other
}

func optimizerCases() []testCase {
	return []testCase{
		{"nothing lost", "Optimize releases what the store no longer needs, and nothing else.", func(e *env) {
			var kept []store.Record
			for i := range 500 {
				rec := e.create(ofAda)
				if i%50 == 0 {
					kept = append(kept, rec)
					continue
				}
				e.destroy(rec.ID, true)
			}
			require.NoError(e, capability[store.Optimizer](e.st).Optimize(e.ctx))
			for _, rec := range kept {
				e.requireStored(rec)
				e.requireStored(e.set(rec))
			}
			e.create(ofAda)
		}},
		{"stays usable", "Optimize may take long; the store stays usable.", func(e *env) {
			rec := e.create()
			done := make(chan error)
			go func() { done <- capability[store.Optimizer](e.st).Optimize(e.ctx) }()
			for range 20 {
				rec = e.set(rec)
				e.create(ofAda)
			}
			require.NoError(e, <-done)
			e.requireStored(rec)
		}},
	}
}

func pingerCases() []testCase {
	return []testCase{
		{"responds", "Ping returns nil if the store responds.", func(e *env) {
			require.NoError(e, capability[store.Pinger](e.st).Ping(e.ctx))
			ctx, cancel := context.WithCancel(e.ctx)
			cancel()
			require.ErrorIs(e, capability[store.Pinger](e.st).Ping(ctx), context.Canceled)
		}},
	}
}

func closerCases() []testCase {
	return []testCase{
		{"closed", "ErrClosed: the store has been closed.", func(e *env) {
			rec := e.create(ofAda)
			require.NoError(e, capability[io.Closer](e.st).Close())
			_, err := e.st.Get(e.ctx, rec.ID)
			require.ErrorIs(e, err, store.ErrClosed, "Get")
			_, err = e.st.Set(e.ctx, rec)
			require.ErrorIs(e, err, store.ErrClosed, "Set")
			_, err = e.st.Destroy(e.ctx, rec.ID)
			require.ErrorIs(e, err, store.ErrClosed, "Destroy")
			for name, err := range e.callAll(rec) {
				require.ErrorIs(e, err, store.ErrClosed, name)
			}
			require.NoError(e, capability[io.Closer](e.st).Close(), "closing again does nothing")
			e.st = closedStore{}
		}},
	}
}

// closedStore replaces a store that is closed, so that checkConsistency skips it.
type closedStore struct{ store.Store }

// callAll calls every capability of the store and returns the errors, by name.
func (e *env) callAll(rec store.Record) map[string]error {
	failed := map[string]error{}
	if st, ok := store.As[store.Toucher](e.st); ok {
		failed["Touch"] = st.Touch(e.ctx, rec.ID, rec.Seen.Add(time.Second))
	}
	if st, ok := store.As[store.Sweeper](e.st); ok {
		_, failed["Sweep"] = st.Sweep(e.ctx, e.base, 1)
	}
	if st, ok := store.As[store.Optimizer](e.st); ok {
		failed["Optimize"] = st.Optimize(e.ctx)
	}
	if st, ok := store.As[store.Pinger](e.st); ok {
		failed["Ping"] = st.Ping(e.ctx)
	}
	for name, all := range e.listings(rec) {
		failed[name] = nil
		for _, err := range all {
			failed[name] = err
		}
	}
	return failed
}

// listings returns the iterations that the store offers and that contain the record.
func (e *env) listings(rec store.Record) map[string]iter.Seq2[store.Record, error] {
	all := map[string]iter.Seq2[store.Record, error]{}
	if st, ok := store.As[store.Lister](e.st); ok {
		all["List"] = st.List(e.ctx)
	}
	if st, ok := store.As[store.UserIndex](e.st); ok {
		all["ByUser"] = st.ByUser(e.ctx, rec.UserID)
	}
	if st, ok := store.As[store.ClientIndex](e.st); ok {
		all["ByClient"] = st.ByClient(e.ctx, rec.ClientID)
	}
	if st, ok := store.As[store.ActivityIndex](e.st); ok {
		all["ActiveSince"] = st.ActiveSince(e.ctx, time.Time{})
	}
	return all
}
