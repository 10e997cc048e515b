package security_test

import (
	"fmt"
	"net/http"
	"path/filepath"
	"slices"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/bridge"
	"github.com/sessionbridge/sessionbridge/filestore"
	"github.com/sessionbridge/sessionbridge/internal/testkit"
	"github.com/sessionbridge/sessionbridge/internal/testkit/testhub"
	"github.com/sessionbridge/sessionbridge/internal/testkit/teststore"
	"github.com/sessionbridge/sessionbridge/internal/testkit/webclient"
	"github.com/sessionbridge/sessionbridge/livestore"
	"github.com/sessionbridge/sessionbridge/store"
	"github.com/sessionbridge/sessionbridge/store/sealed"
)

func sealingKey(n byte) []byte { return append(slices.Repeat([]byte{n}, 31), 255-n) }

// sealInner returns a store around inner that seals with the first key.
func sealInner(t *testing.T, inner store.Store, keys ...byte) *sealed.Store {
	t.Helper()
	var secrets [][]byte
	for _, n := range keys {
		secrets = append(secrets, sealingKey(n))
	}
	st, err := sealed.New(inner, secrets, nil)
	require.NoError(t, err)
	return st
}

// sessionsOf returns the IDs of a user's sessions, as the Bridge lists them.
func sessionsOf(t *testing.T, b *bridge.Bridge, user string) (ids []string) {
	t.Helper()
	for info, err := range b.Sessions(t.Context(), bridge.Filter{UserID: user}) {
		require.NoError(t, err)
		require.Equal(t, user, info.UserID)
		ids = append(ids, info.ID)
	}
	return ids
}

// TestS17_ABridgeOverASealedStore: login, lists, sockets and the end of all sessions of a user work
// as without encryption; the store has nothing to read.
func TestS17_ABridgeOverASealedStore(t *testing.T) {
	const ada = "ada-lovelace" // three letters also occur by chance in what is encrypted
	files, err := filestore.Open(filepath.Join(t.TempDir(), "sessions"), nil)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, files.Close()) })
	for name, inner := range map[string]store.Store{
		"livestore": livestore.New(), "filestore": files, "three methods and a list": teststore.Poorer(livestore.New())["list only"],
		"nodes": testhub.New(),
	} {
		t.Run(name, func(t *testing.T) {
			b := testkit.NewBridge(t, sealInner(t, inner, 1), nil)
			app := b.Handler(testkit.NewMux(b))
			br := webclient.NewBrowser(t, webclient.Serve(t, app))
			require.Equal(t, "1", br.OK("/inc"))
			br.OK("/login?user=" + ada)
			id := br.OK("/id")
			ws := br.Dial("/ws")
			require.Equal(t, strconv.Quote(id), ws.Ask("id"))
			require.Equal(t, "2", br.OK("/inc"))
			testkit.SignIn(t, app, ada)
			_, bobs := testkit.SignIn(t, app, "bob")

			require.Len(t, sessionsOf(t, b, ada), 2)
			require.Equal(t, []string{bobs}, sessionsOf(t, b, "bob"))
			stored := teststore.Stored(t, inner, id)
			require.NotContains(t, fmt.Sprintf("%s %s %s %s %q", stored.UserID, stored.ClientID, stored.Addr, stored.UserAgent,
				stored.Data), ada)
			info, err := b.GetByID(t.Context(), id)
			require.NoError(t, err)
			require.NotEqual(t, info.ClientID(), stored.ClientID)

			n, err := b.DestroyUser(t.Context(), ada)
			require.NoError(t, err)
			require.Equal(t, 2, n)
			require.Equal(t, bridge.CodeDestroyed, ws.Closed())
			require.Empty(t, sessionsOf(t, b, ada))
			require.Equal(t, []string{bobs}, sessionsOf(t, b, "bob"))
		})
	}
}

// TestS17_ASessionThatCantBeOpenedFailsClosed: 503, no new session, no change; it can be ended.
func TestS17_ASessionThatCantBeOpenedFailsClosed(t *testing.T) {
	inner := livestore.New()
	b := testkit.NewBridge(t, sealInner(t, inner, 1), nil)
	br := webclient.NewBrowser(t, webclient.Serve(t, b.Handler(testkit.NewMux(b))))
	other := webclient.NewBrowser(t, webclient.Serve(t, b.Handler(testkit.NewMux(b))))
	br.OK("/inc")
	other.OK("/inc")
	id := br.OK("/id")
	rec := teststore.Stored(t, inner, id)
	rec.Data = teststore.Stored(t, inner, other.OK("/id")).Data // of another session
	_, err := inner.Set(t.Context(), rec)
	require.NoError(t, err)
	swapped := teststore.Stored(t, inner, id)
	for _, path := range []string{"/get", "/inc", "/login?user=ada"} {
		require.Equal(t, http.StatusServiceUnavailable, br.Get(path).Status, path)
	}
	_, err = b.GetByID(t.Context(), id)
	require.ErrorIs(t, err, sealed.ErrUnopenable)
	require.ErrorIs(t, err, bridge.ErrStoreUnavailable)
	require.Equal(t, swapped, teststore.Stored(t, inner, id), "it is left as it is")
	require.Equal(t, "2", other.OK("/inc"))
	was, err := b.DestroyByID(t.Context(), id)
	require.NoError(t, err)
	require.True(t, was)
	require.Equal(t, "1", br.OK("/inc"), "a new session")
}

// TestS17_KeysChangeWhileSessionsAreUsed: first every process can open what the new key seals, then
// it seals, then the rest is sealed again.
func TestS17_KeysChangeWhileSessionsAreUsed(t *testing.T) {
	inner := livestore.New()
	keys := [][]byte{slices.Repeat([]byte("k"), 32)}
	br, count, id := (*webclient.Browser)(nil), 0, ""
	for _, step := range [][]byte{{1}, {1, 2}, {2, 1}, {2}} {
		st := sealInner(t, inner, step...)
		b := testkit.NewBridge(t, st, &bridge.Options{Keys: keys})
		site := webclient.Serve(t, b.Handler(testkit.NewMux(b)))
		if br == nil {
			br = webclient.NewBrowser(t, site)
			br.OK("/login?user=ada")
			id = br.OK("/id")
		} else {
			br = br.At(site)
		}
		count++
		require.Equal(t, fmt.Sprint(count), br.OK("/inc"), "keys %v", step)
		require.Equal(t, []string{id}, sessionsOf(t, b, "ada"), "keys %v", step)
		if len(step) == 2 {
			done, err := st.Rewrap(t.Context(), nil)
			require.NoError(t, err)
			require.Zero(t, done.Unopenable)
		}
	}
}
