package nodes_test

import (
	"bytes"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/bridge"
	"github.com/sessionbridge/sessionbridge/filestore"
	"github.com/sessionbridge/sessionbridge/internal/redistest"
	"github.com/sessionbridge/sessionbridge/internal/testkit/endtoend"
	"github.com/sessionbridge/sessionbridge/livestore"
	"github.com/sessionbridge/sessionbridge/redisstore"
	"github.com/sessionbridge/sessionbridge/store"
)

// visitsOf stores n sessions of 4 kB of one client, a millisecond apart, half of them with a user.
func visitsOf(t *testing.T, st store.Store, clientID string, n int) {
	t.Helper()
	data := slices.Concat([]byte(`{"x":"`), bytes.Repeat([]byte("x"), 4096), []byte(`"}`))
	now := time.Now().UTC().Truncate(time.Millisecond).Add(-time.Minute)
	var all sync.WaitGroup
	for writer := range 32 {
		all.Go(func() {
			for i := writer; i < n; i += 32 {
				at := now.Add(time.Duration(i) * time.Millisecond)
				rec := store.Record{
					ID: uuid.NewString(), ClientID: clientID, Data: data, TokenGeneration: 1, WriteID: store.WriteID(uuid.New()),
					Created: at, Seen: at, Expires: at.Add(time.Hour), Idle: time.Hour,
				}
				if i%2 == 0 {
					rec.UserID, rec.LoggedIn = "ada", at
				}
				if _, err := st.Set(t.Context(), rec); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	all.Wait()
}

// TestAHandshakeReadsNoMoreOfRedisTheMoreSessionsItsClientHas: a script that keeps its client
// cookie and drops the session cookie must not make its next handshake expensive.
func TestAHandshakeReadsNoMoreOfRedisTheMoreSessionsItsClientHas(t *testing.T) {
	const visits = 2000
	s := redistest.Start(t)
	st, err := redisstore.Open(t.Context(), s.URL(), nil)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, st.Close()) })
	a := endtoend.Start(t, st, &bridge.Options{Keys: [][]byte{endtoend.NewKey()}, Rebind: bridge.Follow}) // Follow wants the newest session
	ada := endtoend.NewBrowser(t, a)
	ada.Get("/increment")
	var client string
	for info, err := range a.Bridge.Sessions(t.Context(), bridge.Filter{}) {
		require.NoError(t, err)
		client = info.ClientID
	}
	visitsOf(t, st, client, visits)
	out := func() int {
		n, err := strconv.Atoi(s.Info("stats")["total_net_output_bytes"])
		require.NoError(t, err)
		return n
	}
	before := out()
	ada.ForgetSession()
	require.Equal(t, "1", ada.Dial().Ask("count"), "it has followed its client to the newest session")
	require.Less(t, out()-before, 100_000)

	before = out()
	listed := 0
	for _, err := range st.ByClient(t.Context(), client) {
		require.NoError(t, err)
		listed++
	}
	require.Equal(t, visits+1, listed)
	require.Greater(t, out()-before, visits*4096, "the control: to read them all is that much")
}

// TestAClientsSessionsAreBoundedInEveryStore: even if there were too many before.
func TestAClientsSessionsAreBoundedInEveryStore(t *testing.T) {
	for name, open := range map[string]func(t *testing.T) store.Store{
		"live": func(*testing.T) store.Store { return livestore.New() },
		"file": func(t *testing.T) store.Store {
			st, err := filestore.Open(filepath.Join(t.TempDir(), "sessions.db"), nil)
			require.NoError(t, err)
			t.Cleanup(func() { require.NoError(t, st.Close()) })
			return st
		},
		"redis": func(t *testing.T) store.Store {
			st, err := redisstore.Open(t.Context(), redistest.Start(t).URL(), &redisstore.Options{Shards: 3})
			require.NoError(t, err)
			t.Cleanup(func() { require.NoError(t, st.Close()) })
			return st
		},
	} {
		t.Run(name, func(t *testing.T) {
			st := open(t)
			a := endtoend.Start(t, st, &bridge.Options{Keys: [][]byte{endtoend.NewKey()}})
			ada := endtoend.NewBrowser(t, a)
			ada.Get("/increment")
			var client string
			for info, err := range a.Bridge.Sessions(t.Context(), bridge.Filter{}) {
				require.NoError(t, err)
				client = info.ClientID
			}
			visitsOf(t, st, client, 100)
			for range 20 {
				ada.ForgetSession()
				require.Equal(t, "1", ada.Get("/increment"))
			}
			guests, users := 0, 0
			for info, err := range a.Bridge.Sessions(t.Context(), bridge.Filter{ClientID: client}) {
				require.NoError(t, err)
				if info.UserID == "" {
					guests++
				} else {
					users++
				}
			}
			require.Equal(t, 16, guests)
			require.Equal(t, 50, users)
			require.Equal(t, "2", ada.Get("/increment"), "the newest is one of those that are left")
		})
	}
}
