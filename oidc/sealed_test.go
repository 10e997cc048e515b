package oidc_test

import (
	"net/http"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/livestore"
	"github.com/sessionbridge/sessionbridge/store/sealed"
)

// TestG15_LogoutInASealedStore: the capabilities of a store around another one are found.
func TestG15_LogoutInASealedStore(t *testing.T) {
	p := newIDP(t)
	st, err := sealed.New(livestore.New(), [][]byte{append(slices.Repeat([]byte("s"), 31), 'x')}, nil)
	require.NoError(t, err)
	a := newApp(t, p, st, nil)
	v := newVisitor(t, a, p)
	v.logIn()
	require.Equal(t, userID("ada"), v.OK("/user"))
	require.Equal(t, http.StatusOK, a.post(p.logoutToken("", "ada")))
	require.Empty(t, v.OK("/user"))
	require.Empty(t, a.alive())
}
