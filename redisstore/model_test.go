package redisstore_test

import (
	"errors"
	"fmt"
	"iter"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/internal/redistest"
	"github.com/sessionbridge/sessionbridge/livestore"
	"github.com/sessionbridge/sessionbridge/redisstore"
	"github.com/sessionbridge/sessionbridge/store"
)

// TestModel does the same random operations on this store and on the one in memory, and compares
// all results. There are enough sessions for pages of the indexes to be split and merged.
func TestModel(t *testing.T) {
	t.Parallel()
	for _, shards := range []int{1, 3} {
		t.Run(fmt.Sprint("shards=", shards), func(t *testing.T) {
			t.Parallel()
			s := redistest.Start(t)
			m := &model{
				T: t, rnd: rand.New(rand.NewPCG(1, uint64(shards))), base: time.Now().UTC().Truncate(time.Minute), //nolint:gosec // no secret
				st: open(t, s.URL(), &redisstore.Options{Shards: shards}), want: livestore.New(),
			}
			for range 900 {
				m.create()
			}
			for round := range 4 {
				for range 700 {
					m.step()
				}
				m.compare()
				if round%2 == 1 {
					require.NoError(t, m.st.Optimize(t.Context()))
					m.compare()
				}
			}
			for len(m.ids) > 0 {
				m.sweep(10000*time.Hour, 1+m.rnd.IntN(200))
				m.destroy()
			}
			require.NoError(t, m.st.Optimize(t.Context()))
			require.Equal(t, []string{"sb:meta"}, keys(t, s), "nothing remains")
		})
	}
}

type model struct {
	*testing.T
	rnd  *rand.Rand
	base time.Time
	st   *redisstore.Store
	want *livestore.Store
	ids  []string
	made int // sessions
}

func (m *model) step() {
	switch n := m.rnd.IntN(20); {
	case n < 5:
		m.create()
	case n < 10:
		m.set()
	case n < 15:
		m.touch()
	case n < 19:
		m.destroy()
	default:
		m.sweep(time.Duration(m.rnd.IntN(100))*time.Hour, 1+m.rnd.IntN(40))
	}
}

// random changes the fields that are indexed. One in eight sessions belongs to a user with very
// many, or never expires.
func (m *model) random(rec *store.Record) {
	rec.UserID = fmt.Sprint("user", m.rnd.IntN(300))
	if m.rnd.IntN(8) == 0 {
		rec.UserID = "everybody"
	} else if m.rnd.IntN(8) == 0 {
		rec.UserID = ""
	}
	rec.ClientID = fmt.Sprint("client", m.rnd.IntN(1000))
	if m.rnd.IntN(4) == 0 {
		rec.LoggedIn = m.base.Add(-time.Duration(m.rnd.IntN(3600*1000)) * time.Millisecond)
	}
	rec.Seen = m.base.Add(-time.Duration(m.rnd.IntN(1000*3600)) * time.Millisecond)
	rec.Expires = m.base.Add(time.Duration(m.rnd.IntN(200*3600*1000)) * time.Millisecond)
	if m.rnd.IntN(8) == 0 {
		rec.Expires = time.Time{}
	}
}

func (m *model) create() {
	m.made++ // so that no two lifetimes end at the same time, and all sweeps have one order
	created := m.base.Add(-time.Hour - time.Duration(m.made)*time.Millisecond)
	rec := store.Record{ID: uuid.NewString(), Data: []byte("{}"), Created: created, Lifetime: 201 * time.Hour}
	m.random(&rec)
	m.ids = append(m.ids, rec.ID)
	_, err := m.st.Set(m.Context(), rec)
	require.NoError(m, err)
	_, err = m.want.Set(m.Context(), rec)
	require.NoError(m, err)
}

// pick returns a session, which may have been swept.
func (m *model) pick() (at int, ok bool) {
	if len(m.ids) == 0 {
		return 0, false
	}
	return m.rnd.IntN(len(m.ids)), true
}

func (m *model) set() {
	at, ok := m.pick()
	if !ok {
		return
	}
	got, err := m.st.Get(m.Context(), m.ids[at])
	want, wantErr := m.want.Get(m.Context(), m.ids[at])
	require.Equal(m, errors.Is(wantErr, store.ErrNotFound), errors.Is(err, store.ErrNotFound))
	if err != nil {
		return
	}
	m.same(want, got)
	m.random(&got)
	revision := want.Revision
	want, want.Revision = got, revision
	_, err = m.st.Set(m.Context(), got)
	require.NoError(m, err)
	_, err = m.want.Set(m.Context(), want)
	require.NoError(m, err)
}

