package codec

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/internal/uuidtext"
	"github.com/sessionbridge/sessionbridge/store"
)

// fullRecord returns a record with every field but the revision.
func fullRecord() store.Record {
	now := time.Now().UTC().Truncate(time.Millisecond)
	return store.Record{
		ID: "a", UserID: strings.Repeat("ü", 100), ClientID: "5b4c8f0e-54a5-4d52-9a59-0a7c53f6d0c4", Addr: "[2001:db8::1]:443",
		UserAgent: "Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0", Data: []byte(`{}`),
		Created: now, Seen: now, Expires: now, RotatedAt: now, LoggedIn: now, Idle: time.Hour, Lifetime: -1, Writes: 1 << 60,
		TokenGeneration: 1<<64 - 1, PrevTokenHash: store.TokenHash{1}, TokenHash: store.TokenHash{2},
	}
}

func TestTruncatedValueIsAnError(t *testing.T) {
	rec := fullRecord()
	value := Encode(&rec)
	got, err := Decode("a", value)
	require.NoError(t, err)
	require.Equal(t, rec, got)
	for n := range len(value) - len(rec.Data) {
		_, err := Decode("a", value[:n])
		require.ErrorIs(t, err, ErrValue, "%d bytes", n)
	}
	_, err = Decode("a", "\x02"+value[1:])
	require.ErrorContains(t, err, "format")
}

func TestUserAgentsAreAbbreviated(t *testing.T) {
	for _, agent := range []string{
		"Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36",
		"Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36 Edg/142.0.0.0",
		"Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.6 Safari/605.1.15",
		"Mozilla/5.0 (iPhone; CPU iPhone OS 18_6 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.6 Mobile/15E148 Safari/604.1",
		"Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Mobile Safari/537.36",
		"Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:145.0) Gecko/20100101 Firefox/145.0",
	} {
		short, ok := abbreviate(agent)
		require.True(t, ok)
		require.LessOrEqual(t, len(short), 25, "%q", short)
		require.Equal(t, agent, expand(short))
	}
	for _, agent := range append([]string{"", "curl/8.5.0", "a.0.0.0.0.0"}, fragments[:]...) {
		short, ok := abbreviate(agent)
		require.True(t, ok)
		require.Equal(t, agent, expand(short))
	}
	_, ok := abbreviate("日本")
	require.False(t, ok, "text with bytes of fragments is not abbreviated")
}

// TestRepresentationIsFixed: other processes and later versions must find what this one has stored.
// The expected FNV-1a and SHA-256 hashes were computed by another program.
func TestRepresentationIsFixed(t *testing.T) {
	require.Equal(t, 13, Shard(Member("5b4c8f0e-54a5-4d52-9a59-0a7c53f6d0c4"), 16))
	require.Equal(t, 7, Shard(Member("a"), 16))
	require.EqualValues(t, 0xfdee430d40bd, Score("ada"))
	require.Zero(t, Score(""))
	require.Equal(t, []string{"sb:{0}/a%3A%7Bb%7D%2F+:"}, Prefixes("sb", "a:{b}/ ", 1))
	for n := range 40 {
		for _, c := range []string{"\x00", "\x01", "\x02", "a"} {
			id := strings.Repeat(c, n)
			member := Member(id)
			require.NotEqual(t, uuidtext.Size, len(member))
			got, err := ID(member)
			require.NoError(t, err)
			require.Equal(t, id, got)
		}
	}
	require.Len(t, fragments, 33, "append only, and increment Format")
}

// TestBeginning: a script finds the times at which a session was created and logged in there.
func TestBeginning(t *testing.T) {
	for _, clear := range []func(*store.Record){
		func(*store.Record) {},
		func(rec *store.Record) { rec.UserID = "" },
		func(rec *store.Record) { rec.PrevTokenHash, rec.RotatedAt = store.TokenHash{}, time.Time{} },
		func(rec *store.Record) { rec.LoggedIn = time.Time{} },
	} {
		rec := fullRecord()
		clear(&rec)
		value := Encode(&rec)
		from, to := Beginning(value)
		require.Equal(t, Millis(rec.Created), number([]byte(value[from:])))
		if !rec.LoggedIn.IsZero() {
			require.Equal(t, Millis(rec.LoggedIn), number([]byte(value[to-NumberSize:])))
		}
		rest := reader{rest: value[to:]}
		require.Equal(t, int64(rec.Idle), rest.varint(), "the next field")
	}
}

// TestEncodeNew: the first revision is stored as the script would store it.
func TestEncodeNew(t *testing.T) {
	rec := fullRecord()
	created := EncodeNew(&rec)
	got, err := Decode(rec.ID, created.Value)
	require.NoError(t, err)
	rec.Revision = 1
	require.Equal(t, rec, got)
	require.Equal(t, New{
		Value: created.Value, Active: Millis(rec.Seen), Expires: Millis(rec.Expires), User: Score(rec.UserID), Client: Score(rec.ClientID),
	}, created)
	require.Equal(t, created.Expires, number([]byte(created.Value[atDue:])))
	require.Equal(t, created.Active, number([]byte(created.Value[atActive:])))
}
