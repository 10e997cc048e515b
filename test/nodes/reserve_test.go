package nodes_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/bridge"
	"github.com/sessionbridge/sessionbridge/internal/testkit"
	"github.com/sessionbridge/sessionbridge/internal/testkit/webclient"
	"github.com/sessionbridge/sessionbridge/store"
)

// TestG1_ExclusiveAccessIsRenewed: a reservation ends by itself after a second, which a busy machine
// may need for less than one attempt. A change that loses after that reserves the session again.
func TestG1_ExclusiveAccessIsRenewed(t *testing.T) {
	h, apps := testkit.NewNodes(t, 2, bridge.Options{})
	browser := webclient.Pocket{}
	app := apps[0].Handler(apps[0].Mux)
	browser.Get(t, app, "/inc")
	id := browser.Get(t, app, "/id").Body.String()
	attempt := 0
	err := apps[0].UpdateByID(t.Context(), id, func(ctx context.Context, s *bridge.Session) error {
		attempt++
		rec, err := h.Node(1).Get(ctx, id)
		require.NoError(t, err)
		rec.Writes++ // of another process
		if attempt <= 4 {
			end, err := h.Node(0).Reserve(ctx, id)
			require.NoError(t, err)
			require.NoError(t, end(ctx), "any reservation has come to its end")
			_, err = h.Node(1).Set(ctx, rec)
			require.NoError(t, err)
		} else {
			_, err = h.Node(1).Set(ctx, rec)
			require.ErrorIs(t, err, store.ErrBusy, "attempt %d", attempt)
		}
		_, err = testkit.Increment(ctx, s)
		return err
	})
	require.NoError(t, err)
	require.Equal(t, 5, attempt)
	require.Equal(t, "2", browser.Get(t, app, "/get").Body.String())
}
