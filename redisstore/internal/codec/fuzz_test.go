package codec

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/internal/uuidtext"
	"github.com/sessionbridge/sessionbridge/store"
)

// FuzzValue: decoding any bytes ends, in an error or in a record that comes back as it is.
func FuzzValue(f *testing.F) {
	rec := store.Record{ID: "a", UserID: "ada", UserAgent: "Mozilla/5.0", Data: []byte(`{}`)}
	f.Add(Encode(&rec))
	rec = fullRecord()
	f.Add(Encode(&rec))
	f.Add(Encode(&rec)[:HeadSize])
	f.Fuzz(func(t *testing.T, value string) {
		rec, err := Decode("a", value)
		if err != nil {
			require.ErrorIs(t, err, ErrValue)
			return
		}
		again, err := Decode("a", Encode(&rec))
		require.NoError(t, err)
		rec.Revision = 0 // set by the script
		require.Equal(t, rec, again)
	})
}

// FuzzRecord: every record comes back as it was stored, with times in milliseconds from the year 1
// to 8900.
func FuzzRecord(f *testing.F) {
	f.Add("5b4c8f0e-54a5-4d52-9a59-0a7c53f6d0c4", "ada", "192.0.2.1", fragments[0]+"1"+fragments[22], []byte(`{}`), int64(1), int64(2), int64(3), uint64(4), true)
	f.Add("", "", "", "", []byte{}, int64(0), int64(-1), int64(1)<<60, ^uint64(0), false)
	f.Add("5B4c8f0e-54a5-4d52-9a59-0a7c53f6d0c4", "\x00", "\xff", "a\x00b\x80", []byte{0}, int64(-epochMillis), int64(MaxNumber), int64(1), uint64(1), true)
	f.Fuzz(func(
		t *testing.T, client, user, addr, agent string, data []byte, created, seen, idle int64, n uint64, rotated bool,
	) {
		at := func(millis int64) time.Time { return timeOf(uint64(millis) & MaxNumber) } //nolint:gosec // any time
		rec := store.Record{
			ID: "id", ClientID: client, UserID: user, Addr: addr, UserAgent: agent, Data: append([]byte{}, data...),
			Created: at(created), Seen: at(seen), Expires: at(seen / 2), Idle: time.Duration(idle), Lifetime: time.Duration(-idle),
			Writes: n, TokenGeneration: n / 2, LoginGeneration: n / 3, Renewal: store.Renewal(n % 4), //nolint:gosec // at most 3
		}
		rec.TokenHash[0], rec.TokenHash[31], rec.WriteID[15] = byte(n>>8), byte(n), byte(n)
		if rotated {
			rec.PrevTokenHash[0], rec.RotatedAt, rec.LoggedIn = 1, at(seen/3), at(created/2)
		}
		value := Encode(&rec)
		got, err := Decode("id", value)
		require.NoError(t, err)
		require.Equal(t, rec, got)
		head, err := OpenHead(value)
		require.NoError(t, err)
		id, ok := head.UserID()
		require.True(t, ok)
		require.Equal(t, user, id)
		require.Equal(t, [2]uint64{Millis(rec.Seen), Millis(rec.Expires)}, [2]uint64{head.Seen(), head.Expires()})
	})
}

// FuzzMember: every ID comes back from its member, and no other ID has the same one. Any bytes that
// are taken for a member are an ID.
func FuzzMember(f *testing.F) {
	for _, id := range []string{
		"5b4c8f0e-54a5-4d52-9a59-0a7c53f6d0c4", "5B4C8F0E-54a5-4d52-9a59-0a7c53f6d0c4", "", "a",
		"123456789012345", "1234567890123456", "\x01", "\x02\x0212345678901234", "\x0112345678901234", "\x020123456789012345",
	} {
		f.Add(id)
		f.Add(Member(id))
	}
	f.Fuzz(func(t *testing.T, text string) {
		id, err := ID(Member(text))
		require.NoError(t, err)
		require.Equal(t, text, id)
		if id, err = ID(text); err != nil {
			require.ErrorIs(t, err, ErrMember)
		} else if _, isUUID := uuidtext.Parse(id); isUUID == (len(text) == uuidtext.Size) {
			require.Equal(t, text, Member(id))
		}
	})
}
