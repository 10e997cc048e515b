package bridge_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/bridge"
)

func TestDestroyAllEndsEverySessionAndEveryOneThatIsBeingCreated(t *testing.T) {
	st := newFaultyStore()
	b := newBridge(t, st, nil)
	app := b.Handler(newApp(b))
	signIn(t, app, "ada")
	pocket{}.get(t, app, "/inc")
	on := newGate()
	st.next(1, "Set", on.wait)
	created := make(chan int, 1)
	go func() { created <- pocket{}.get(t, app, "/inc").Code }()
	receive(t, on.reached)
	ended := make(chan outcome, 1)
	go func() {
		n, err := b.DestroyAll(t.Context())
		ended <- outcome{n, err}
	}()
	require.Never(t, func() bool { return len(ended) > 0 }, 20*time.Millisecond, 5*time.Millisecond, "it waits for the create")
	close(on.opened)
	require.Equal(t, http.StatusOK, receive(t, created))
	require.Equal(t, outcome{3, nil}, receive(t, ended))
	require.Zero(t, storedCount(t, st.Store))
}

func TestSessionCreatedDuringDestroyAllSurvives(t *testing.T) {
	st := newFaultyStore()
	b := newBridge(t, st, nil)
	app := b.Handler(newApp(b))
	signIn(t, app, "ada")
	on := newGate()
	st.next(1, "Destroy", on.wait)
	ended := make(chan outcome, 1)
	go func() {
		n, err := b.DestroyAll(t.Context())
		ended <- outcome{n, err}
	}()
	receive(t, on.reached)
	p, id := signIn(t, app, "bob")
	close(on.opened)
	require.Equal(t, outcome{1, nil}, receive(t, ended))
	require.Equal(t, id, p.get(t, app, "/id").Body.String())
	require.Equal(t, []string{id}, listedIDs(t, b, bridge.Filter{}))
}
