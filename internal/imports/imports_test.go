package imports_test

import (
	"context"
	"errors"
	"path/filepath"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/filestore"
	"github.com/sessionbridge/sessionbridge/internal/gateway"
	"github.com/sessionbridge/sessionbridge/internal/imports"
	"github.com/sessionbridge/sessionbridge/livestore"
	"github.com/sessionbridge/sessionbridge/store"
)

const timeout = 5 * time.Second

func TestDeriveSeparatesKeysAndIssuers(t *testing.T) {
	one := imports.Derive("sid", "key")
	require.Equal(t, one, imports.Derive("sid", "key"))
	for _, other := range [][2]string{{"sid", "kez"}, {"sie", "key"}, {"sidk", "ey"}, {"si", "dkey"}} {
		is := imports.Derive(other[0], other[1])
		require.NotEqual(t, one.ID, is.ID)
		require.NotEqual(t, one.Token, is.Token)
	}
	require.Regexp(t, "^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$", one.ID)
}

func stores(t *testing.T, test func(t *testing.T, st store.Namespacer)) {
	t.Helper()
	t.Run("livestore", func(t *testing.T) { test(t, livestore.New()) })
	t.Run("filestore", func(t *testing.T) {
		st, err := filestore.Open(filepath.Join(t.TempDir(), "sessions.db"), nil)
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, st.Close()) })
		test(t, st)
	})
}

// Of all that import one session at once, one does. The others wait until it has finished.
func TestOneImports(t *testing.T) {
	stores(t, func(t *testing.T, st store.Namespacer) {
		id := imports.Derive("sid", "key").ID
		one, other := imports.New(st, timeout, nil), imports.New(st, timeout, nil)
		first, err := one.Begin(t.Context(), id)
		require.NoError(t, err)
		require.True(t, first)
		var finished atomic.Bool
		result := make(chan error, 1)
		go func() {
			again, err := other.Begin(t.Context(), id)
			if again || !finished.Load() {
				err = errors.New("it hasn't waited")
			}
			result <- err
		}()
		finished.Store(true)
		require.NoError(t, one.Finish(t.Context(), id))
		require.NoError(t, <-result)
		first, err = imports.New(st, timeout, nil).Begin(t.Context(), id)
		require.NoError(t, err)
		require.False(t, first, "ever again")
	})
}

func TestManyAtOnce(t *testing.T) {
	stores(t, func(t *testing.T, st store.Namespacer) {
		id := imports.Derive("sid", "key").ID
		claims := imports.New(st, timeout, nil)
		firsts := make(chan bool, 32)
		for range cap(firsts) {
			go func() {
				first, err := claims.Begin(t.Context(), id)
				if first {
					err = errors.Join(err, claims.Finish(t.Context(), id))
				}
				if err != nil {
					t.Error(err)
				}
				firsts <- first
			}()
		}
		n := 0
		for range cap(firsts) {
			if <-firsts {
				n++
			}
		}
		require.Equal(t, 1, n)
	})
}

func TestAbortLetsTheNextOneImport(t *testing.T) {
	stores(t, func(t *testing.T, st store.Namespacer) {
		claims, id := imports.New(st, timeout, nil), imports.Derive("sid", "key").ID
		for range 2 {
			first, err := claims.Begin(t.Context(), id)
			require.NoError(t, err)
			require.True(t, first)
			require.NoError(t, claims.Abort(t.Context(), id))
		}
	})
}

// sourceThat returns a Source whose Load has the result.
func sourceThat(ok bool, err error) *imports.Source {
	return &imports.Source{Key: "key", Load: func(context.Context) (string, map[string]any, bool, error) {
		return "ada", nil, ok, err
	}}
}

