package sessionbridge_test

import (
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/bridge"
)

// TestUsersOnFile: a user's sessions are listed, counted and ended together over a file as they are in memory, those that log in meanwhile included; and
// what was ended stays so, also after the process was killed.
func TestUsersOnFile(t *testing.T) {
	path, keys := filepath.Join(t.TempDir(), "sessions.db"), [][]byte{newKey()}
	before := startOnFile(t, path, nil, keys)
	bob := newBrowser(t, before.app)
	require.Equal(t, "bob", bob.get("/login?user=bob"))
	var browsers []*browser
	for range 40 {
		br := newBrowser(t, before.app)
		require.Equal(t, "ada", br.get("/login?user=ada"))
		browsers = append(browsers, br)
	}
	require.Len(t, listed(t, before.bridge, "ada"), 40)
	activity, err := before.bridge.Activity(t.Context(), time.Hour)
	require.NoError(t, err)
	require.Equal(t, bridge.Activity{Users: 2, Sessions: 41}, activity)

	here := browsers[0].get("/id")
	racing := newBrowser(t, before.app)
	var all sync.WaitGroup
	all.Go(func() { racing.get("/login?user=ada") })
	n, err := before.bridge.DestroyUser(t.Context(), "ada", here)
	all.Wait()
	require.NoError(t, err)
	left := listed(t, before.bridge, "ada")
	require.Equal(t, 41, n+len(left), "the login that raced was ended, or came after")
	require.Contains(t, left, here)
	require.LessOrEqual(t, len(left), 2)

	after := startOnFile(t, killed(t, path), nil, keys)
	require.ElementsMatch(t, left, listed(t, after.bridge, "ada"))
	require.Equal(t, "ada", browsers[0].at(after.app).get("/user"))
	require.Empty(t, browsers[1].at(after.app).get("/user"))
	require.Equal(t, "bob", bob.at(after.app).get("/user"))
	n, err = after.bridge.DestroyAll(t.Context())
	require.NoError(t, err)
	require.Equal(t, 1+len(left), n)
	require.Empty(t, listed(t, after.bridge, ""))
}

// listed returns the IDs of a user's sessions, of all for "".
func listed(t *testing.T, b *bridge.Bridge, user string) (ids []string) {
	t.Helper()
	for info, err := range b.Sessions(t.Context(), bridge.Filter{UserID: user}) {
		require.NoError(t, err)
		ids = append(ids, info.ID)
	}
	return ids
}
