package bridgetest_test

import (
	"context"
	"net/http"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/bridge"
	"github.com/sessionbridge/sessionbridge/bridgetest"
	"github.com/sessionbridge/sessionbridge/filestore"
	"github.com/sessionbridge/sessionbridge/livestore"
)

func TestOptionsAreNotChanged(t *testing.T) {
	var opts bridge.Options
	bridgetest.New(t, &opts)
	require.Equal(t, bridge.Options{}, opts)
}

func TestInvalidOptionFailsTheTest(t *testing.T) {
	failures, _ := fails(t, func(t testing.TB) { bridgetest.New(t, &bridge.Options{IdleTimeout: 1}) })
	require.Contains(t, failures, "IdleTimeout")
}

// Two Bridges on one store have the same keys: a browser goes from one to the other.
func TestBridgesOfOneStore(t *testing.T) {
	st := livestore.New()
	one, two := bridgetest.NewOver(t, st, nil), bridgetest.NewOver(t, st, nil)
	c, other := bridgetest.NewClient(t, one, shop(one)), bridgetest.NewClient(t, two, shop(two))
	c.LogIn("ada")
	other.HTTP.Jar = c.HTTP.Jar
	require.Equal(t, "ada", look(other).User)
}

func TestStoreOfTheTest(t *testing.T) {
	st, err := filestore.Open(filepath.Join(t.TempDir(), "sessions.db"), nil)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, st.Close()) })
	b := bridgetest.NewOver(t, st, nil)
	c := bridgetest.NewClient(t, b, shop(b))
	c.LogIn("ada")
	require.Equal(t, "ada", look(c).User)
}

func TestLogIsPrintedIfTheTestFails(t *testing.T) {
	for _, fail := range []bool{false, true} {
		_, logged := fails(t, func(t testing.TB) {
			b := bridgetest.New(t, nil)
			c := bridgetest.NewClient(t, b, shop(b))
			c.LogIn("ada")
			if fail {
				t.Errorf("failed")
			}
		})
		require.Equal(t, fail, strings.Contains(logged, "level=DEBUG"), logged)
	}
}

func TestLongLogKeepsItsEnd(t *testing.T) {
	const lines = 10_000
	_, logged := fails(t, func(t testing.TB) {
		b := bridgetest.New(t, nil)
		c := bridgetest.NewClient(t, b, http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
		c.LogIn("ada")
		snapshot, err := b.GetByID(t.Context(), c.SessionID())
		require.NoError(t, err)
		for range lines {
			snapshot.Set("k", 1) // on a snapshot: logged
		}
		t.Errorf("failed")
	})
	require.Less(t, len(logged), 2<<20)
	require.Greater(t, len(logged), 1<<18)
	require.NotContains(t, strings.Split(logged, "\n")[1], "session stored")
	for line := range strings.Lines(strings.TrimSpace(logged)) {
		require.Regexp(t, "^(time=|bridgetest: )", line, "whole lines are dropped")
	}
}

// A connection that the application has not let go of fails the test, with the user's name.
func TestConnectionThatStaysOpenFailsTheTest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		failures, _ := fails(t, func(t testing.TB) {
			b := bridgetest.New(t, nil)
			c := bridgetest.NewClient(t, b, b.Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
				_, err := b.Attach(r, func(int, string) {})
				require.NoError(t, err)
			})))
			c.LogIn("ada")
			c.Get("/").Expect(http.StatusOK)
		})
		require.Contains(t, failures, `of user "ada", opened 1m0s ago, is still open`)
	})
}

// So does a remote that was never detached, and a client without a handler fails at once.
func TestRemoteThatStaysFailsTheTest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		failures, _ := fails(t, func(t testing.TB) {
			_, err := bridgetest.New(t, nil).AttachRemote(t.Context(), bridge.Remote{ID: "lamp-1", Lease: time.Hour})
			require.NoError(t, err)
		})
		require.Contains(t, failures, `remote lamp-1 of user "", attached 1m0s ago, is still there: call Detach of its RemoteLink`)
		require.NotContains(t, failures, "is still open")
	})
	failures, _ := fails(t, func(t testing.TB) { bridgetest.NewClient(t, bridgetest.New(t, nil), nil) })
	require.Equal(t, "bridgetest: NewClient: the handler is nil: pass the handler of the application", failures)
}

func TestHandlerThatHangsFailsTheTest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hang := make(chan struct{})
		failures, _ := fails(t, func(t testing.TB) {
			b := bridgetest.New(t, nil)
			c := bridgetest.NewClient(t, b, b.WebSocket(func(context.Context, *bridge.Conn) error { <-hang; return nil }, nil))
			c.Dial("/", nil)
			bridgetest.Advance(0) // until the handler runs
		})
		close(hang)
		require.Contains(t, failures, "is still open")
		require.Contains(t, failures, "a handler or a callback ignores the end of its context")
		time.Sleep(time.Minute) // until the Bridge's own goroutines have ended
	})
}

// An application's tests get nothing heavy through this package.
func TestDependencies(t *testing.T) {
	out, err := exec.CommandContext(t.Context(), "go", "list", "-deps", ".").Output()
	require.NoError(t, err)
	for _, heavy := range []string{"testify", "goleak", "porcupine", "rueidis", "bbolt", "chromedp", "redisstore", "filestore", "testkit"} {
		require.NotContains(t, string(out), heavy)
	}
}
