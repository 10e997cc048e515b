package livestore_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/livestore"
	"github.com/sessionbridge/sessionbridge/store"
)

// FuzzRecord: every record comes back as it was stored, with times in microseconds, also after
// another one has replaced it, and is found by its user and client.
func FuzzRecord(f *testing.F) {
	f.Add("id", "client", "user", "192.0.2.1", "agent", []byte(`{}`), int64(1), int64(2), int64(3), uint64(4), true)
	f.Add("", "", "", "", "", []byte(nil), int64(0), int64(-1), int64(1)<<60, ^uint64(0), false)
	f.Add("\x00", "é", "\xff", "a\x00b", "c", []byte{0}, int64(-62135596800000000), int64(1), int64(-1), uint64(127), true)
	f.Fuzz(func(
		t *testing.T, id, client, user, addr, agent string, data []byte, created, seen, idle int64, n uint64, rotated bool,
	) {
		at := func(micros int64) time.Time { return time.UnixMicro(micros % 1e17).UTC() }
		rec := store.Record{
			ID: id, ClientID: client, UserID: user, Addr: addr, UserAgent: agent, Data: data,
			Created: at(created), Seen: at(seen), Idle: time.Duration(idle), Lifetime: time.Duration(-idle),
			Writes: n, TokenGeneration: n / 2, LoginGeneration: n / 3, Renewal: store.Renewal(n % 4), //nolint:gosec // at most 3
		}
		rec.TokenHash[31], rec.WriteID[15] = byte(n), byte(n)
		if rotated {
			rec.PrevTokenHash[0], rec.RotatedAt, rec.LoggedIn = 1, at(seen/3), at(created/2)
		}
		st := livestore.New()
		requireKept(t, st, rec)

		other := store.Record{
			ID: id, ClientID: agent, UserID: client, Addr: user, UserAgent: addr, Data: []byte(id),
			Created: rec.Seen, Seen: rec.Seen, Expires: at(created), Revision: 1, Writes: n / 4, LoggedIn: rec.Created,
		}
		requireKept(t, st, other)
		rec.Revision, rec.Expires = 2, other.Expires
		requireKept(t, st, rec)
	})
}

// requireKept stores the record, and fails unless it is found as it was stored.
func requireKept(t *testing.T, st *livestore.Store, rec store.Record) {
	t.Helper()
	revision, err := st.Set(t.Context(), rec)
	require.NoError(t, err)
	require.Equal(t, rec.Revision+1, revision)
	rec.Revision = revision
	if len(rec.Data) == 0 {
		rec.Data = nil
	}
	got, err := st.Get(t.Context(), rec.ID)
	require.NoError(t, err)
	require.Equal(t, rec, got)
	for _, found := range []struct {
		name string
		all  func(func(store.Record, error) bool)
	}{{rec.UserID, st.ByUser(t.Context(), rec.UserID)}, {rec.ClientID, st.ByClient(t.Context(), rec.ClientID)}} {
		n := 0
		for got, err := range found.all {
			require.NoError(t, err)
			require.Equal(t, rec, got)
			n++
		}
		require.Equal(t, min(len(found.name), 1), n)
	}
}
