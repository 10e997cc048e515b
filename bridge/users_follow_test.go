package bridge_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/bridge"
	"github.com/sessionbridge/sessionbridge/internal/testkit"
	"github.com/sessionbridge/sessionbridge/internal/testkit/await"
	"github.com/sessionbridge/sessionbridge/internal/testkit/teststore"
	"github.com/sessionbridge/sessionbridge/internal/testkit/webclient"
)

// What a look at the store has found may be older than a login that has been stored meanwhile.
func TestConnectionsOfAUserAreFoundThoughALookRacesTheLogin(t *testing.T) {
	st := teststore.NewFaulty()
	a := testkit.NewApp(t, st, &bridge.Options{Rebind: bridge.Follow, TouchInterval: time.Minute})
	br := webclient.NewBrowser(t, a.Serve(t))
	br.OK("/inc")
	br.Dial("/ws").Ask("id")

	late := teststore.NewGate()
	st.Next(2, "Get", func(ctx context.Context, call func() error) error { // the second look of the handshake
		err := call()
		_ = late.Wait(ctx, func() error { return nil })
		return err
	})
	opened := make(chan *webclient.Socket)
	go func() { opened <- br.Dial("/ws") }()
	await.Receive(t, late.Reached)
	br.OK("/login?user=ann")
	testkit.OpenConns(t, a.Bridge, bridge.ConnFilter{UserID: "ann"}, 2)
	close(late.Opened)
	(<-opened).Ask("id")
	testkit.OpenConns(t, a.Bridge, bridge.ConnFilter{UserID: "ann"}, 2)
	require.Len(t, testkit.Conns(t, a.Bridge, bridge.ConnFilter{}), 2)
}
