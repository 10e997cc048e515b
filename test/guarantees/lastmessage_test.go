package guarantees_test

import (
	"context"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/bridge"
	"github.com/sessionbridge/sessionbridge/internal/testkit"
	"github.com/sessionbridge/sessionbridge/livestore"
)

// A function of the application that hangs or panics delays no logout and no close (G4, G12).
func TestG12_LastMessageThatMisbehavesHoldsUpNoLogout(t *testing.T) {
	for name, last := range map[string]func(ctx context.Context, b *bridge.Bridge, e bridge.SessionDestroy) []byte{
		"hangs": func(context.Context, *bridge.Bridge, bridge.SessionDestroy) []byte {
			time.Sleep(10 * time.Second)
			return nil
		},
		"ends its goroutine": func(context.Context, *bridge.Bridge, bridge.SessionDestroy) []byte { runtime.Goexit(); return nil },
		"ends the session": func(ctx context.Context, b *bridge.Bridge, e bridge.SessionDestroy) []byte {
			_, _ = b.DestroyByID(ctx, e.SessionID)
			return nil
		},
		"waits for the session": func(ctx context.Context, b *bridge.Bridge, e bridge.SessionDestroy) []byte {
			_ = b.UpdateByID(ctx, e.SessionID, func(context.Context, *bridge.Session) error { return nil })
			b.NotifyStoreDestroy(e.SessionID)
			return nil
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var a *testkit.App
				ctx := context.WithoutCancel(t.Context())
				a = testkit.NewApp(t, livestore.New(), &bridge.Options{LastMessage: func(e bridge.SessionDestroy) []byte { return last(ctx, a.Bridge, e) }})
				codes := make(chan int, 1)
				link, id := testkit.Attach(t, a, func(code int, _ string) { codes <- code })
				defer link.Detach()
				start := time.Now()
				done := make(chan struct{})
				go func() {
					defer close(done)
					_, _ = a.DestroyByID(t.Context(), id)
				}()
				<-done
				require.Zero(t, time.Since(start), "Destroy waits for no callback")
				time.Sleep(time.Second)
				synctest.Wait()
				require.Len(t, codes, 1)
				require.Equal(t, bridge.CodeDestroyed, <-codes)
			})
		})
	}
}

// Expiries are checked by a few goroutines, which an application's function must not block.
func TestG12_LastMessageThatHangsStopsNoOtherExpiry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hung := make(chan struct{})
		defer close(hung)
		a := testkit.NewApp(t, livestore.New(), &bridge.Options{
			IdleTimeout: time.Hour, AutoCleanup: bridge.Off,
			LastMessage: func(bridge.SessionDestroy) []byte { <-hung; return nil },
		})
		const n = 100
		codes := make(chan int, n)
		for range n {
			link, _ := testkit.Attach(t, a, func(code int, _ string) { codes <- code })
			defer link.Detach()
		}
		time.Sleep(time.Hour + 5*time.Minute)
		synctest.Wait()
		require.Len(t, codes, n)
	})
}