// A session that is excluded is never imported, also if its library can't say whether it exists.
// Nothing is written for a key that a client has invented.
func TestExcludedSessionIsNotImported(t *testing.T) {
	stores(t, func(t *testing.T, st store.Namespacer) {
		claims := imports.New(st, timeout, nil)
		for name, c := range map[string]struct {
			source   *imports.Source
			excluded bool
		}{
			"exists":   {sourceThat(true, nil), true},
			"away":     {sourceThat(false, errors.New("away")), true},
			"invented": {sourceThat(false, nil), false},
		} {
			id := imports.Derive("sid", name).ID
			imported, err := claims.Exclude(t.Context(), c.source, id)
			require.NoError(t, err)
			require.False(t, imported)
			known, err := claims.Known(t.Context(), id)
			require.NoError(t, err)
			require.Equal(t, c.excluded, known, name)
			first, err := claims.Begin(t.Context(), id)
			require.NoError(t, err)
			require.Equal(t, !c.excluded, first, name)
		}
	})
}

func TestExcludeSaysWhatHasBeenImported(t *testing.T) {
	stores(t, func(t *testing.T, st store.Namespacer) {
		claims, id := imports.New(st, timeout, nil), imports.Derive("sid", "key").ID
		_, err := claims.Begin(t.Context(), id)
		require.NoError(t, err)
		require.NoError(t, claims.Finish(t.Context(), id))
		imported, err := claims.Exclude(t.Context(), sourceThat(false, nil), id)
		require.NoError(t, err)
		require.True(t, imported)
	})
}

// It isn't known whether a process that has crashed has stored the session, which may have ended
// since.
func TestCrashEndsTheWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		claims, id := imports.New(livestore.New(), timeout, nil), imports.Derive("sid", "key").ID
		_, err := claims.Begin(t.Context(), id)
		require.NoError(t, err)
		began := time.Now()
		first, err := claims.Begin(t.Context(), id)
		require.NoError(t, err)
		require.False(t, first)
		require.InDelta(t, 2*timeout, time.Since(began), float64(time.Second))

		_, err = claims.Begin(t.Context(), imports.Derive("sid", "other").ID)
		require.NoError(t, err)
		ctx, cancel := context.WithTimeoutCause(t.Context(), time.Second, errors.New("left"))
		defer cancel()
		_, err = claims.Begin(ctx, imports.Derive("sid", "other").ID)
		require.ErrorContains(t, err, "left")
	})
}

func TestSweepKeepsClaimsForTheLifeOfACookie(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		claims, id := imports.New(livestore.New(), timeout, nil), imports.Derive("sid", "key").ID
		first, err := claims.Begin(t.Context(), id)
		require.NoError(t, err)
		require.True(t, first)
		require.NoError(t, claims.Finish(t.Context(), id))
		time.Sleep(400 * 24 * time.Hour)
		require.NoError(t, claims.Sweep(t.Context()))
		first, err = claims.Begin(t.Context(), id)
		require.NoError(t, err)
		require.False(t, first)
		time.Sleep(25 * time.Hour)
		require.NoError(t, claims.Sweep(t.Context()))
		first, err = claims.Begin(t.Context(), id)
		require.NoError(t, err)
		require.True(t, first)
	})
}

// away is a store that fails.
type away struct{ store.Store }

func (away) App(string) store.Store { return away{} }

func (away) Get(context.Context, string) (store.Record, error) {
	return store.Record{}, errors.New("away")
}
func (away) Destroy(context.Context, string) (bool, error) { return false, errors.New("away") }

func TestStoreThatIsAway(t *testing.T) {
	claims := imports.New(away{}, timeout, nil)
	_, err := claims.Begin(t.Context(), "id")
	require.ErrorIs(t, err, gateway.ErrUnavailable)
	_, err = claims.Exclude(t.Context(), sourceThat(true, nil), "id")
	require.ErrorIs(t, err, gateway.ErrUnavailable)
	require.ErrorIs(t, claims.Finish(t.Context(), "id"), gateway.ErrUnavailable)
	require.ErrorIs(t, claims.Abort(t.Context(), "id"), gateway.ErrUnavailable)
	require.NoError(t, claims.Sweep(t.Context()), "it is no store.Sweeper")
}
