package registry_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/internal/registry"
	"github.com/sessionbridge/sessionbridge/store"
)

// bound is a Config.Device whose answer a test sets.
type bound struct {
	login uint64
	over  time.Time
}

func (b *bound) of(*store.Record) (uint64, time.Time) { return b.login, b.over }

func TestBindingShutsOutConnectionsThatHaveNotProvedIt(t *testing.T) {
	device := &bound{}
	f := newFixture(t, registry.Config[*conn]{Device: device.of})
	unproved, proved := f.add("s", 1), f.make("s", 1)
	proved.entry.Attach("s", "", 1, 1)
	_, err := f.Add(proved)
	require.NoError(t, err)
	rec := &store.Record{ID: "s", Revision: 1, LoginGeneration: 1}
	require.Empty(t, f.Learn(rec), "the session isn't bound")
	device.login, device.over = 1, time.Now().Add(time.Hour)
	require.Equal(t, []*conn{unproved}, f.Learn(rec))
	require.Empty(t, f.Learn(rec), "once")

	rec.LoginGeneration, device.login = 3, 3
	require.Equal(t, []*conn{unproved, proved}, f.Learn(rec), "each once, although the login shuts them out as well")
}

func TestSessionIsLookedAtWhenItsDeviceIsToBeProved(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		device := &bound{1, time.Now().Add(10 * time.Minute)}
		f := newFixture(t, registry.Config[*conn]{Device: device.of})
		c := f.make("s", 1)
		c.entry.Attach("s", "", 1, 1)
		_, err := f.Add(c)
		require.NoError(t, err)
		rec := &store.Record{ID: "s", Revision: 1, Expires: time.Now().Add(time.Hour)}
		f.Learn(rec)
		time.Sleep(10*time.Minute - time.Second)
		synctest.Wait()
		require.Empty(t, f.looks())
		time.Sleep(time.Second)
		synctest.Wait()
		require.Equal(t, []string{"s"}, f.looks())
		require.Empty(t, f.Retry("s"), "the store didn't answer")
		f.Recorded("s", rec)
		time.Sleep(30 * time.Second)
		require.Equal(t, []*conn{c}, f.Retry("s"), "connections that nothing proves don't wait for the store")
	})
}
