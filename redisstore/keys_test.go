package redisstore_test

import (
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/internal/redistest"
	"github.com/sessionbridge/sessionbridge/redisstore"
	"github.com/sessionbridge/sessionbridge/store"
)

// day is the precision of the time to live of an index.
const day = 24 * time.Hour

func ttl(t testing.TB, s *redistest.Server, key string) time.Duration {
	t.Helper()
	return time.Duration(number(t, s.Do("PTTL", key))) * time.Millisecond
}

// TestNothingIsImmortal: every key but the one with the format and number of shards expires, after
// its sessions.
func TestNothingIsImmortal(t *testing.T) {
	t.Parallel()
	const n = 1000
	s := redistest.Start(t)
	st := open(t, s.URL(), &redisstore.Options{Shards: 2})
	for _, sessions := range []*redisstore.Store{st, st.App("shop").(*redisstore.Store)} {
		for _, rec := range fill(t, sessions, n) {
			if rec.ID[0] < '8' {
				require.NoError(t, sessions.Touch(t.Context(), rec.ID, time.Now()))
			}
		}
	}
	records := 0
	for _, key := range keys(t, s) {
		left := ttl(t, s, key)
		if key == "sb:meta" {
			require.Negative(t, left)
			continue
		}
		require.Positive(t, left, key)
		require.LessOrEqual(t, left, 5*day, key)
		if strings.Contains(key, ":s") {
			records++
			require.Greater(t, left, 2*day, "it is kept for two days after its expiry")
			require.LessOrEqual(t, left, 3*day)
		}
	}
	require.Equal(t, 2*n, records)
}

func TestTimeToLiveFollowsTheExpiry(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	st := open(t, s.URL(), nil)
	rec := create(t, st)
	key := recordKeys(t, s)[0]
	about := func(want time.Duration) {
		t.Helper()
		require.InDelta(t, want.Seconds(), ttl(t, s, key).Seconds(), 60)
	}
	about(time.Hour + 2*day)
	set := func() {
		t.Helper()
		revision, err := st.Set(t.Context(), rec)
		require.NoError(t, err)
		rec.Revision = revision
	}
	rec.Expires = rec.Seen.Add(30 * day)
	set()
	about(32 * day)
	for _, index := range []string{"sb:{0}:u", "sb:{0}:u0", "sb:{0}:a", "sb:{0}:a0", "sb:{0}:e0", "sb:{0}:c0"} {
		require.Greater(t, ttl(t, s, index), 32*day-time.Minute, "%s: what refers to the session stays as long", index)
	}
	s.Do("PEXPIRE", key, "5000")
	require.NoError(t, st.Touch(t.Context(), rec.ID, rec.Seen.Add(time.Minute)))
	about(32 * day)

	rec.Expires = time.Time{} // the application has disabled all timeouts, so that no key expires
	set()
	require.Equal(t, -time.Millisecond, ttl(t, s, key))
	require.Equal(t, -time.Millisecond, ttl(t, s, "sb:{0}:a"))

	rec.Expires = rec.Seen.Add(-100 * day) // an expired session is kept until it is swept
	set()
	about(2 * day)
	swept, err := st.Sweep(t.Context(), rec.Seen, 10)
	require.NoError(t, err)
	require.Len(t, swept, 1)
}

// TestIndexesLastAsLongAsTheirSessions also if a session is extended only by touches.
func TestIndexesLastAsLongAsTheirSessions(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	st := open(t, s.URL(), nil)
	rec := create(t, st, func(rec *store.Record) { rec.Expires = rec.Seen.Add(10 * day) })
	indexes := []string{"sb:{0}:u", "sb:{0}:u0", "sb:{0}:c", "sb:{0}:c0", "sb:{0}:e", "sb:{0}:e0", "sb:{0}:a", "sb:{0}:a0"}
	soon := strconv.FormatInt(time.Now().Add(time.Hour).UnixMilli(), 10)
	for _, change := range []func() error{
		func() error { return st.Touch(t.Context(), rec.ID, rec.Seen.Add(time.Second)) },
		func() error {
			_, err := st.Set(t.Context(), rec)
			return err
		},
	} {
		for _, key := range append(indexes, recordKeys(t, s)...) { // as if days had passed
			s.Do("PEXPIREAT", key, soon)
		}
		require.NoError(t, change())
		for _, key := range append(indexes, recordKeys(t, s)...) {
			require.Greater(t, ttl(t, s, key), 11*day, key)
		}
	}
}

