package bridge_test

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/bridge"
	"github.com/sessionbridge/sessionbridge/internal/testkit"
	"github.com/sessionbridge/sessionbridge/internal/testkit/teststore"
	"github.com/sessionbridge/sessionbridge/internal/testkit/webclient"
)

// The event says what the client is told.
func TestConnCloseOfAHandshakeThatTheStoreFailedHasItsCode(t *testing.T) {
	st := teststore.NewFaulty()
	a := testkit.NewApp(t, st, nil)
	br := webclient.NewBrowser(t, a.Serve(t))
	br.OK("/inc")
	ended := testkit.Record[bridge.ConnClose](t, a.Bridge)
	st.Next(2, "Get", teststore.Refuse(errors.New("down"))) // the look after it is registered
	require.Equal(t, bridge.CodeUnavailable, br.Dial("/ws").Closed())
	require.Equal(t, bridge.CodeUnavailable, ended.Next().Code)
}
