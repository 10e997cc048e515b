package bridge_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/bridge"
	"github.com/sessionbridge/sessionbridge/internal/testkit"
	"github.com/sessionbridge/sessionbridge/internal/testkit/webclient"
	"github.com/sessionbridge/sessionbridge/livestore"
)

// A session that this process knows from NotifyStoreSet only is forgotten when it has gone, though
// nobody says so here.
func TestSessionFromNotifyStoreSetIsForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := livestore.New()
		opts := &bridge.Options{AutoCleanup: bridge.Off, IdleTimeout: time.Hour}
		here, elsewhere := testkit.NewApp(t, st, opts), testkit.NewApp(t, st, opts)
		br := webclient.NewBrowser(t, elsewhere.ServeInMemory(t))
		br.OK("/inc")
		id := br.OK("/id")
		here.NotifyStoreSet(id, true)
		require.Equal(t, 1, here.Stats().Attached)
		was, err := elsewhere.DestroyByID(t.Context(), id)
		require.NoError(t, err)
		require.True(t, was)
		time.Sleep(4 * time.Hour)
		synctest.Wait()
		require.Zero(t, here.Stats().Attached)
	})
}
