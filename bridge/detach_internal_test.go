package bridge

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/internal/clock"
	"github.com/sessionbridge/sessionbridge/internal/registry"
	"github.com/sessionbridge/sessionbridge/internal/workers"
)

// A close that begins while Detach is already looking for one is waited for, too: what it writes to
// is gone when Detach has returned.
func TestDetachWaitsForACloseThatBeginsMeanwhile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begun := make(chan struct{})
		returned := false
		c := newCloser(func(int, string) {
			close(begun)
			time.Sleep(100 * time.Millisecond)
			returned = true
		})
		b := &Bridge{clock: clock.New(), work: workers.New(nil), events: newEvents(nil)}
		defer b.clock.Close()
		b.opts = &settings{}
		b.links = b.newRegistry()
		l := &Link{b: b, entry: registry.Entry{ID: "1", ClientID: "c"}, closer: c, cancel: func(error) {}}
		_, err := b.links.Add(l)
		require.NoError(t, err)
		go c.call(CodeDestroyed, "destroyed")
		<-begun // and the link's closing was not to be seen a moment ago
		l.Detach()
		require.True(t, returned)
		l.Detach()
	})
}
