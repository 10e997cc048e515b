package sessionbridge_test

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/bridge"
	"github.com/sessionbridge/sessionbridge/livestore"
	"github.com/sessionbridge/sessionbridge/store"
)

// TestG6_LoginOnAnotherNode: a socket from before the login is cut off at its next use, and told to reconnect; one from after it
// is not touched, and nobody hears that the session has ended.
func TestG6_LoginOnAnotherNode(t *testing.T) {
	st := livestore.New()
	keys := [][]byte{newKey()}
	here, there := start(t, st, &bridge.Options{Keys: keys}), start(t, st, &bridge.Options{Keys: keys})
	events := record(t, here)
	ada := newBrowser(t, here)
	require.Equal(t, "1", ada.get("/increment"))
	older := ada.dial()
	require.Equal(t, "2", older.ask("increment"))
	ada.at(there).get("/login?user=ada")
	newer := ada.dial()
	require.Equal(t, "ada", newer.ask("user"))

	require.Equal(t, bridge.CodeReconnect, older.refused("increment"))
	require.Equal(t, "3", newer.ask("increment"), "the older one has changed nothing")
	events.wait(6)
	for _, e := range events.wait(6) {
		require.IsNotType(t, bridge.SessionDestroy{}, e)
	}
}

// TestG5_HandshakeAgainstLogout: whichever of the two comes first, no socket stays open on a session that is over.
func TestG5_HandshakeAgainstLogout(t *testing.T) {
	a := start(t, livestore.New(), nil)
	for range 30 {
		ada := newBrowser(t, a)
		ada.get("/id?new")
		thief := ada.another()
		var both sync.WaitGroup
		both.Go(func() { ada.get("/logout") })
		ws, _, err := websocket.Dial(t.Context(), thief.url+"/socket", &websocket.DialOptions{HTTPClient: thief.client})
		require.NoError(t, err, "a handshake without a session is one all the same")
		s := &socket{t, ws}
		both.Wait()
		if err := s.trySay("increment"); err == nil {
			reply, err := s.tryHear()
			require.True(t, err != nil || reply == "no session", "%q", reply)
		}
		_ = ws.CloseNow()
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

// TestG6_LoginWhileATokenIsRetired: a request whose token a login replaces while the one before it is being retired sees the session as
// it was when that token opened it, and nothing of what came with the login.
func TestG6_LoginWhileATokenIsRetired(t *testing.T) {
	st := &hookedStore{Store: livestore.New()}
	keys := [][]byte{newKey()}
	here, there := start(t, st, &bridge.Options{Keys: keys}), start(t, st.Store, &bridge.Options{Keys: keys})
	ada := newBrowser(t, here)
	require.Equal(t, "1", ada.get("/increment"))
	ada.get("/rotate")
	copied := ada.another()
	login := func() { ada.at(there).get("/login?user=ada") }
	st.before.Store(&login)
	require.Empty(t, copied.get("/user"))
	require.Nil(t, st.before.Load(), "the token has been retired")
	require.Equal(t, "ada", ada.get("/user"))
}

// TestPeerRedisSessions_KillByAnotherProcessIsSeenAtTheNextUse: nothing that a process remembers of a session outlives a look at the store.
func TestPeerRedisSessions_KillByAnotherProcessIsSeenAtTheNextUse(t *testing.T) {
	st := livestore.New()
	keys := [][]byte{newKey()}
	here, there := start(t, st, &bridge.Options{Keys: keys}), start(t, st, &bridge.Options{Keys: keys})
	ada := newBrowser(t, here)
	require.Equal(t, "ada", ada.get("/login?user=ada"))
	require.Equal(t, "ada", ada.get("/user"))
	tab, id := ada.dial(), ada.get("/id")
	require.Equal(t, "ada", tab.ask("user"))

	n, err := there.bridge.DestroyUser(t.Context(), "ada")
	require.NoError(t, err)
	require.Equal(t, 1, n)
	_, err = here.bridge.GetByID(t.Context(), id)
	require.ErrorIs(t, err, bridge.ErrSessionMissing)
	require.Equal(t, bridge.CodeDestroyed, tab.refused("user"))
	require.Empty(t, ada.get("/user"))
	require.NotEqual(t, id, ada.get("/id"))
}
