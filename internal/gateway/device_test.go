package gateway_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/internal/gateway"
	"github.com/sessionbridge/sessionbridge/livestore"
	"github.com/sessionbridge/sessionbridge/store"
)

const deviceID = "6f1f6dd2-5d12-4c1c-8a4c-1d3c1f5f6a10"

// newBound returns a gateway and the record of a stored session with a device and a value.
func newBound(t *testing.T) (*gateway.Gateway, store.Record) {
	t.Helper()
	g := gateway.New(livestore.New(), gateway.Config{
		TouchInterval: time.Minute, StoreTimeout: time.Second, Committed: func(gateway.Commit) {},
		Watched: func() bool { return false },
	})
	now := gateway.Now()
	d, err := gateway.NewDraft(store.Record{
		ID: deviceID, TokenHash: store.TokenHash{1}, TokenGeneration: 1, UserID: "ann", LoginGeneration: 1,
		Data: []byte("{}"), Created: now, Seen: now, Idle: time.Hour, Expires: now.Add(time.Hour),
	})
	require.NoError(t, err)
	d.SetDevice("the key")
	d.Set("n", 1)
	require.NoError(t, g.Commit(t.Context(), d, nil))
	return g, *d.Base()
}

func TestDeviceStaysUntilAnotherUserLogsIn(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*gateway.Draft)
		stays  bool
	}{
		"a value":       {func(d *gateway.Draft) { d.Set("n", 2) }, true},
		"clear":         {func(d *gateway.Draft) { d.Clear() }, true},
		"replace":       {func(d *gateway.Draft) { d.Replace(map[string]gateway.Encoded{"m": gateway.Encode(1)}) }, true},
		"rotate":        {func(d *gateway.Draft) { d.ReplaceToken(store.TokenHash{2}, 1, nil) }, true},
		"the same user": {func(d *gateway.Draft) { d.ReplaceToken(store.TokenHash{2}, 1, &gateway.Login{UserID: "ann"}) }, true},
		"another user":  {func(d *gateway.Draft) { d.ReplaceToken(store.TokenHash{2}, 1, &gateway.Login{UserID: "bob"}) }, false},
		"another user, whose session is then cleared": {func(d *gateway.Draft) {
			d.ReplaceToken(store.TokenHash{2}, 1, &gateway.Login{UserID: "bob", KeepValues: true})
			d.Clear()
		}, false},
		"another user who keeps the values": {func(d *gateway.Draft) {
			d.ReplaceToken(store.TokenHash{2}, 1, &gateway.Login{UserID: "bob", KeepValues: true})
		}, false},
	} {
		g, rec := newBound(t)
		d, err := gateway.NewDraft(rec)
		require.NoError(t, err)
		require.NotContains(t, d.Keys(), "_bridge_device", name)
		c.change(d)
		require.NoError(t, g.Commit(t.Context(), d, nil), name)
		rec, err = g.Load(t.Context(), rec.ID)
		require.NoError(t, err)
		if c.stays {
			require.Equal(t, "the key", gateway.Device(rec.Data), name)
		} else {
			require.Empty(t, gateway.Device(rec.Data), name)
		}
	}
	require.Empty(t, gateway.Device([]byte(`{"n":1}`)))
	require.Empty(t, gateway.Device([]byte(`{"_bridge_device":7}`)))
}

func TestSetDeviceIsNoActivity(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, rec := newBound(t)
		time.Sleep(30 * time.Minute)
		d, err := gateway.NewDraft(rec)
		require.NoError(t, err)
		d.SetDevice("another key")
		k := g.Acquire(rec.ID)
		defer k.Release()
		won, err := g.CommitExact(t.Context(), k, d, nil)
		require.NoError(t, err)
		require.Nil(t, won)
		now := d.Base()
		require.Equal(t, "another key", gateway.Device(now.Data))
		require.Equal(t, rec.Seen, now.Seen)
		require.Equal(t, rec.Expires, now.Expires)
	})
}
