package nodes_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/bridge"
	"github.com/sessionbridge/sessionbridge/internal/testkit"
	"github.com/sessionbridge/sessionbridge/internal/testkit/teststore"
	"github.com/sessionbridge/sessionbridge/internal/testkit/webclient"
	"github.com/sessionbridge/sessionbridge/livestore"
	"github.com/sessionbridge/sessionbridge/store"
)

// staleCache returns the record that the test has set, even if it is outdated.
type staleCache struct {
	*livestore.Store
	has map[string]store.Record
}

func (c *staleCache) GetCached(ctx context.Context, id string) (store.Record, error) {
	if rec, ok := c.has[id]; ok {
		return rec.Clone(), nil
	}
	return c.Get(ctx, id)
}

// TestCachedReadsDontEndASession: a cached record is past its time, but the session has been used
// since. Only the store decides about its end.
func TestCachedReadsDontEndASession(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := &staleCache{livestore.New(), map[string]store.Record{}}
		a := testkit.NewApp(t, st, &bridge.Options{CachedReads: true, IdleTimeout: time.Minute, TouchInterval: time.Second})
		br := webclient.NewBrowser(t, a.ServeInMemory(t))
		br.OK("/inc")
		id := br.OK("/id")
		tab := br.Dial("/ws").Listen()
		require.Equal(t, "1", tab.Ask("get"))
		st.has[id] = teststore.Stored(t, st, id)
		for range 3 {
			time.Sleep(50 * time.Second)
			require.Equal(t, "1", br.OK("/get"))
			require.Equal(t, "1", tab.Ask("get"))
		}
		require.Equal(t, "2", br.OK("/inc"))
		require.Equal(t, "2", tab.Ask("get"), "what this process has stored it knows")
	})
}
