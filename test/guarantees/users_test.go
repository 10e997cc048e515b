package guarantees_test

import (
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/bridge"
	"github.com/sessionbridge/sessionbridge/internal/testkit"
	"github.com/sessionbridge/sessionbridge/internal/testkit/endtoend"
)

// TestUsersOnFile: a user's sessions are listed, counted and ended together on a file as in memory,
// including those of concurrent logins; and a session that has ended stays so, even after a kill of
// the process.
func TestUsersOnFile(t *testing.T) {
	path, keys := filepath.Join(t.TempDir(), "sessions.db"), [][]byte{endtoend.NewKey()}
	before := startOnFile(t, path, nil, keys)
	bob := endtoend.NewBrowser(t, before.App)
	require.Equal(t, "bob", bob.Get("/login?user=bob"))
	var browsers []*endtoend.Browser
	for range 40 {
		br := endtoend.NewBrowser(t, before.App)
		require.Equal(t, "ada", br.Get("/login?user=ada"))
		browsers = append(browsers, br)
	}
	require.Len(t, testkit.ListedIDs(t, before.Bridge, bridge.Filter{UserID: "ada"}), 40)
	activity, err := before.Bridge.Activity(t.Context(), time.Hour)
	require.NoError(t, err)
	require.Equal(t, bridge.Activity{Users: 2, Sessions: 41}, activity)

	here := browsers[0].Get("/id")
	racing := endtoend.NewBrowser(t, before.App)
	var all sync.WaitGroup
	all.Go(func() { racing.Get("/login?user=ada") })
	n, err := before.Bridge.DestroyUser(t.Context(), "ada", here)
	all.Wait()
	require.NoError(t, err)
	left := testkit.ListedIDs(t, before.Bridge, bridge.Filter{UserID: "ada"})
	require.Equal(t, 41, n+len(left), "the login that raced was ended, or came after")
	require.Contains(t, left, here)
	require.LessOrEqual(t, len(left), 2)

	after := startOnFile(t, killed(t, path), nil, keys)
	require.ElementsMatch(t, left, testkit.ListedIDs(t, after.Bridge, bridge.Filter{UserID: "ada"}))
	require.Equal(t, "ada", browsers[0].At(after.App).Get("/user"))
	require.Empty(t, browsers[1].At(after.App).Get("/user"))
	require.Equal(t, "bob", bob.At(after.App).Get("/user"))
	n, err = after.Bridge.DestroyAll(t.Context())
	require.NoError(t, err)
	require.Equal(t, 1+len(left), n)
	require.Empty(t, testkit.ListedIDs(t, after.Bridge, bridge.Filter{}))
}
