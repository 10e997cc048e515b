package peers_test

import (
	"context"
	"fmt"
	"iter"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/bridge"
	"github.com/sessionbridge/sessionbridge/internal/testkit"
	"github.com/sessionbridge/sessionbridge/internal/testkit/await"
	"github.com/sessionbridge/sessionbridge/internal/testkit/teststore"
	"github.com/sessionbridge/sessionbridge/internal/testkit/webclient"
	"github.com/sessionbridge/sessionbridge/livestore"
	"github.com/sessionbridge/sessionbridge/store"
)

// The faults of redis-sessions and users-session-manager, which this library must not have.

func TestRedisFault_ManyChangesOfDifferentKeysAreAllKept(t *testing.T) {
	b := testkit.NewBridge(t, teststore.Shaken{Store: livestore.New()}, nil)
	app := b.Handler(testkit.NewMux(b))
	_, id := testkit.SignIn(t, app, "ada")
	var all sync.WaitGroup
	for i := range 20 {
		all.Go(func() {
			if err := testkit.Merge(t.Context(), b, id, map[string]any{fmt.Sprint("k", i): i}); err != nil {
				t.Errorf("merge: %v", err)
			}
		})
	}
	all.Wait()
	s, err := b.GetByID(t.Context(), id)
	require.NoError(t, err)
	for i := range 20 {
		v, ok := s.Get(fmt.Sprint("k", i))
		require.True(t, ok)
		require.EqualValues(t, i, v)
	}
}

func TestRedisFault_UseRacingKillLeavesNoGhost(t *testing.T) {
	for range 100 {
		b := testkit.NewBridge(t, teststore.Shaken{Store: livestore.New()}, &bridge.Options{TouchInterval: 1})
		app := b.Handler(testkit.NewMux(b))
		p, id := testkit.SignIn(t, app, "ada")
		var all sync.WaitGroup
		for range 4 {
			all.Go(func() { p.LookAt(t, app, "/get") })
			all.Go(func() { _ = b.TouchByID(t.Context(), id) })
		}
		all.Go(func() { _, _ = b.DestroyUser(t.Context(), "ada") })
		all.Wait()
		a, err := b.Activity(t.Context(), time.Hour)
		require.NoError(t, err)
		require.Equal(t, bridge.Activity{}, a)
		require.Empty(t, testkit.Listed(t, b, bridge.Filter{}))
		require.Zero(t, b.Stats().Attached)
	}
}

func TestRedisFault_DestroyAllRacingCreatesLeavesNoSessionThatIsNotListed(t *testing.T) {
	for range 50 {
		b := testkit.NewBridge(t, teststore.Shaken{Store: livestore.New()}, nil)
		app := b.Handler(testkit.NewMux(b))
		var all sync.WaitGroup
		var ended atomic.Int64
		for range 20 {
			all.Go(func() { webclient.Pocket{}.Get(t, app, "/login?user=ada") })
		}
		for range 2 {
			all.Go(func() {
				n, err := b.DestroyAll(t.Context())
				if err != nil {
					t.Errorf("destroy all: %v", err)
				}
				ended.Add(int64(n))
			})
		}
		all.Wait()
		left := testkit.Listed(t, b, bridge.Filter{})
		require.EqualValues(t, 20, ended.Load()+int64(len(left)), "each was ended, or came after")
		require.Len(t, testkit.Listed(t, b, bridge.Filter{UserID: "ada"}), len(left), "what is there is her's")
		n, err := b.DestroyUser(t.Context(), "ada")
		require.NoError(t, err)
		require.Equal(t, len(left), n, "and ends with her others")
	}
}

// hostileUsers are user IDs that fail in key separators, patterns, JavaScript prototypes or regular
// expressions.
var hostileUsers = []string{
	"a", "a:b", "a:b:c", ":", "constructor", "__proto__", "toString", "*", "a*", "{a}", "日本語", strings.Repeat("日", 85),
	strings.Repeat("a", 26) + "!", strings.Repeat("aA0-_", 51), strings.Repeat("x", 255), strings.Repeat("x", 254),
}