// recordKeys returns the keys of the sessions in the first shard.
func recordKeys(t testing.TB, s *redistest.Server) (names []string) {
	t.Helper()
	for _, key := range keys(t, s) {
		if strings.HasPrefix(key, "sb:{0}:s") {
			names = append(names, key)
		}
	}
	return names
}

// TestS22_KeysCarryNoSecret: no key contains any part of a token, a user ID or a client ID.
func TestS22_KeysCarryNoSecret(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	st := open(t, s.URL(), nil)
	var recs []store.Record
	for i := range 20 {
		recs = append(recs, create(t, st, func(rec *store.Record) {
			rec.UserID = fmt.Sprint("secret-user-", i)
			rec.PrevTokenHash = store.TokenHash([]byte(strings.Repeat("p", 32)))
		}))
	}
	names := keys(t, s)
	require.NotEmpty(t, names)
	for _, name := range names {
		require.NotContains(t, name, "secret")
		require.NotContains(t, name, "pppp")
		for _, rec := range recs {
			require.NotContains(t, name, string(rec.TokenHash[:4]))
			require.NotContains(t, name, rec.ClientID)
		}
	}
}

// TestDroppedSessionsAreRemovedFromIndexes: a session that Redis has dropped, because it was not
// swept for days, is not found by any query. Optimize removes its index entries.
func TestDroppedSessionsAreRemovedFromIndexes(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	st := open(t, s.URL(), nil)
	for range 300 {
		create(t, st)
	}
	for _, key := range recordKeys(t, s) {
		s.Do("DEL", key)
	}
	kept := create(t, st)
	require.Equal(t, []string{kept.ID}, collect(t, st.ByUser(t.Context(), "ada")))
	require.Equal(t, []string{kept.ID}, collect(t, st.List(t.Context())))
	require.Equal(t, []string{kept.ID}, collect(t, st.ActiveSince(t.Context(), time.Time{})))
	swept, err := st.Sweep(t.Context(), kept.Expires.Add(-time.Millisecond), 1000)
	require.NoError(t, err)
	require.Empty(t, swept)
	swept, err = st.Sweep(t.Context(), kept.Expires, 1000)
	require.NoError(t, err)
	require.Len(t, swept, 1)
	require.NoError(t, st.Optimize(t.Context()))
	require.Equal(t, []string{"sb:meta"}, keys(t, s))
}

// TestIndexesStayCompact: Redis stores small sorted sets in a quarter of the memory. The pages of
// an index stay that small while sessions come and go.
func TestIndexesStayCompact(t *testing.T) {
	t.Parallel()
	const n = 3000
	s := redistest.Start(t)
	st := open(t, s.URL(), nil)
	recs := fill(t, st, n)
	for i, rec := range recs {
		if i%3 > 0 {
			_, err := st.Destroy(t.Context(), rec.ID)
			require.NoError(t, err)
		}
	}
	pages := map[string]int{}
	for _, key := range keys(t, s) {
		if strings.HasPrefix(key, "sb:{0}:") && key[7] != 's' && len(key) > 8 {
			answer := s.Do("OBJECT", "ENCODING", key)
			encoding, err := answer.ToString()
			require.NoError(t, err)
			require.Equal(t, "listpack", encoding, key)
			pages[key[7:8]]++
		}
	}
	require.Len(t, pages, 4)
	for index, count := range pages {
		require.LessOrEqual(t, count, n/3/25, "pages of %q: they are not left almost empty", index)
	}
}
