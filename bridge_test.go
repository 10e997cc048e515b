package sessionbridge_test

import (
	"strconv"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/bridge"
	"github.com/sessionbridge/sessionbridge/internal/testkit/endtoend"
	"github.com/sessionbridge/sessionbridge/livestore"
)

// TestLife: one session, from its first request to its logout, over both transports and in two
// tabs, and the next session.
func TestLife(t *testing.T) {
	a := endtoend.Start(t, livestore.New(), nil)
	ada := endtoend.NewBrowser(t, a)
	require.Equal(t, "1", ada.Get("/increment"))
	require.Equal(t, "2", ada.Get("/increment"))
	first := ada.Get("/id")

	tab := ada.Dial()
	require.Equal(t, "3", tab.Ask("increment"), "the socket goes on where HTTP was")
	require.Equal(t, "4", ada.Get("/increment"), "and HTTP where the socket was")
	require.Equal(t, first, tab.Ask("id"))
	second := ada.Dial()
	require.Equal(t, "5", second.Ask("increment"))
	require.Equal(t, "6", tab.Ask("increment"))

	old := ada.Cookie("sid")
	require.Equal(t, "ada", ada.Get("/login?user=ada"))
	require.NotEqual(t, old, ada.Cookie("sid"))
	require.Equal(t, bridge.CodeReconnect, tab.Closed())
	require.Equal(t, bridge.CodeReconnect, second.Closed())

	tab, second = ada.Dial(), ada.Dial()
	require.Equal(t, first, tab.Ask("id"), "a login keeps the session")
	require.Equal(t, "ada", tab.Ask("user"))
	require.Equal(t, "7", second.Ask("increment"), "and its values")

	require.Equal(t, "bye", ada.Get("/logout"))
	require.Empty(t, ada.Cookie("sid"))
	require.Equal(t, bridge.CodeDestroyed, tab.Closed())
	require.Equal(t, bridge.CodeDestroyed, second.Closed())

	require.Equal(t, "1", ada.Get("/increment"), "a new session begins anew")
	require.NotEqual(t, first, ada.Get("/id"))
	tab = ada.Dial()
	require.Equal(t, "2", tab.Ask("increment"))
	require.Empty(t, tab.Ask("user"))
}

// TestTwoBrowsers: the requests of one browser, including its login and logout, don't affect the
// other.
func TestTwoBrowsers(t *testing.T) {
	a := endtoend.Start(t, livestore.New(), nil)
	ada, bob := endtoend.NewBrowser(t, a), endtoend.NewBrowser(t, a)
	require.Equal(t, "1", ada.Get("/increment"))
	require.Equal(t, "1", bob.Get("/increment"))
	require.NotEqual(t, ada.Get("/id"), bob.Get("/id"))
	require.NotEqual(t, ada.Get("/client"), bob.Get("/client"))
	socket := bob.Dial()
	require.Equal(t, "2", socket.Ask("increment"))

	ada.Get("/login?user=ada")
	ada.Get("/logout")
	require.Equal(t, "3", socket.Ask("increment"), "bob's socket is still open")
	require.Empty(t, socket.Ask("user"))
	require.Equal(t, "4", bob.Get("/increment"))
	require.Equal(t, "1", ada.Get("/increment"))
}

// TestG1_ConcurrentIncrements: of 50 concurrent increments over two sockets and HTTP none is lost,
// and each returns a different number.
func TestG1_ConcurrentIncrements(t *testing.T) {
	a := endtoend.Start(t, livestore.New(), nil)
	ada := endtoend.NewBrowser(t, a)
	ada.Get("/id?new")
	sockets := []*endtoend.Socket{ada.Dial(), ada.Dial()}
	answers := make(chan string, 50)
	var all sync.WaitGroup
	for _, s := range sockets {
		all.Go(func() {
			for range 16 {
				s.Say("increment")
			}
		})
		all.Go(func() {
			for range 16 {
				answers <- s.Hear()
			}
		})
	}
	for range 50 - 2*16 {
		all.Go(func() { answers <- ada.Get("/increment") })
	}
	all.Wait()
	close(answers)
	seen := map[string]bool{}
	for answer := range answers {
		seen[answer] = true
	}
	for n := 1; n <= 50; n++ {
		require.Contains(t, seen, strconv.Itoa(n))
	}
	require.Equal(t, "50", ada.Get("/count"))
}