func TestRedisFault_HostileUserIDsLeakNothing(t *testing.T) {
	b := testkit.NewBridge(t, livestore.New(), nil)
	app := b.Handler(testkit.NewMux(b))
	for _, user := range hostileUsers {
		testkit.SignIn(t, app, url.QueryEscape(user))
		testkit.SignIn(t, app, url.QueryEscape(user))
	}
	for i, user := range hostileUsers {
		require.Len(t, testkit.Listed(t, b, bridge.Filter{UserID: user}), 2, "%q", user)
		n, err := b.DestroyUser(t.Context(), user)
		require.NoError(t, err)
		require.Equal(t, 2, n, "%q", user)
		require.Len(t, testkit.Listed(t, b, bridge.Filter{}), 2*(len(hostileUsers)-1-i), "and nobody else's")
	}
	a, err := b.Activity(t.Context(), time.Hour)
	require.NoError(t, err)
	require.Equal(t, bridge.Activity{}, a)
	require.Zero(t, b.Stats().Attached)
}

func TestUsersManagerFault_NamesOfAnObjectsOwnAreKeysLikeOthers(t *testing.T) {
	b := testkit.NewBridge(t, livestore.New(), nil)
	app := b.Handler(testkit.NewMux(b))
	_, id := testkit.SignIn(t, app, "__proto__")
	names := []string{"constructor", "__proto__", "toString", "hasOwnProperty", ""}
	for _, name := range names {
		s, err := b.GetByID(t.Context(), id)
		require.NoError(t, err)
		_, ok := s.Get(name)
		require.False(t, ok, "%q isn't there by itself", name)
		require.NoError(t, testkit.Merge(t.Context(), b, id, map[string]any{name: "mine"}))
	}
	s, err := b.GetByID(t.Context(), id)
	require.NoError(t, err)
	for _, name := range names {
		v, ok := s.Get(name)
		require.True(t, ok)
		require.Equal(t, "mine", v)
	}
}

func TestUsersManagerFault_UnknownIDsAreErrorsNotCrashes(t *testing.T) {
	b := testkit.NewBridge(t, livestore.New(), nil)
	for _, id := range append(hostileUsers, "", "no such session") {
		require.ErrorIs(t, testkit.Merge(t.Context(), b, id, map[string]any{"k": 1}), bridge.ErrSessionMissing)
		require.ErrorIs(t, b.TouchByID(t.Context(), id), bridge.ErrSessionMissing)
		was, err := b.DestroyByID(t.Context(), id)
		require.NoError(t, err)
		require.False(t, was)
	}
}

func TestUsersManagerFault_TimeoutsOverTwentyFiveDaysDontFireAtOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const idle = 60 * 24 * time.Hour
		b := testkit.NewBridge(t, livestore.New(), &bridge.Options{IdleTimeout: idle, Lifetime: bridge.Off})
		mux := http.NewServeMux()
		mux.Handle("/", testkit.NewMux(b))
		mux.Handle("/quiet", b.WebSocket(testkit.Converse, &bridge.ConnOptions{Heartbeat: bridge.Off})) // or there were 170,000 pings
		s := webclient.ServeInMemory(t, b.Handler(mux))
		br := webclient.NewBrowser(t, s)
		br.OK("/login?user=ada")
		ws := br.Dial("/quiet")
		require.NotEmpty(t, ws.Ask("id"))
		closed := ws.WhenClosed()
		time.Sleep(idle - time.Hour)
		require.Len(t, testkit.Listed(t, b, bridge.Filter{}), 1)
		require.Empty(t, closed)
		time.Sleep(2 * time.Hour)
		require.Equal(t, bridge.CodeExpired, await.Receive(t, closed))
		require.Empty(t, testkit.Listed(t, b, bridge.Filter{}))
	})
}

