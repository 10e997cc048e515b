package pgstore

import (
	"errors"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/sessionbridge/sessionbridge/pgstore/internal/codec"
	"github.com/sessionbridge/sessionbridge/pgstore/internal/conn"
	"github.com/sessionbridge/sessionbridge/store"
)

// scan reads a record from the current row, after the values for before: pointers to int64 and string.
// Numbers come as text in pgx's simple protocol, and in binary otherwise.
func scan(rows pgx.Rows, before ...any) (store.Record, error) {
	rec, err := decode(rows, before)
	if errors.Is(err, codec.ErrRow) {
		err = conn.Damaged("read a record", err)
	}
	return rec, err
}

func decode(rows pgx.Rows, before []any) (store.Record, error) {
	described := rows.FieldDescriptions()
	for i := range described {
		d := &described[i]
		if d.Format != pgx.BinaryFormatCode && d.DataTypeOID != pgtype.TextOID { // text is the same in both formats
			return codec.Scan(rows, before...)
		}
	}
	return codec.Decode(rows.RawValues(), before...)
}
