package oidc_test

import (
	"net/http"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/filestore"
)

// TestG15_LogoutAfterARestartOnAFile: the sessions of before are found.
func TestG15_LogoutAfterARestartOnAFile(t *testing.T) {
	p := newIDP(t)
	path := filepath.Join(t.TempDir(), "sessions.db")
	t.Run("before", func(t *testing.T) {
		st, err := filestore.Open(path, nil)
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, st.Close()) })
		a := newApp(t, p, st, nil)
		p.sid = "sid-1"
		newVisitor(t, a, p).logIn()
		p.sid = "sid-2"
		newVisitor(t, a, p).logIn()
	})
	st, err := filestore.Open(path, nil)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, st.Close()) })
	a := newApp(t, p, st, nil)
	require.Len(t, a.alive(), 2)
	require.Equal(t, http.StatusOK, a.post(p.logoutToken("sid-1", "")))
	require.Len(t, a.alive(), 1)
	require.Equal(t, http.StatusOK, a.post(p.logoutToken("sid-2", "ada")))
	require.Empty(t, a.alive())
}
