package bridge_test

import (
	"context"
	"errors"
	"net/http"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/bridge"
	"github.com/sessionbridge/sessionbridge/internal/testkit"
	"github.com/sessionbridge/sessionbridge/internal/testkit/teststore"
	"github.com/sessionbridge/sessionbridge/internal/testkit/webclient"
	"github.com/sessionbridge/sessionbridge/livestore"
	"github.com/sessionbridge/sessionbridge/store"
)

// An import whose outcome isn't known, and DestroyUser after it.
func TestG2_ImportWhoseReplyIsLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := teststore.NewFaulty()
		a := testkit.NewApp(t, st, &bridge.Options{Import: func(*http.Request) *bridge.Import {
			return &bridge.Import{Key: "k", Load: func(context.Context) (string, map[string]any, bool, error) {
				return "ada", map[string]any{"n": 7}, true, nil
			}}
		}})
		h := a.Handler(a.Mux)
		st.Next(1, "Set", teststore.LoseReply(errors.New("lost")))
		require.Equal(t, http.StatusServiceUnavailable, webclient.Pocket{}.Get(t, h, "/get").Code)
		n, err := a.DestroyUser(t.Context(), "ada")
		require.NoError(t, err)
		require.Equal(t, 1, n)
		require.Equal(t, "0", webclient.Pocket{}.Get(t, h, "/get").Body.String())
	})
}

// What an import has opened is the request's session for Peek and MissingReason, too.
func TestPeekAfterAnImport(t *testing.T) {
	a := testkit.NewApp(t, livestore.New(), &bridge.Options{Import: func(*http.Request) *bridge.Import {
		return &bridge.Import{Key: "k", Load: func(context.Context) (string, map[string]any, bool, error) {
			return "ada", map[string]any{"n": 7}, true, nil
		}}
	}})
	a.Page("/peek", func(r *http.Request) (any, error) {
		s, err := a.Session(r)
		if err != nil {
			return nil, err
		}
		now, err := a.Peek(r)
		if err != nil {
			return nil, err
		}
		return now.UserID() + s.UserID() + string(a.MissingReason(r)), nil
	})
	h := a.Handler(a.Mux)
	for range 2 { // the first request imports, the second has the old cookie alone
		w := webclient.Pocket{}.Get(t, h, "/peek")
		require.Equal(t, "adaada", w.Body.String())
	}
}

// spaced is a store whose namespaces work as change says.
type spaced struct {
	*livestore.Store
	change func(store.Store) store.Store
}

func (s spaced) App(name string) store.Store { return s.change(s.Store.App(name)) }

// hangsUp stores, as a server behind a network does, although the caller's context has ended.
type hangsUp struct {
	store.Store
	hangUp func()
	err    error
}

func (h *hangsUp) Set(ctx context.Context, rec store.Record) (uint64, error) {
	rev, err := h.Store.Set(context.WithoutCancel(ctx), rec)
	if h.hangUp != nil {
		h.hangUp()
		h.hangUp = nil
		if h.err != nil {
			return 0, h.err
		}
		if ctx.Err() != nil {
			return 0, ctx.Err()
		}
	}
	return rev, err
}

// A client that hangs up while its session is claimed, or a reply that is lost then, loses nothing.
func TestClaimWhoseAnswerIsLost(t *testing.T) {
	for _, lost := range []error{nil, errors.New("lost")} {
		synctest.Test(t, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			hangUp := cancel
			if lost != nil {
				hangUp = func() {}
			}
			st := spaced{livestore.New(), func(st store.Store) store.Store { return &hangsUp{st, hangUp, lost} }}
			a := testkit.NewApp(t, st, &bridge.Options{Import: func(*http.Request) *bridge.Import {
				return &bridge.Import{Key: "k", Load: func(context.Context) (string, map[string]any, bool, error) {
					return "ada", map[string]any{"n": 7}, true, nil
				}}
			}})
			h := a.Handler(a.Mux)
			webclient.Pocket{}.Send(h, webclient.Request(t, "/get").WithContext(ctx))
			cancel()
			require.Equal(t, "7", webclient.Pocket{}.Get(t, h, "/get").Body.String())
		})
	}
}
