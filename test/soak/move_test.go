package soak_test

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/bridge"
	"github.com/sessionbridge/sessionbridge/filestore"
	"github.com/sessionbridge/sessionbridge/internal/redistest"
	"github.com/sessionbridge/sessionbridge/internal/testkit"
	"github.com/sessionbridge/sessionbridge/internal/testkit/webclient"
	"github.com/sessionbridge/sessionbridge/livestore"
	"github.com/sessionbridge/sessionbridge/redisstore"
	"github.com/sessionbridge/sessionbridge/store"
)

// mover is a browser whose session is to survive the moves.
type mover struct {
	mu     sync.Mutex
	user   string // who logs in: the login of another one would clear the values
	cookie webclient.Pocket
	count  int  // of its visits
	gone   bool // it has logged out; the cookie is that from before
}

// act visits one page at random, and checks the answer.
func (m *mover) act(t *testing.T, h http.Handler, random *rand.Rand) {
	m.mu.Lock()
	defer m.mu.Unlock()
	path, want := "/inc", m.count+1
	switch n := random.IntN(200); {
	case m.gone:
		return
	case n == 0:
		copied := webclient.Pocket{"sid": m.cookie["sid"], "sid.cid": m.cookie["sid.cid"]}
		copied.Get(t, h, "/logout")
		m.gone = true
		return
	case n < 20:
		m.cookie.Get(t, h, "/rotate")
		path, want = "/get", m.count
	case n < 40:
		m.cookie.Get(t, h, "/login?user="+m.user)
		path, want = "/get", m.count
	}
	if got := m.cookie.Get(t, h, path).Body.String(); got != strconv.Itoa(want) {
		t.Errorf("%s: %s instead of %d", path, got, want)
	}
	m.count = want
}

// requireCount fails if the session does not have the mover's count.
func (m *mover) requireCount(t *testing.T, h http.Handler) {
	t.Helper()
	want := strconv.Itoa(m.count)
	if m.gone {
		want = "0"
	}
	require.Equal(t, want, m.cookie.Get(t, h, "/get").Body.String())
}

// traffic has the movers act until the function that it returns is called.
func traffic(t *testing.T, h http.Handler, movers []*mover) (stop func()) {
	over := make(chan struct{})
	var acting sync.WaitGroup
	for range 2 {
		acting.Go(func() {
			random := rand.New(rand.NewPCG(rand.Uint64(), 0))
			for {
				select {
				case <-over:
					return
				default:
					movers[random.IntN(len(movers))].act(t, h, random)
				}
			}
		})
	}
	stop = sync.OnceFunc(func() { close(over); acting.Wait() })
	t.Cleanup(stop)
	return stop
}

// TestSoakMoveOfStores moves an application from memory to a file and on to Redis while its
// browsers are busy, by the steps of docs/operations.md: first with a pause, then without. No
// browser loses its session, its values or its login, and no session that has ended comes back. 300
// sessions; with SOAK set 100,000.
func TestSoakMoveOfStores(t *testing.T) {
	besideOthers(t)
	n := 300
	if os.Getenv("SOAK") != "" {
		n = 100_000
	}
	key := testkit.Key()
	app := func(st store.Store) http.Handler {
		a := testkit.NewApp(t, st, &bridge.Options{Keys: [][]byte{key}})
		return a.Handler(a.Mux)
	}
	move := func(from store.Lister, to store.Store, opts store.CopyOptions) int {
		began := time.Now()
		changed, err := store.Copy(t.Context(), from, to, opts)
		require.NoError(t, err)
		t.Logf("%d sessions in %v", changed, time.Since(began))
		return changed
	}
	memory := livestore.New()
	file, err := filestore.Open(filepath.Join(t.TempDir(), "sessions.db"), nil)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, file.Close()) })
	redis, err := redisstore.Open(t.Context(), redistest.Start(t).URL(), nil)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, redis.Close()) })

	h := app(memory)
	movers := make([]*mover, n)
	for i := range movers {
		movers[i] = &mover{user: fmt.Sprint("u", i), cookie: webclient.Pocket{}, count: 1}
		movers[i].cookie.Get(t, h, "/inc")
	}
	stop := traffic(t, h, movers)
	move(memory, file, store.CopyOptions{})
	stop()
	move(memory, file, store.CopyOptions{Mirror: true})
	require.Zero(t, move(memory, file, store.CopyOptions{Mirror: true}))
	h = app(file)
	for _, m := range movers {
		m.requireCount(t, h)
	}

	busy, idle := movers[n/10:], movers[:n/10]
	stop = traffic(t, h, busy)
	move(file, redis, store.CopyOptions{})
	stop()
	lost := webclient.Pocket{}
	lost.Get(t, h, "/inc")
	h = app(redis)
	switched := time.Now()
	begun := &mover{cookie: webclient.Pocket{}, count: 1}
	begun.cookie.Get(t, h, "/inc")
	random := rand.New(rand.NewPCG(rand.Uint64(), 0))
	for _, m := range idle {
		m.act(t, h, random)
	}
	move(file, redis, store.CopyOptions{Mirror: true, Switched: switched})
	for _, m := range append(movers, begun) {
		m.requireCount(t, h)
	}
	require.Equal(t, "0", lost.Get(t, h, "/get").Body.String(), "it began between the copy and the switch")
}
