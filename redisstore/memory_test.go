package redisstore_test

import (
	"fmt"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/internal/redistest"
	"github.com/sessionbridge/sessionbridge/redisstore"
	"github.com/sessionbridge/sessionbridge/store"
)

// sample returns the nth record of a data set: 300 bytes of data, logged in, two sessions for each
// user, seen at a random time within a day.
func sample(n int, now time.Time) store.Record {
	raw := uuid.NewSHA1(uuid.Nil, fmt.Append(nil, n))
	id := raw.String()
	seen := now.Add(-time.Duration(int(raw[0])<<16+int(raw[1])<<8+int(raw[2])) * (24 * time.Hour / (1 << 24)))
	return store.Record{
		ID:              id,
		TokenHash:       store.TokenHash([]byte(strings.Repeat(id, 1)[:32])),
		TokenGeneration: 2, LoginGeneration: 2,
		RotatedAt: seen, LoggedIn: seen,
		ClientID:  uuid.NewSHA1(uuid.Nil, []byte(id)).String(),
		UserID:    fmt.Sprintf("user-%d@example.org", n/2),
		Addr:      fmt.Sprintf("203.0.%d.%d", raw[3], raw[4]),
		UserAgent: "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36",
		Data:      []byte(`{"cart":"` + strings.Repeat("x", 289) + `"}`),
		Created:   seen.Add(-time.Hour), Seen: seen, Expires: seen.Add(24 * time.Hour),
		Idle: 24 * time.Hour, Lifetime: 30 * 24 * time.Hour,
		WriteID: store.WriteID(raw),
	}
}

func inParallel(n int, do func(i int)) {
	var all sync.WaitGroup
	for i := range n {
		all.Go(func() { do(i) })
	}
	all.Wait()
}

// fill creates n sessions.
func fill(tb testing.TB, st *redisstore.Store, n int) []store.Record {
	tb.Helper()
	now := time.Now()
	recs := make([]store.Record, n)
	inParallel(64, func(writer int) {
		for i := writer; i < n; i += 64 {
			recs[i] = sample(i, now)
			revision, err := st.Set(tb.Context(), recs[i])
			if err != nil {
				tb.Error(err)
				return
			}
			recs[i].Revision = revision
		}
	})
	if tb.Failed() {
		tb.FailNow()
	}
	return recs
}

func usedMemory(t testing.TB, s *redistest.Server) int {
	t.Helper()
	n, err := strconv.Atoi(s.Info("memory")["used_memory"])
	require.NoError(t, err)
	return n
}

// TestMemoryPerSession: a session with 300 bytes of data takes at most 900 bytes of memory in
// Redis, including its index entries. That holds while sessions are touched, end, and begin.
func TestMemoryPerSession(t *testing.T) {
	t.Parallel()
	const n = 10_000
	s := redistest.Start(t)
	st := open(t, s.URL(), &redisstore.Options{Timeout: patience})
	before := usedMemory(t, s)
	recs := fill(t, st, n)
	created := (usedMemory(t, s) - before) / n
	t.Logf("%d B per session after they were created", created)
	require.LessOrEqual(t, created, 900)

	now := time.Now()
	inParallel(64, func(i int) {
		for ; i < n; i += 64 {
			if i%2 == 0 {
				_, err := st.Destroy(t.Context(), recs[i].ID)
				if err == nil {
					_, err = st.Set(t.Context(), sample(n+i, now))
				}
				if err != nil {
					t.Error(err)
				}
			} else if err := st.Touch(t.Context(), recs[i].ID, now.Add(time.Duration(i)*time.Second)); err != nil {
				t.Error(err)
			}
		}
	})
	churned := (usedMemory(t, s) - before) / n
	t.Logf("%d B per session after half of them were replaced, and the others seen", churned)
	require.LessOrEqual(t, churned, 900)
}
