package pgstore_test

import (
	"context"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/pgstore"
	"github.com/sessionbridge/sessionbridge/store"
	"github.com/sessionbridge/sessionbridge/store/sealed"
	"github.com/sessionbridge/sessionbridge/store/storetest"
)

const (
	patience = time.Minute // limit for operations that must succeed eventually
	tick     = 20 * time.Millisecond
)

// open opens a store that is closed at the end of the test. Its Options.Timeout is long unless the
// test sets one, because the machine may be busy.
func open(t testing.TB, url string, opts *pgstore.Options) *pgstore.Store {
	t.Helper()
	var o pgstore.Options
	if opts != nil {
		o = *opts
	}
	if o.Timeout == 0 {
		o.Timeout = patience
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	st, err := pgstore.Open(ctx, url, &o)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, st.Close()) })
	return st
}

var schemas atomic.Int32

// fresh opens a store in a schema of its own of the shared server.
func fresh(t testing.TB) *pgstore.Store {
	t.Helper()
	return open(t, server.Server(t).URL(), &pgstore.Options{Schema: newSchema()})
}

func newSchema() string { return "test " + strconv.Itoa(int(schemas.Add(1))) + ` "quoted"'s` }

// contract runs the contract tests in parallel.
func contract(t *testing.T, make func(t *testing.T) store.Store) {
	t.Helper()
	storetest.Run(t, func(each *testing.T) store.Store {
		if each != t {
			each.Parallel()
		}
		return make(each)
	})
}

func TestContract(t *testing.T) {
	t.Parallel()
	contract(t, func(t *testing.T) store.Store { return shared.fresh(t) })
}

// seal encrypts what a store has.
func seal(t *testing.T, inner store.Store) store.Store {
	t.Helper()
	st, err := sealed.New(inner, [][]byte{[]byte("a key of at least 32 random bytes")}, nil)
	require.NoError(t, err)
	return st
}

// quoted returns the name of a schema in SQL.
func quoted(schema string) string { return pgx.Identifier{schema}.Sanitize() }