func (m *model) touch() {
	at, ok := m.pick()
	if !ok {
		return
	}
	seen := m.base.Add(time.Duration(m.rnd.IntN(2000*3600)-1000*3600) * time.Millisecond)
	err := m.st.Touch(m.Context(), m.ids[at], seen)
	require.Equal(m, m.want.Touch(m.Context(), m.ids[at], seen), err)
}

func (m *model) destroy() {
	at, ok := m.pick()
	if !ok {
		return
	}
	got, err := m.st.Destroy(m.Context(), m.ids[at])
	require.NoError(m, err)
	want, err := m.want.Destroy(m.Context(), m.ids[at])
	require.NoError(m, err)
	require.Equal(m, want, got)
	m.ids = slices.Delete(m.ids, at, at+1)
}

func (m *model) sweep(later time.Duration, n int) {
	got, err := m.st.Sweep(m.Context(), m.base.Add(later), n)
	require.NoError(m, err)
	want, err := m.want.Sweep(m.Context(), m.base.Add(later), n)
	require.NoError(m, err)
	require.Len(m, got, len(want))
	for i := range want {
		m.same(want[i], got[i])
	}
}

func (m *model) same(want, got store.Record) {
	m.Helper()
	require.Equal(m, want.ID, got.ID)
	require.Equal(m, [...]any{want.UserID, want.ClientID, want.Seen.UnixMilli(), want.Expires.UnixMilli(), want.Created.UnixMilli(), want.Lifetime},
		[...]any{got.UserID, got.ClientID, got.Seen.UnixMilli(), got.Expires.UnixMilli(), got.Created.UnixMilli(), got.Lifetime})
}

func (m *model) compare() {
	ctx := m.Context()
	m.compareAll(m.want.List(ctx), m.st.List(ctx), false)
	for _, back := range []time.Duration{0, time.Minute, 10 * time.Minute, 10000 * time.Hour} {
		m.compareAll(m.want.ActiveSince(ctx, m.base.Add(-back)), m.st.ActiveSince(ctx, m.base.Add(-back)), true)
	}
	for _, user := range []string{"user0", "user1", "user2", "everybody", "nobody"} {
		m.compareAll(m.want.ByUser(ctx, user), m.st.ByUser(ctx, user), true)
	}
	for _, client := range []string{"client1", "client2", "client3", "client4"} {
		m.compareAll(m.want.ByClient(ctx, client), m.st.ByClient(ctx, client), true)
		want, err := m.want.NewestByClient(ctx, client, 1)
		require.NoError(m, err)
		got, err := m.st.NewestByClient(ctx, client, 1)
		require.NoError(m, err)
		require.Len(m, got, len(want))
		if len(want) > 0 {
			require.Equal(m, want[0].Began().UnixMilli(), got[0].Began().UnixMilli())
		}
	}
	require.Equal(m, m.active(m.want), m.active(m.st))
}

func (m *model) active(st store.ActiveLister) map[string]string {
	users := map[string]string{}
	for a, err := range st.ListActive(m.Context(), m.base.Add(-5*time.Minute), m.base.Add(50*time.Hour)) {
		require.NoError(m, err)
		users[a.ID] = a.UserID
	}
	return users
}

// compareAll compares two listings: the records, and the times at which they were seen in their
// order.
func (m *model) compareAll(want, got iter.Seq2[store.Record, error], ordered bool) {
	m.Helper()
	all := map[string]store.Record{}
	var times []int64
	for rec, err := range want {
		require.NoError(m, err)
		all[rec.ID] = rec
		times = append(times, rec.Seen.UnixMilli())
	}
	var gotTimes []int64
	for rec, err := range got {
		require.NoError(m, err)
		require.Contains(m, all, rec.ID)
		m.same(all[rec.ID], rec)
		delete(all, rec.ID)
		gotTimes = append(gotTimes, rec.Seen.UnixMilli())
	}
	require.Empty(m, all)
	if ordered {
		require.Equal(m, times, gotTimes)
	}
}
