package bridge_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/bridge"
	"github.com/sessionbridge/sessionbridge/livestore"
)

const revalidate = 5 * time.Minute // the default

// lasting are sessions that time doesn't end, so that only revalidation looks at them.
func lasting() *bridge.Options {
	return &bridge.Options{IdleTimeout: bridge.Off, Lifetime: bridge.Off, AutoCleanup: bridge.Off}
}

// It was destroyed past this Bridge, by another node or in the store, and nobody has said a word.
func TestS09_SocketsOfASessionThatHasGoneAreClosed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := livestore.New()
		a := makeApp(t, st, lasting())
		br := newBrowser(t, a.serveInMemory(t))
		br.ok("/inc")
		id := br.ok("/id")
		one, two := br.dial("/ws"), br.dial("/ws")
		codes := []<-chan int{one.whenClosed(), two.whenClosed()}
		start := time.Now()
		was, err := st.Destroy(t.Context(), id)
		require.NoError(t, err)
		require.True(t, was)
		for _, code := range codes {
			require.Equal(t, bridge.CodeDestroyed, <-code)
		}
		require.LessOrEqual(t, time.Since(start), revalidate)
	})
}

// Its idle timeout was shortened past this Bridge, which expects it to live for ever.
func TestS09_SocketsOfASessionThatHasExpiredUnnoticedAreClosed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := livestore.New()
		a := makeApp(t, st, lasting())
		br := newBrowser(t, a.serveInMemory(t))
		br.ok("/inc")
		code := br.dial("/ws").whenClosed()
		rec := stored(t, st, br.ok("/id"))
		rec.Expires = time.Now().Add(time.Second)
		_, err := st.Set(t.Context(), rec)
		require.NoError(t, err)
		start := time.Now()
		require.Equal(t, bridge.CodeExpired, <-code)
		require.LessOrEqual(t, time.Since(start), revalidate)
	})
}

// A login made elsewhere shuts out the sockets that proved an older token, and no others.
func TestS09_SocketsThatALoginElsewhereHasShutOutAreClosed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := livestore.New()
		opts := lasting()
		opts.Keys = [][]byte{make([]byte, 32)}
		here, elsewhere := makeApp(t, st, opts), makeApp(t, st, opts)
		br := newBrowser(t, here.serveInMemory(t))
		br.ok("/inc")
		older := br.dial("/ws").whenClosed()
		other := newBrowser(t, elsewhere.serveInMemory(t))
		other.client.Jar = br.client.Jar
		other.ok("/login?user=ada")
		newer := br.dial("/ws").whenClosed()
		start := time.Now()
		require.Equal(t, bridge.CodeReconnect, <-older)
		require.LessOrEqual(t, time.Since(start), revalidate+time.Second)
		time.Sleep(3 * revalidate)
		require.Empty(t, newer)
		require.Equal(t, 1, here.Stats().Conns)
	})
}

func TestS09_RevalidationIsNoActivity(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		opts := expiring(0)
		opts.RevalidateEvery = 10 * time.Second
		st := newFaultyStore()
		a := makeApp(t, st, opts)
		br := newBrowser(t, a.serveInMemory(t))
		br.ok("/inc")
		start := time.Now()
		require.Equal(t, bridge.CodeExpired, br.dial("/ws").closedEventually())
		require.LessOrEqual(t, time.Since(start), idle+touch+time.Second)
		require.Greater(t, st.count("Get"), 60)
		require.Zero(t, st.count("Touch"))
	})
}

// One look at a session in each interval, however many sockets it has; and those of sessions that came at once don't come at once.
func TestS09_LooksAreOnePerSessionAndSpread(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		st := newFaultyStore()
		a := makeApp(t, st, lasting())
		a.mux.Handle("/beating", a.WebSocket(converse, nil))
		site := a.serveInMemory(t)
		const sessions = 100
		for range sessions {
			br := newBrowser(t, site)
			br.ok("/inc")
			br.dial("/beating").whenClosed()
			br.dial("/beating").whenClosed()
		}
		synctest.Wait()
		require.Equal(t, 3*sessions, a.Deadlines()-2, "one deadline for each session and each heartbeat, one to see who reads, and one of the Bridge's own")
		before, most := st.count("Get"), 0
		for range 60 {
			last := st.count("Get")
			time.Sleep(revalidate / 60)
			synctest.Wait()
			most = max(most, st.count("Get")-last)
		}
		looks := st.count("Get") - before
		require.GreaterOrEqual(t, looks, sessions)
		require.LessOrEqual(t, looks, 2*sessions)
		require.Less(t, most, sessions/4, "spread over half of the interval: three or four in each sixtieth")
	})
}

func TestS09_RevalidationCanBeSwitchedOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := newFaultyStore()
		opts := lasting()
		opts.RevalidateEvery = bridge.Off
		a := makeApp(t, st, opts)
		br := newBrowser(t, a.serveInMemory(t))
		br.ok("/inc")
		br.dial("/ws").whenClosed()
		synctest.Wait()
		gets := st.count("Get")
		time.Sleep(24 * time.Hour)
		require.Equal(t, gets, st.count("Get"))
	})
}

// A store that is away is no reason to close what it said was alive, as long as its time isn't over.
func TestS09_AnOutageClosesNoSocketWhoseTimeIsNotOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := newFaultyStore()
		a := makeApp(t, st, lasting())
		br := newBrowser(t, a.serveInMemory(t))
		br.ok("/inc")
		id := br.ok("/id")
		code := br.dial("/ws").whenClosed()
		synctest.Wait()
		st.always(refuse(errOutage), "Get", "Destroy")
		time.Sleep(time.Hour)
		require.Empty(t, code)
		st.heal()
		_, err := st.Store.Destroy(t.Context(), id)
		require.NoError(t, err)
		start := time.Now()
		require.Equal(t, bridge.CodeDestroyed, <-code)
		require.LessOrEqual(t, time.Since(start), 5*time.Second, "looked at again as soon as the store is back")
	})
}
