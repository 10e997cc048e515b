package security_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/bridge"
	"github.com/sessionbridge/sessionbridge/internal/testkit"
	"github.com/sessionbridge/sessionbridge/internal/testkit/await"
	"github.com/sessionbridge/sessionbridge/internal/testkit/teststore"
	"github.com/sessionbridge/sessionbridge/internal/testkit/webclient"
)

func TestDestroyAllEndsEverySessionAndEveryOneThatIsBeingCreated(t *testing.T) {
	st := teststore.NewFaulty()
	b := testkit.NewBridge(t, st, nil)
	app := b.Handler(testkit.NewMux(b))
	testkit.SignIn(t, app, "ada")
	webclient.Pocket{}.Get(t, app, "/inc")
	on := teststore.NewGate()
	st.Next(1, "Set", on.Wait)
	created := make(chan int, 1)
	go func() { created <- webclient.Pocket{}.Get(t, app, "/inc").Code }()
	await.Receive(t, on.Reached)
	ended := make(chan outcome, 1)
	go func() {
		n, err := b.DestroyAll(t.Context())
		ended <- outcome{n, err}
	}()
	require.Never(t, func() bool { return len(ended) > 0 }, 20*time.Millisecond, 5*time.Millisecond, "it waits for the create")
	close(on.Opened)
	require.Equal(t, http.StatusOK, await.Receive(t, created))
	require.Equal(t, outcome{3, nil}, await.Receive(t, ended))
	require.Zero(t, teststore.StoredCount(t, st.Store))
}

func TestSessionCreatedDuringDestroyAllSurvives(t *testing.T) {
	st := teststore.NewFaulty()
	b := testkit.NewBridge(t, st, nil)
	app := b.Handler(testkit.NewMux(b))
	testkit.SignIn(t, app, "ada")
	on := teststore.NewGate()
	st.Next(1, "Destroy", on.Wait)
	ended := make(chan outcome, 1)
	go func() {
		n, err := b.DestroyAll(t.Context())
		ended <- outcome{n, err}
	}()
	await.Receive(t, on.Reached)
	p, id := testkit.SignIn(t, app, "bob")
	close(on.Opened)
	require.Equal(t, outcome{1, nil}, await.Receive(t, ended))
	require.Equal(t, id, p.Get(t, app, "/id").Body.String())
	require.Equal(t, []string{id}, testkit.ListedIDs(t, b, bridge.Filter{}))
}
