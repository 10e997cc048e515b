package nodes_test

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/bridge"
	"github.com/sessionbridge/sessionbridge/internal/testkit/endtoend"
	"github.com/sessionbridge/sessionbridge/livestore"
	"github.com/sessionbridge/sessionbridge/store"
)

// TestG6_LoginOnAnotherNode: a socket from before the login is cut off at its next use, and told to
// reconnect; one from after it stays, and no end of the session is reported.
func TestG6_LoginOnAnotherNode(t *testing.T) {
	st := livestore.New()
	keys := [][]byte{endtoend.NewKey()}
	here, there := endtoend.Start(t, st, &bridge.Options{Keys: keys}), endtoend.Start(t, st, &bridge.Options{Keys: keys})
	events := endtoend.Record(t, here)
	ada := endtoend.NewBrowser(t, here)
	require.Equal(t, "1", ada.Get("/increment"))
	older := ada.Dial()
	require.Equal(t, "2", older.Ask("increment"))
	ada.At(there).Get("/login?user=ada")
	newer := ada.Dial()
	require.Equal(t, "ada", newer.Ask("user"))

	require.Equal(t, bridge.CodeReconnect, older.RequireRefused("increment"))
	require.Equal(t, "3", newer.Ask("increment"), "the older one has changed nothing")
	events.Wait(6)
	for _, e := range events.Wait(6) {
		require.IsNotType(t, bridge.SessionDestroy{}, e)
	}
}

// TestG5_HandshakeAgainstLogout: whichever of the two comes first, no socket stays open on a
// session that is over.
func TestG5_HandshakeAgainstLogout(t *testing.T) {
	a := endtoend.Start(t, livestore.New(), nil)
	for range 30 {
		ada := endtoend.NewBrowser(t, a)
		ada.Get("/id?new")
		thief := ada.Another()
		var both sync.WaitGroup
		both.Go(func() { ada.Get("/logout") })
		s := thief.Dial() // a handshake without a session succeeds, too
		both.Wait()
		if err := s.TrySay("increment"); err == nil {
			reply, err := s.TryHear()
			require.True(t, err != nil || reply == "no session", "%q", reply)
		}
		_ = s.Conn.CloseNow()
	}
}

// hookedStore does something before the next Set.
type hookedStore struct {
	store.Store
	before atomic.Pointer[func()]
}

func (h *hookedStore) Set(ctx context.Context, rec store.Record) (uint64, error) {
	if before := h.before.Swap(nil); before != nil {
		(*before)()
	}
	return h.Store.Set(ctx, rec)
}

// TestG6_LoginWhileATokenIsRetired: a login replaces the token of a request while the previous one
// is being retired. The request sees the session as it was when its token opened it, without the
// changes of the login.
func TestG6_LoginWhileATokenIsRetired(t *testing.T) {
	st := &hookedStore{Store: livestore.New()}
	keys := [][]byte{endtoend.NewKey()}
	here, there := endtoend.Start(t, st, &bridge.Options{Keys: keys}), endtoend.Start(t, st.Store, &bridge.Options{Keys: keys})
	ada := endtoend.NewBrowser(t, here)
	require.Equal(t, "1", ada.Get("/increment"))
	ada.Get("/rotate")
	copied := ada.Another()
	login := func() { ada.At(there).Get("/login?user=ada") }
	st.before.Store(&login)
	require.Empty(t, copied.Get("/user"))
	require.Nil(t, st.before.Load(), "the token has been retired")
	require.Equal(t, "ada", ada.Get("/user"))
}

// TestPeerRedisSessions_KillByAnotherProcessIsSeenAtTheNextUse: a process notices the end of a
// session with its next read of the store.
func TestPeerRedisSessions_KillByAnotherProcessIsSeenAtTheNextUse(t *testing.T) {
	st := livestore.New()
	keys := [][]byte{endtoend.NewKey()}
	here, there := endtoend.Start(t, st, &bridge.Options{Keys: keys}), endtoend.Start(t, st, &bridge.Options{Keys: keys})
	ada := endtoend.NewBrowser(t, here)
	require.Equal(t, "ada", ada.Get("/login?user=ada"))
	require.Equal(t, "ada", ada.Get("/user"))
	tab, id := ada.Dial(), ada.Get("/id")
	require.Equal(t, "ada", tab.Ask("user"))

	n, err := there.Bridge.DestroyUser(t.Context(), "ada")
	require.NoError(t, err)
	require.Equal(t, 1, n)
	_, err = here.Bridge.GetByID(t.Context(), id)
	require.ErrorIs(t, err, bridge.ErrSessionMissing)
	require.Equal(t, bridge.CodeDestroyed, tab.RequireRefused("user"))
	require.Empty(t, ada.Get("/user"))
	require.NotEqual(t, id, ada.Get("/id"))
}
