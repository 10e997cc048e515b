package codec

import (
	"encoding/binary"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/store"
)

// row is a row of values, and what PostgreSQL sends for them in its binary format.
type row struct {
	values []any
	binary [][]byte
}

func (r *row) Scan(dst ...any) error {
	for i, to := range dst {
		target := reflect.ValueOf(to).Elem()
		target.Set(reflect.ValueOf(r.values[i]).Convert(target.Type()))
	}
	return nil
}

// newRow returns the row of a record that was stored, after two other values.
func newRow(t testing.TB, number int64, text string, rec *store.Record) *row {
	t.Helper()
	args := Args(rec)
	require.Len(t, args, Placeholders)
	const began = 16 // is not read
	r := &row{values: slices.Concat([]any{number, text}, args[:began], args[began+1:])}
	for _, value := range r.values {
		var sent []byte
		switch v := value.(type) {
		case string:
			sent = []byte(v)
		case []byte:
			sent = slices.Clone(v)
		default: // a number
			var err error
			sent, err = binary.Append(nil, binary.BigEndian, v)
			require.NoError(t, err)
		}
		r.binary = append(r.binary, sent)
	}
	return r
}

// full is a record with a value in each field.
func full() store.Record {
	now := time.Now().UTC().Truncate(time.Microsecond)
	return store.Record{
		ID: "id", Revision: 3, Writes: 4, WriteID: store.WriteID{1}, TokenHash: store.TokenHash{2},
		PrevTokenHash: store.TokenHash{3}, TokenGeneration: 5, LoginGeneration: 6, Renewal: store.RenewalSeen,
		RotatedAt: now, LoggedIn: now.Add(time.Second), ClientID: "client", UserID: "user", Addr: "\xff",
		UserAgent: "\x00", Created: now.Add(-time.Hour), Seen: now.Add(time.Minute), Expires: now.Add(time.Hour),
		Idle: time.Hour, Lifetime: 30 * 24 * time.Hour, Data: []byte("{}"),
	}
}

// TestRecordComesBack: a record is the same after Args and Scan, or Decode, and is a copy.
func TestRecordComesBack(t *testing.T) {
	for name, read := range map[string]func(r *row, before ...any) (store.Record, error){
		"Scan":   func(r *row, before ...any) (store.Record, error) { return Scan(r, before...) },
		"Decode": func(r *row, before ...any) (store.Record, error) { return Decode(r.binary, before...) },
	} {
		t.Run(name, func(t *testing.T) {
			for _, want := range []store.Record{{ID: "zero", Data: []byte{}}, full()} {
				r := newRow(t, 7, "a b", &want)
				var number int64
				var text string
				got, err := read(r, &number, &text)
				require.NoError(t, err)
				for _, value := range r.binary {
					clear(value)
				}
				require.True(t, reflect.DeepEqual(want, got), "%s", want.ID)
				require.EqualValues(t, 7, number)
				require.Equal(t, "a b", text)
			}
		})
	}
}

// TestRowsOfAnotherTable are errors.
func TestRowsOfAnotherTable(t *testing.T) {
	rec := full()
	for want, change := range map[string]func(*row){
		"column 4 has 7 bytes; 8 are expected":  func(r *row) { r.binary[3] = r.binary[3][:7] },
		"column 11 has 1 bytes; 2 are expected": func(r *row) { r.binary[10] = r.binary[10][:1] },
		"it has only 22 columns":                func(r *row) { r.binary = r.binary[:22] },
		"it has 24 columns; 23 are expected":    func(r *row) { r.binary = append(r.binary, nil) },

		"write_id, token_hash or prev_token_hash has another size": func(r *row) { r.binary[5] = r.binary[5][:15] },
		"renewal is out of range: -1":                              func(r *row) { r.binary[10] = []byte{0xff, 0xff} },
		"idle or lifetime is out of range: -9223372036854775808, 2592000000000": func(r *row) {
			r.binary[20] = []byte{0x80, 0, 0, 0, 0, 0, 0, 0}
		},
	} {
		r := newRow(t, 1, "", &rec)
		change(r)
		_, err := Decode(r.binary, new(int64), new(string))
		require.ErrorIs(t, err, ErrRow)
		require.EqualError(t, err, ErrRow.Error()+": "+want)
	}
}

func TestText(t *testing.T) {
	for text, want := range map[string]bool{"": true, "日本": true, "a b\n": true, "a\x00": false, "\xff": false} {
		require.Equal(t, want, Text(text), "%q", text)
	}
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
