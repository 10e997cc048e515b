package codec

import (
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/store"
)

// row is a row with the values that Args has stored.
type row struct{ values []any }

func (r row) Scan(dst ...any) error {
	for i, to := range dst {
		target := reflect.ValueOf(to).Elem()
		target.Set(reflect.ValueOf(r.values[i]).Convert(target.Type()))
	}
	return nil
}

// TestRecordComesBack: a record is the same after Args and Scan.
func TestRecordComesBack(t *testing.T) {
	now := time.Now().UTC().Truncate(time.Microsecond)
	for _, want := range []store.Record{
		{ID: "zero", Data: []byte{}},
		{
			ID: "id", Revision: 3, Writes: 4, WriteID: store.WriteID{1}, TokenHash: store.TokenHash{2},
			PrevTokenHash: store.TokenHash{3}, TokenGeneration: 5, LoginGeneration: 6, Renewal: store.RenewalSeen,
			RotatedAt: now, LoggedIn: now.Add(time.Second), ClientID: "client", UserID: "user", Addr: "\xff",
			UserAgent: "\x00", Created: now.Add(-time.Hour), Seen: now.Add(time.Minute), Expires: now.Add(time.Hour),
			Idle: time.Hour, Lifetime: 30 * 24 * time.Hour, Data: []byte("{}"),
		},
	} {
		args := Args(&want)
		require.Len(t, args, Placeholders)
		const began = 16 // is not read
		got, err := Scan(row{append(args[:began:began], args[began+1:]...)})
		require.NoError(t, err)
		require.True(t, reflect.DeepEqual(want, got), "%s", want.ID)
	}
}

func TestText(t *testing.T) {
	for text, want := range map[string]bool{"": true, "日本": true, "a b\n": true, "a\x00": false, "\xff": false} {
		require.Equal(t, want, Text(text), "%q", text)
	}
}

// TestColumns: both lists have one entry for each value of Scan.
func TestColumns(t *testing.T) {
	require.Len(t, strings.Split(Columns(), ", "), Placeholders-1)
	require.Equal(t, Placeholders-1, strings.Count(ColumnsOf("r"), "coalesce((r)."))
}

func TestTopic(t *testing.T) {
	for _, to := range []store.KeptFor{{SessionID: "u"}, {UserID: "s"}, {UserID: "u1"}, {SessionID: "s1"}} {
		require.Equal(t, to, KeptFor(Topic(to)))
	}
}

// TestArgsOfAll: the arrays have the arguments of each record in its place.
func TestArgsOfAll(t *testing.T) {
	recs := []*store.Record{
		{ID: "a", Revision: 1, UserID: "ada", Data: []byte("{}"), Seen: time.UnixMicro(5)},
		{ID: "b", Writes: 7, TokenHash: [32]byte{1}, Renewal: 2, Idle: time.Hour, Expires: time.UnixMicro(9)},
	}
	columns := ArgsOfAll(recs)
	require.Len(t, columns, Placeholders)
	for i, rec := range recs {
		for at, want := range Args(rec) {
			got := reflect.ValueOf(columns[at])
			require.Equal(t, len(recs), got.Len())
			require.EqualValues(t, want, got.Index(i).Interface())
		}
	}
}
