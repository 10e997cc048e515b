package filestore

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/store"
)

// Whatever the bytes are, decoding them ends in a record or an error; verification and decoding agree on which.
func FuzzValue(f *testing.F) {
	for i := range 8 {
		rec := sessionRecord(i)
		f.Add([]byte(makeValue(&rec)))
	}
	rec := sessionRecord(1)
	rec.PrevTokenHash[0], rec.RotatedAt, rec.LoggedIn = 1, rec.Seen, rec.Created
	v := makeValue(&rec)
	f.Add([]byte(v))
	f.Add([]byte(v[:atVariable]))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		v := value(b)
		rec, err := v.record("id")
		require.Equal(t, err == nil, v.valid())
		if err != nil {
			return
		}
		user, client := v.owner()
		require.Equal(t, rec.UserID, string(user))
		if !v.uuidClient() {
			require.Equal(t, rec.ClientID, string(client))
		}
		again, err := makeValue(&rec).record("id")
		rec.Revision = 0
		require.NoError(t, err)
		require.Equal(t, rec, again)
	})
}

// What is stored comes back as it was.
func FuzzRecord(f *testing.F) {
	f.Add("6ba7b810-9dad-11d1-80b4-00c04fd430c8", "user", "192.0.2.1", "agent", []byte(`{}`), int64(1), int64(2), int64(3), uint64(4), true)
	f.Add("", "", "", "", []byte{}, int64(0), int64(-1), int64(1)<<60, ^uint64(0), false)
	f.Add("6BA7B810-9dad-11d1-80b4-00c04fd430c8", "\x00", "\xff", "a\x00b", []byte{0}, int64(-62135596800000000), int64(1), int64(1), uint64(1), true)
	f.Fuzz(func(t *testing.T, client, user, addr, agent string, data []byte, created, seen, idle int64, n uint64, rotated bool) {
		rec := store.Record{
			ID: "id", ClientID: client, UserID: user, Addr: addr, UserAgent: agent, Data: append([]byte{}, data...),
			Created: timeOf(created), Seen: timeOf(seen), Expires: timeOf(seen / 2), Idle: time.Duration(idle), Lifetime: time.Duration(-idle),
			Writes: n, TokenGeneration: n / 2, LoginGeneration: n / 3,
		}
		rec.TokenHash[31], rec.WriteID[15] = byte(n), byte(n)
		if rotated {
			rec.PrevTokenHash[0], rec.RotatedAt, rec.LoggedIn = 1, time.UnixMicro(seen/3).UTC(), timeOf(created/2)
		}
		v := makeValue(&rec)
		require.True(t, v.valid())
		got, err := v.record("id")
		require.NoError(t, err)
		require.Equal(t, rec, got)
	})
}