func TestUsersManagerFault_EndingTellsTheClient(t *testing.T) {
	b := testkit.NewBridge(t, livestore.New(), nil)
	s := webclient.Serve(t, b.Handler(testkit.NewMux(b)))
	for name, end := range map[string]func() (int, error){
		"user": func() (int, error) { return b.DestroyUser(t.Context(), "ada") },
		"all":  func() (int, error) { return b.DestroyAll(t.Context()) },
	} {
		br := webclient.NewBrowser(t, s)
		br.OK("/login?user=ada")
		ws := br.Dial("/ws")
		require.NotEmpty(t, ws.Ask("id"))
		n, err := end()
		require.NoError(t, err)
		require.Equal(t, 1, n)
		require.Equal(t, bridge.CodeDestroyed, ws.Closed(), name)
	}
}

// countingStore counts the records that are read.
type countingStore struct {
	*livestore.Store
	records, gets atomic.Int64
}

func (s *countingStore) Get(ctx context.Context, id string) (store.Record, error) {
	s.gets.Add(1)
	return s.Store.Get(ctx, id)
}

func (s *countingStore) count(all iter.Seq2[store.Record, error]) iter.Seq2[store.Record, error] {
	return func(yield func(store.Record, error) bool) {
		for rec, err := range all {
			s.records.Add(1)
			if !yield(rec, err) {
				return
			}
		}
	}
}

func (s *countingStore) ByUser(ctx context.Context, userID string) iter.Seq2[store.Record, error] {
	return s.count(s.Store.ByUser(ctx, userID))
}

func (s *countingStore) ActiveSince(ctx context.Context, since time.Time) iter.Seq2[store.Record, error] {
	return s.count(s.Store.ActiveSince(ctx, since))
}

func (s *countingStore) List(ctx context.Context) iter.Seq2[store.Record, error] {
	return s.count(s.Store.List(ctx))
}

func TestUsersManagerFault_ListingTenThousandUsersIsLinear(t *testing.T) {
	t.Parallel()
	synctest.Test(t, listTenThousand) // no time passes in the bubble
}

func listTenThousand(t *testing.T) {
	const users = 10_000
	st := &countingStore{Store: livestore.New()}
	now := time.Now()
	for i := range users {
		_, err := st.Set(t.Context(), store.Record{
			ID: fmt.Sprint("session", i), ClientID: fmt.Sprint("client", i), UserID: fmt.Sprint("user", i), TokenGeneration: 1,
			Data: []byte("{}"), Created: now, Seen: now.Add(-time.Duration(i) * time.Second),
		})
		require.NoError(t, err)
	}
	b := testkit.NewBridge(t, st, nil)
	require.Equal(t, users, len(testkit.Listed(t, b, bridge.Filter{})))
	require.EqualValues(t, users, st.records.Swap(0), "each is read once")
	require.Equal(t, 101, len(testkit.Listed(t, b, bridge.Filter{ActiveWithin: 100500 * time.Millisecond})))
	require.EqualValues(t, 101, st.records.Swap(0), "only what is asked for is read")
	require.Len(t, testkit.Listed(t, b, bridge.Filter{UserID: "user7"}), 1)
	require.EqualValues(t, 1, st.records.Swap(0))
	for _, err := range b.Sessions(t.Context(), bridge.Filter{}) {
		require.NoError(t, err)
		break
	}
	require.EqualValues(t, 1, st.records.Swap(0), "a loop that stops has read what it has seen")
	a, err := b.Activity(t.Context(), 100500*time.Millisecond)
	require.NoError(t, err)
	require.Equal(t, bridge.Activity{Users: 101, Sessions: 101}, a)
	require.Zero(t, st.records.Swap(0), "counting reads no record at all")
	n, err := b.DestroyUser(t.Context(), "user7")
	require.NoError(t, err)
	require.Equal(t, 1, n)
	require.EqualValues(t, 1, st.records.Swap(0))
	require.EqualValues(t, 1, st.gets.Swap(0))
	n, err = b.DestroyAll(t.Context())
	require.NoError(t, err)
	require.Equal(t, users-1, n)
	require.EqualValues(t, users-1, st.records.Load(), "nothing is looked at again and again")
	require.EqualValues(t, users-1, st.gets.Load())
}
