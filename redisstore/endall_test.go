package redisstore_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/rueidis"
	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/internal/redistest"
	"github.com/sessionbridge/sessionbridge/redisstore"
	"github.com/sessionbridge/sessionbridge/redisstore/internal/codec"
	"github.com/sessionbridge/sessionbridge/redisstore/internal/scripts"
	"github.com/sessionbridge/sessionbridge/store"
)

// endAll ends all sessions and returns them by ID. It fails if one is reported twice.
func endAll(t testing.TB, st *redisstore.Store) map[string]store.Record {
	t.Helper()
	all := map[string]store.Record{}
	require.NoError(t, st.EndAll(t.Context(), "", func(rec store.Record) {
		require.NotContains(t, all, rec.ID)
		all[rec.ID] = rec
	}))
	return all
}

// TestEndAllReportsEachSession as it was stored, and leaves nothing behind: no key of a session, no
// index entry, no message that is kept. Sessions of other Apps stay.
func TestEndAllReportsEachSession(t *testing.T) {
	t.Parallel()
	for _, shards := range []int{1, 7} {
		t.Run(fmt.Sprint("shards=", shards), func(t *testing.T) {
			t.Parallel()
			s := redistest.Start(t)
			root := open(t, s.URL(), &redisstore.Options{Shards: shards})
			st := root.App("shop").(*redisstore.Store)
			other := create(t, root)
			require.Empty(t, endAll(t, st))
			want := map[string]store.Record{}
			for _, rec := range fill(t, st, 1500) { // several pages of each index
				want[rec.ID] = rec
			}
			simultaneous := time.Now()
			for range 300 { // more than a script ends, in one page
				rec := create(t, st, func(rec *store.Record) { rec.UserID, rec.Seen = "", simultaneous })
				want[rec.ID] = rec
			}
			rec := create(t, st, func(rec *store.Record) { rec.Expires = time.Time{} })
			want[rec.ID] = rec
			to, limits := store.KeptFor{SessionID: rec.ID}, store.KeepLimits{For: time.Hour, Messages: 10, Bytes: 1000}
			require.NoError(t, st.Keep(t.Context(), to, store.KeptMessage{Data: []byte("hi")}, limits))
			got := endAll(t, st)
			require.Len(t, got, len(want))
			for id, rec := range want {
				require.Equal(t, rec.UserID, got[id].UserID)
				require.Equal(t, rec.ClientID, got[id].ClientID)
				require.Equal(t, rec.Revision, got[id].Revision)
				require.Equal(t, rec.Data, got[id].Data)
			}
			_, err := st.Set(t.Context(), rec)
			require.ErrorIs(t, err, store.ErrNotFound)
			_, err = root.Get(t.Context(), other.ID)
			require.NoError(t, err)
			require.Empty(t, matching(t, s, "*/shop:*"), "nothing remains")
		})
	}
}

// TestEndAllTellsHolders: as with End, the other nodes that hold a session are notified of the
// reason.
func TestEndAllTellsHolders(t *testing.T) {
	t.Parallel()
	onEverySite(t, map[string]func(*site){"each holder, once": func(s *site) {
		a, b, c := s.node(), s.node(), s.node()
		var want []store.Change
		for i := range 30 {
			rec := a.set(newRecord())
			a.hold(rec.ID, "")
			if i%2 == 0 {
				b.hold(rec.ID, rec.ClientID)
				want = append(want, store.Change{Kind: store.ChangeEnded, ID: rec.ID, Reason: "everyone"})
			}
		}
		ended := 0
		ender := a.Node.(interface {
			EndAll(ctx context.Context, reason string, ended func(store.Record)) error
		})
		require.NoError(s, ender.EndAll(s.Context(), "everyone", func(store.Record) { ended++ }))
		require.Equal(s, 30, ended)
		var told []store.Change
		require.Eventually(s, func() bool {
			told = append(told, b.told()...)
			return len(told) >= len(want)
		}, patience, tick)
		require.ElementsMatch(s, want, told)
		require.Empty(s, s.keysOf("hsaeuc"), "no key of a session, of its holders or of an index remains")
		c.expectNothing(a, s.shards)
		a.expectNothing(b, s.shards)
	}})
}

