package bridge_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/bridge"
)

// What a look at the store has found may be older than a login that has been stored meanwhile.
func TestConnectionsOfAUserAreFoundThoughALookRacesTheLogin(t *testing.T) {
	st := newFaultyStore()
	a := makeApp(t, st, &bridge.Options{Rebind: bridge.Follow, TouchInterval: time.Minute})
	br := newBrowser(t, a.serve(t))
	br.ok("/inc")
	br.dial("/ws").ask("id")

	late := newGate()
	st.next(2, "Get", func(ctx context.Context, call func() error) error { // the second look of the handshake
		err := call()
		_ = late.wait(ctx, func() error { return nil })
		return err
	})
	opened := make(chan *socket)
	go func() { opened <- br.dial("/ws") }()
	receive(t, late.reached)
	br.ok("/login?user=ann")
	openConns(t, a.Bridge, bridge.ConnFilter{UserID: "ann"}, 2)
	close(late.opened)
	(<-opened).ask("id")
	openConns(t, a.Bridge, bridge.ConnFilter{UserID: "ann"}, 2)
	require.Len(t, conns(t, a.Bridge, bridge.ConnFilter{}), 2)
}
