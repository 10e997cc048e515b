package bridge_test

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/bridge"
)

// The event says what the client is told.
func TestConnCloseOfAHandshakeThatTheStoreFailedHasItsCode(t *testing.T) {
	st := newFaultyStore()
	a := makeApp(t, st, nil)
	br := newBrowser(t, a.serve(t))
	br.ok("/inc")
	ended := record[bridge.ConnClose](t, a.Bridge)
	st.next(2, "Get", refuse(errors.New("down"))) // the look after it is registered
	require.Equal(t, bridge.CodeUnavailable, br.dial("/ws").closed())
	require.Equal(t, bridge.CodeUnavailable, ended.next().Code)
}
