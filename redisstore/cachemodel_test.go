package redisstore_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/internal/redistest"
	"github.com/sessionbridge/sessionbridge/redisstore"
	"github.com/sessionbridge/sessionbridge/store"
)

// cacheModel is a set of sessions that change continuously, with the revisions that may be read.
type cacheModel struct {
	*testing.T
	ids   []string
	recs  []store.Record  // as last stored; each has one writer
	begun []atomic.Uint64 // the highest revision that may be stored
	ended atomic.Bool
	lossy bool // connections are lost and calls are cancelled
}

// TestCacheAmongWriters: GetCached returns only complete records that were stored. The results of
// one reader never go back to an older revision, and at the end all readers see the last one.
func TestCacheAmongWriters(t *testing.T) {
	t.Parallel()
	for name, make := range cached {
		t.Run(name, func(t *testing.T) {
			s := redistest.Start(t)
			m := newCacheModel(t, open(t, s.URL(), nil), false)
			m.play(make(t, s.Addr()), make(t, s.Addr()), open(t, s.URL(), nil), func() {})
		})
	}
}

// TestCacheAmongLosses is the same while connections are lost and calls are cancelled.
func TestCacheAmongLosses(t *testing.T) {
	t.Parallel()
	for name, make := range cached {
		t.Run(name, func(t *testing.T) {
			s := redistest.Start(t)
			m := newCacheModel(t, open(t, s.URL(), nil), true)
			m.play(make(t, s.Addr()), make(t, s.Addr()), open(t, s.URL(), nil), func() { s.Do("CLIENT", "KILL", "TYPE", "normal") })
		})
	}
}

// TestCacheInACluster is the same while the slot moves from server to server.
func TestCacheInACluster(t *testing.T) {
	t.Parallel()
	c := redistest.StartCluster(t, 3)
	opts := &redisstore.Options{Shards: 1}
	m := newCacheModel(t, open(t, c.URL(), opts), false)
	slot := strconv.FormatInt(number(t, c.Servers[0].Do("CLUSTER", "KEYSLOT", "{0}")), 10)
	m.play(open(t, c.URL(), opts), open(t, c.URL(), opts), open(t, c.URL(), opts), func() { require.NoError(t, c.MoveSlot(slot)) })
}

func newCacheModel(t *testing.T, st store.Store, lossy bool) *cacheModel {
	m := &cacheModel{T: t, recs: make([]store.Record, 12), lossy: lossy}
	m.begun = make([]atomic.Uint64, len(m.recs))
	for i := range m.recs {
		m.recs[i] = create(t, st)
		m.begun[i].Store(m.recs[i].Revision)
		m.ids = append(m.ids, m.recs[i].ID)
	}
	return m
}

// play lets the first two stores read and all of them write, while disturb is called repeatedly.
func (m *cacheModel) play(a, b, c *redisstore.Store, disturb func()) {
	var writers, readers sync.WaitGroup
	for i := range m.recs {
		writers.Go(func() { m.write([]*redisstore.Store{a, b, c}[i%3], i) })
	}
	for n := range 6 {
		readers.Go(func() { m.read([]*redisstore.Store{a, b}[n%2], n) })
	}
	for range 5 {
		before := m.begun[0].Load()
		require.Eventually(m, func() bool { return m.begun[0].Load() > before+40 }, patience, time.Millisecond)
		disturb()
	}
	m.ended.Store(true)
	writers.Wait()
	readers.Wait()
	for i := range m.recs {
		require.Greater(m, m.recs[i].Revision, uint64(1))
		sees(m, a, m.recs[i])
		sees(m, b, m.recs[i])
	}
}

// write updates a session continuously. Its data contains its revision.
func (m *cacheModel) write(st *redisstore.Store, i int) {
	for !m.ended.Load() || m.recs[i].Revision < 2 {
		rec := m.recs[i]
		m.begun[i].Store(rec.Revision + 1)
		rec.Data = fmt.Appendf(nil, `{"n":%d}`, rec.Revision+1)
		revision, err := st.Set(m.Context(), rec)
		if err == nil {
			rec.Revision = revision
			m.recs[i] = rec
			continue
		}
		if !m.lossy || errors.Is(err, store.ErrNotFound) {
			m.Errorf("set: %v", err)
			return
		}
		for { // whether the record was stored is unknown
			got, err := st.Get(m.Context(), rec.ID)
			if err == nil {
				m.recs[i] = got
				break
			}
		}
	}
}

func (m *cacheModel) read(st *redisstore.Store, n int) {
	rnd := rand.New(rand.NewPCG(1, uint64(n))) //nolint:gosec // no secret
	seen := make([]uint64, len(m.recs))
	for !m.ended.Load() {
		i := rnd.IntN(len(m.recs))
		ctx, cancel := context.WithCancel(m.Context())
		if m.lossy && rnd.IntN(4) == 0 {
			time.AfterFunc(time.Duration(rnd.IntN(200))*time.Microsecond, cancel)
		}
		got, err := st.GetCached(ctx, m.ids[i])
		cancel()
		if err != nil {
			if !m.lossy || errors.Is(err, store.ErrNotFound) || errors.Is(err, redisstore.ErrDamaged) {
				m.Errorf("get: %v", err)
				return
			}
			continue
		}
		if newest := m.begun[i].Load(); got.Revision < seen[i] || got.Revision > newest {
			m.Errorf("revision %d, after %d was seen; the last that may be stored is %d", got.Revision, seen[i], newest)
		}
		if want := fmt.Sprintf(`{"n":%d}`, got.Revision); got.Revision > 1 && string(got.Data) != want {
			m.Errorf("revision %d has the data %s", got.Revision, got.Data)
		}
		seen[i] = got.Revision
	}
}
