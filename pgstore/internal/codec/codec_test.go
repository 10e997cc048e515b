package codec

import (
	"reflect"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgtype"
	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/store"
)

// row is a row of values that PostgreSQL has encoded.
type row struct {
	types     *pgtype.Map
	described []pgconn.FieldDescription
	values    [][]byte
}

func (r *row) FieldDescriptions() []pgconn.FieldDescription { return r.described }

func (r *row) RawValues() [][]byte { return r.values }

func (r *row) Scan(dst ...any) error {
	for i, to := range dst {
		if err := r.types.Scan(r.described[i].DataTypeOID, r.described[i].Format, r.values[i], to); err != nil {
			return err
		}
	}
	return nil
}

// newRow returns the row of a record that was stored, after two other values.
func newRow(t *testing.T, format int16, number int64, text string, rec *store.Record) *row {
	t.Helper()
	args := Args(rec)
	require.Len(t, args, Placeholders)
	const began = 16 // is not read
	r := &row{types: pgtype.NewMap()}
	for i, value := range slices.Concat([]any{number, text}, args[:began], args[began+1:]) {
		oid := uint32(pgtype.Int8OID)
		switch value.(type) {
		case string:
			oid = pgtype.TextOID
		case []byte:
			oid = pgtype.ByteaOID
		case int16:
			oid = pgtype.Int2OID
		}
		format := format
		if oid == pgtype.TextOID {
			format = pgx.TextFormatCode // as pgx has it
		}
		encoded, err := r.types.Encode(oid, format, value, []byte{})
		require.NoError(t, err)
		r.values = append(r.values, encoded)
		r.described = append(r.described, pgconn.FieldDescription{
			Name: "column " + strconv.Itoa(i), DataTypeOID: oid, Format: format,
		})
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

// TestRecordComesBack: a record is the same after Args and Scan, in both formats, and is a copy.
func TestRecordComesBack(t *testing.T) {
	for _, format := range []int16{pgx.BinaryFormatCode, pgx.TextFormatCode} {
		for _, want := range []store.Record{{ID: "zero", Data: []byte{}}, full()} {
			r := newRow(t, format, 7, "a b", &want)
			var number int64
			var text string
			got, err := Scan(r, &number, &text)
			require.NoError(t, err)
			for _, value := range r.values {
				clear(value)
			}
			require.True(t, reflect.DeepEqual(want, got), "%s", want.ID)
			require.EqualValues(t, 7, number)
			require.Equal(t, "a b", text)
		}
	}
}

// TestRowsOfAnotherTable are errors.
func TestRowsOfAnotherTable(t *testing.T) {
	rec := full()
	for name, change := range map[string]func(*row){
		"a short number":  func(r *row) { r.values[3] = r.values[3][:7] },
		"a short integer": func(r *row) { r.values[10] = r.values[10][:1] },
		"a column less":   func(r *row) { r.values = r.values[:len(r.values)-1] },
		"a column more":   func(r *row) { r.values = append(r.values, nil) },
	} {
		t.Run(name, func(t *testing.T) {
			r := newRow(t, pgx.BinaryFormatCode, 1, "", &rec)
			change(r)
			var number int64
			var text string
			_, err := Scan(r, &number, &text)
			require.ErrorAs(t, err, new(pgx.ScanArgError))
		})
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
