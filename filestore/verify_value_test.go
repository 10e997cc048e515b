package filestore

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/store"
)

// FuzzValue: decoding any bytes ends, in a record or an error; verification and decoding agree on
// which.
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

// FuzzRecord: what is stored comes back as it was.
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

// FuzzEntries: reading any bytes as a group of the log ends, in an error or in entries that come
// back as they are. Their records can be decoded, and their keys are those of IDs.
func FuzzEntries(f *testing.F) {
	var all []byte
	for i := range 4 {
		rec := sessionRecord(i)
		v, key := makeValue(&rec), appendID(nil, rec.ID)
		put := appendEntry(nil, putEntry, "", key, v)
		all = appendEntry(append(all, put...), touchEntry, "shop", key, v)
		all = appendEntry(all, destroyEntry, "", appendID(nil, "another ID"), nil)
		f.Add(put, 1)
		f.Add(put[:len(put)-1], 1)
	}
	f.Add(all, 12)
	f.Add(all, 13)
	f.Add([]byte{destroyEntry, 0, 0}, 1)
	f.Fuzz(func(t *testing.T, payload []byte, n int) {
		read := func(payload []byte) (list []entry, err error) {
			err = entries(payload, n, func(e *entry) error {
				list = append(list, *e)
				return nil
			})
			return list, err
		}
		list, err := read(payload)
		if err != nil {
			require.ErrorIs(t, err, errEntries)
			return
		}
		require.Len(t, list, max(n, 0))
		var again []byte
		for _, e := range list {
			_, err := decodeID(e.key)
			require.NoError(t, err)
			v := e.value
			switch e.kind {
			case putEntry:
				_, err = v.record("id")
				require.NoError(t, err)
			case touchEntry:
				rec := store.Record{Seen: timeOf(e.seen), Expires: timeOf(e.expires)}
				v = makeValue(&rec)
			}
			again = appendEntry(again, e.kind, string(e.app), e.key, v)
		}
		same, err := read(again)
		require.NoError(t, err)
		require.Equal(t, list, same)
	})
}
