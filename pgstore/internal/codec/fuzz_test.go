package codec

import (
	"bytes"
	"encoding/binary"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/store"
)

// FuzzRow: a row of any columns is decoded into a record that comes back, or is an error.
func FuzzRow(f *testing.F) {
	for _, rec := range []store.Record{{ID: "zero", Data: []byte{}}, full()} {
		var row []byte
		for _, value := range newRow(f, 7, "a", &rec).binary[2:] {
			row = append(binary.AppendUvarint(row, uint64(len(value))), value...)
		}
		f.Add(row)
		f.Add(row[:len(row)/2])
	}
	f.Fuzz(func(t *testing.T, row []byte) {
		values := [][]byte{}
		for len(row) > 0 {
			size, n := binary.Uvarint(row)
			if n <= 0 || size > uint64(len(row)-n) {
				return
			}
			values, row = append(values, row[n:n+int(size)]), row[n+int(size):] //nolint:gosec // at most len(row)
		}
		before := make([][]byte, len(values))
		for i, value := range values {
			before[i] = slices.Clone(value)
		}
		rec, err := Decode(values)
		require.Equal(t, before, values, "the row is changed")
		if err != nil || rec.ID == "" && rec.Revision == 0 { // that is no session
			return
		}
		require.Len(t, values, len(fields))
		for _, value := range values { // the row is used again
			for i := range value {
				value[i] ^= 0xff
			}
		}
		again, err := Decode(newRow(t, 7, "a", &rec).binary[2:])
		require.NoError(t, err)
		require.Equal(t, rec, again)
		require.True(t, bytes.Equal(rec.Data, before[len(before)-1]))
	})
}
