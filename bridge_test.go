package sessionbridge_test

import (
	"flag"
	"os"
	"strconv"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/sessionbridge/sessionbridge/bridge"
	"github.com/sessionbridge/sessionbridge/livestore"
)

// TestMain checks that no test leaves a goroutine behind, or is, in a process that a test has started, clients or a node.
func TestMain(m *testing.M) {
	if redis := os.Getenv(farmVariable); redis != "" {
		os.Exit(runFarmNode(redis, os.Stdin, os.Stdout))
	}
	if addr := os.Getenv(crowdVariable); addr != "" {
		runClients(addr, os.Stdin, os.Stdout)
		return
	}
	flag.Parse()
	if parallel := flag.Lookup("test.parallel"); parallel.Value.String() == parallel.DefValue {
		_ = flag.Set("test.parallel", "4") // not one for each core: those in parallel mostly wait
	}
	goleak.VerifyTestMain(m)
}

// TestLife: one session, from its first request to its logout, over both transports and in two tabs; and the one after it.
func TestLife(t *testing.T) {
	a := start(t, livestore.New(), nil)
	ada := newBrowser(t, a)
	require.Equal(t, "1", ada.get("/increment"))
	require.Equal(t, "2", ada.get("/increment"))
	first := ada.get("/id")

	tab := ada.dial()
	require.Equal(t, "3", tab.ask("increment"), "the socket goes on where HTTP was")
	require.Equal(t, "4", ada.get("/increment"), "and HTTP where the socket was")
	require.Equal(t, first, tab.ask("id"))
	second := ada.dial()
	require.Equal(t, "5", second.ask("increment"))
	require.Equal(t, "6", tab.ask("increment"))

	old := ada.cookie("sid")
	require.Equal(t, "ada", ada.get("/login?user=ada"))
	require.NotEqual(t, old, ada.cookie("sid"))
	require.Equal(t, bridge.CodeReconnect, tab.closed())
	require.Equal(t, bridge.CodeReconnect, second.closed())

	tab, second = ada.dial(), ada.dial()
	require.Equal(t, first, tab.ask("id"), "a login keeps the session")
	require.Equal(t, "ada", tab.ask("user"))
	require.Equal(t, "7", second.ask("increment"), "and its values")

	require.Equal(t, "bye", ada.get("/logout"))
	require.Empty(t, ada.cookie("sid"))
	require.Equal(t, bridge.CodeDestroyed, tab.closed())
	require.Equal(t, bridge.CodeDestroyed, second.closed())

	require.Equal(t, "1", ada.get("/increment"), "a new session begins anew")
	require.NotEqual(t, first, ada.get("/id"))
	tab = ada.dial()
	require.Equal(t, "2", tab.ask("increment"))
	require.Empty(t, tab.ask("user"))
}

// TestTwoBrowsers: what one does, its login and its logout too, is nothing to the other.
func TestTwoBrowsers(t *testing.T) {
	a := start(t, livestore.New(), nil)
	ada, bob := newBrowser(t, a), newBrowser(t, a)
	require.Equal(t, "1", ada.get("/increment"))
	require.Equal(t, "1", bob.get("/increment"))
	require.NotEqual(t, ada.get("/id"), bob.get("/id"))
	require.NotEqual(t, ada.get("/client"), bob.get("/client"))
	socket := bob.dial()
	require.Equal(t, "2", socket.ask("increment"))

	ada.get("/login?user=ada")
	ada.get("/logout")
	require.Equal(t, "3", socket.ask("increment"), "bob's socket is still open")
	require.Empty(t, socket.ask("user"))
	require.Equal(t, "4", bob.get("/increment"))
	require.Equal(t, "1", ada.get("/increment"))
}

// TestG1_ConcurrentIncrements: 50 at once, over two sockets and HTTP, lose none, and each sees a number of its own.
func TestG1_ConcurrentIncrements(t *testing.T) {
	a := start(t, livestore.New(), nil)
	ada := newBrowser(t, a)
	ada.get("/id?new")
	sockets := []*socket{ada.dial(), ada.dial()}
	answers := make(chan string, 50)
	var all sync.WaitGroup
	for _, s := range sockets {
		all.Go(func() {
			for range 16 {
				s.say("increment")
			}
		})
		all.Go(func() {
			for range 16 {
				answers <- s.hear()
			}
		})
	}
	for range 50 - 2*16 {
		all.Go(func() { answers <- ada.get("/increment") })
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
	require.Equal(t, "50", ada.get("/count"))
}
