package security_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/bridge"
	"github.com/sessionbridge/sessionbridge/internal/testkit"
	"github.com/sessionbridge/sessionbridge/internal/testkit/teststore"
	"github.com/sessionbridge/sessionbridge/internal/testkit/webclient"
	"github.com/sessionbridge/sessionbridge/livestore"
)

// It was destroyed by another node or directly in the store, without a notification to this Bridge.
func TestS09_SocketsOfASessionThatHasGoneAreClosed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := livestore.New()
		a := testkit.NewApp(t, st, testkit.Lasting())
		br := webclient.NewBrowser(t, a.ServeInMemory(t))
		br.OK("/inc")
		id := br.OK("/id")
		one, two := br.Dial("/ws"), br.Dial("/ws")
		codes := []<-chan int{one.WhenClosed(), two.WhenClosed()}
		start := time.Now()
		was, err := st.Destroy(t.Context(), id)
		require.NoError(t, err)
		require.True(t, was)
		for _, code := range codes {
			require.Equal(t, bridge.CodeDestroyed, <-code)
		}
		require.LessOrEqual(t, time.Since(start), testkit.Revalidate)
	})
}

// Its idle timeout was shortened without a notification to this Bridge, which expects it to live
// for ever.
func TestS09_SocketsOfASessionThatHasExpiredUnnoticedAreClosed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := livestore.New()
		a := testkit.NewApp(t, st, testkit.Lasting())
		br := webclient.NewBrowser(t, a.ServeInMemory(t))
		br.OK("/inc")
		code := br.Dial("/ws").WhenClosed()
		rec := teststore.Stored(t, st, br.OK("/id"))
		rec.Expires = time.Now().Add(time.Second)
		_, err := st.Set(t.Context(), rec)
		require.NoError(t, err)
		start := time.Now()
		require.Equal(t, bridge.CodeExpired, <-code)
		require.LessOrEqual(t, time.Since(start), testkit.Revalidate)
	})
}

// A login made elsewhere shuts out the sockets that proved an older token, and no others.
func TestS09_SocketsThatALoginElsewhereHasShutOutAreClosed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := livestore.New()
		opts := testkit.Lasting()
		opts.Keys = [][]byte{make([]byte, 32)}
		here, elsewhere := testkit.NewApp(t, st, opts), testkit.NewApp(t, st, opts)
		br := webclient.NewBrowser(t, here.ServeInMemory(t))
		br.OK("/inc")
		older := br.Dial("/ws").WhenClosed()
		other := webclient.NewBrowser(t, elsewhere.ServeInMemory(t))
		other.Client.Jar = br.Client.Jar
		other.OK("/login?user=ada")
		newer := br.Dial("/ws").WhenClosed()
		start := time.Now()
		require.Equal(t, bridge.CodeReconnect, <-older)
		require.LessOrEqual(t, time.Since(start), testkit.Revalidate+time.Second)
		time.Sleep(3 * testkit.Revalidate)
		require.Empty(t, newer)
		require.Equal(t, 1, here.Stats().Conns)
	})
}

func TestS09_RevalidationIsNoActivity(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		opts := testkit.Expiring(0)
		opts.RevalidateEvery = 10 * time.Second
		st := teststore.NewFaulty()
		a := testkit.NewApp(t, st, opts)
		br := webclient.NewBrowser(t, a.ServeInMemory(t))
		br.OK("/inc")
		start := time.Now()
		require.Equal(t, bridge.CodeExpired, br.Dial("/ws").ClosedEventually())
		require.LessOrEqual(t, time.Since(start), testkit.Idle+testkit.Touch+time.Second)
		require.Greater(t, st.Count("Get"), 60)
		require.Zero(t, st.Count("Touch"))
	})
}

func TestS09_RevalidationCanBeSwitchedOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := teststore.NewFaulty()
		opts := testkit.Lasting()
		opts.RevalidateEvery = bridge.Off
		a := testkit.NewApp(t, st, opts)
		br := webclient.NewBrowser(t, a.ServeInMemory(t))
		br.OK("/inc")
		br.Dial("/ws").WhenClosed()
		synctest.Wait()
		gets := st.Count("Get")
		time.Sleep(24 * time.Hour)
		require.Equal(t, gets, st.Count("Get"))
	})
}

// While the store is away, connections of sessions whose time isn't over stay open.
func TestS09_AnOutageClosesNoSocketWhoseTimeIsNotOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := teststore.NewFaulty()
		a := testkit.NewApp(t, st, testkit.Lasting())
		br := webclient.NewBrowser(t, a.ServeInMemory(t))
		br.OK("/inc")
		id := br.OK("/id")
		code := br.Dial("/ws").WhenClosed()
		synctest.Wait()
		st.Always(teststore.Refuse(teststore.ErrOutage), "Get", "Destroy")
		time.Sleep(time.Hour)
		require.Empty(t, code)
		st.Heal()
		_, err := st.Store.Destroy(t.Context(), id)
		require.NoError(t, err)
		start := time.Now()
		require.Equal(t, bridge.CodeDestroyed, <-code)
		require.LessOrEqual(t, time.Since(start), 5*time.Second, "looked at again as soon as the store is back")
	})
}