// TestEndAllBesideOthers: while two processes end all sessions, others create, change and end some.
// Each session is reported by one call at most, and those that are left are in every index.
func TestEndAllBesideOthers(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	st := open(t, s.URL(), &redisstore.Options{Shards: 2})
	before := fill(t, st, 2000)
	var (
		mu      sync.Mutex
		created = map[string]store.Record{}
		ended   = map[string]bool{}
		workers sync.WaitGroup
		done    atomic.Bool
	)
	for i := range 4 {
		workers.Go(func() {
			for n := 0; !done.Load(); n++ {
				rec := sample(1_000_000*(i+1)+n, time.Now())
				revision, err := st.Set(t.Context(), rec)
				if err != nil {
					t.Error(err)
					return
				}
				rec.Revision = revision
				_, _ = st.Set(t.Context(), rec) // unless it is ended already
				mu.Lock()
				created[rec.ID] = rec
				mu.Unlock()
			}
		})
	}
	var enders sync.WaitGroup
	for range 2 {
		enders.Go(func() {
			err := st.EndAll(t.Context(), "", func(rec store.Record) {
				mu.Lock()
				defer mu.Unlock()
				if ended[rec.ID] {
					t.Errorf("%s is reported twice", rec.ID)
				}
				ended[rec.ID] = true
			})
			if err != nil {
				t.Error(err)
			}
		})
	}
	enders.Wait()
	done.Store(true)
	workers.Wait()
	for _, rec := range before {
		require.True(t, ended[rec.ID], "a session that existed all the time is ended")
	}
	var left []string
	for id := range created {
		if !ended[id] {
			left = append(left, id)
		}
	}
	require.ElementsMatch(t, left, collect(t, st.List(t.Context())))
	for _, id := range left {
		require.Contains(t, collect(t, st.ByUser(t.Context(), created[id].UserID)), id)
		require.Contains(t, collect(t, st.ByClient(t.Context(), created[id].ClientID)), id)
	}
	swept, err := st.Sweep(t.Context(), time.Now().Add(100*day), len(created))
	require.NoError(t, err)
	require.Len(t, swept, len(left))
}

// TestEndAllThatIsInterrupted reports what it has ended, and returns the cause.
func TestEndAllThatIsInterrupted(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	st := open(t, s.URL(), nil)
	recs := fill(t, st, 3000)
	cause := errors.New("the operator has changed their mind")
	ctx, cancel := context.WithCancelCause(t.Context())
	ended := 0
	err := st.EndAll(ctx, "", func(store.Record) {
		if ended++; ended == 200 {
			cancel(cause)
		}
	})
	require.ErrorIs(t, err, cause)
	require.GreaterOrEqual(t, ended, 200)
	left := collect(t, st.List(t.Context()))
	require.NotEmpty(t, left)
	require.Len(t, recs, ended+len(left))
	require.ErrorIs(t, st.EndAll(ctx, "", func(store.Record) { t.Error("after the end of its context") }), cause)
	require.Len(t, endAll(t, st), len(left))
}

// TestEndAllAndADamagedSession: the others are reported.
func TestEndAllAndADamagedSession(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	st := open(t, s.URL(), nil)
	recs := fill(t, st, 50)
	s.Do("SETRANGE", "sb:{0}:s"+codec.Member(recs[7].ID), "0", "\x07")
	var ended []string
	err := st.EndAll(t.Context(), "", func(rec store.Record) { ended = append(ended, rec.ID) })
	require.ErrorIs(t, err, redisstore.ErrDamaged)
	require.Len(t, ended, 49)
	require.False(t, slices.Contains(ended, recs[7].ID))
}

// TestEndAllOfLargeIndexes: sessions can be ended as before after a call that was interrupted while it
// removed the pages of an index, of which a script removes 1000.
func TestEndAllOfLargeIndexes(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	st := open(t, s.URL(), nil)
	for page := range 1001 {
		for _, index := range []string{scripts.ByExpiry, scripts.ByUser, scripts.ByClient} {
			s.Do("ZADD", "sb:{0}:"+index, strconv.Itoa(page), strconv.Itoa(page))
		}
	}
	loaded, err := scripts.Load()
	require.NoError(t, err)
	client, err := rueidis.NewClient(rueidis.ClientOption{InitAddress: []string{s.Addr()}, DisableCache: true})
	require.NoError(t, err)
	defer client.Close()
	interrupted := loaded.EndAll.On("sb:{0}:", "60", "", "")
	more, err := interrupted.Run(t.Context(), client).AsIntSlice()
	require.NoError(t, err)
	require.Equal(t, []int64{1}, more)

	recs := fill(t, st, 10)
	for _, rec := range recs {
		ended, err := st.Destroy(t.Context(), rec.ID)
		require.NoError(t, err)
		require.True(t, ended)
	}
	require.Empty(t, collect(t, st.List(t.Context())))
}
