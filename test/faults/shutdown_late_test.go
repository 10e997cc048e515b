package faults_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/bridge"
	"github.com/sessionbridge/sessionbridge/internal/testkit/webclient"
	"github.com/sessionbridge/sessionbridge/livestore"
)

// After a shutdown that has run out of time, connections are still closed within their limits: a
// peer that doesn't answer is cut after a second.
func TestShutdownThatIsOutOfTimeStillCutsThoseThatDoNotAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, err := bridge.New(livestore.New(), nil)
		require.NoError(t, err)
		ended := make(chan time.Time, 1)
		h := b.WebSocket(func(ctx context.Context, c *bridge.Conn) error {
			_, _, err := c.Read(ctx)
			for err == nil {
				_, _, err = c.Read(ctx)
			}
			ended <- time.Now()
			return err
		}, nil)
		webclient.NewBrowser(t, webclient.ServeInMemory(t, h)).Dial("/") // and never reads
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		start := time.Now()
		require.ErrorIs(t, b.Shutdown(ctx), context.DeadlineExceeded)
		require.LessOrEqual(t, (<-ended).Sub(start), 1100*time.Millisecond)
	})
}
