package sealed_test

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/livestore"
	"github.com/sessionbridge/sessionbridge/store"
	"github.com/sessionbridge/sessionbridge/store/sealed"
)

// fixed is a store whose salts and nonces are no random ones: each process of the fuzzer has the same
// envelopes, so that inputs mean the same to all.
func fixed(f *testing.F, inner store.Store) *sealed.Store {
	f.Helper()
	st := seal(f, inner, quiet(), 1)
	st.SetRand(bytes.NewReader(bytes.Repeat([]byte{7}, sealed.BoxAt-sealed.SaltAt)))
	return st
}

// FuzzEnvelope: whatever lies in the inner store is opened only if it was sealed, as it was sealed.
func FuzzEnvelope(f *testing.F) {
	inner := livestore.New()
	rec := create(f, fixed(f, inner), func(rec *store.Record) { rec.ID = "an ID" })
	whole := get(f, inner, rec.ID)
	addEnvelopes(f, whole.Data)
	f.Fuzz(func(t *testing.T, data []byte) {
		stored := whole
		stored.Data = bytes.Clone(data)
		got, err := seal(t, &constant{stored}, quiet(), 1).Get(t.Context(), rec.ID)
		if bytes.Equal(data, whole.Data) {
			require.NoError(t, err)
			require.Equal(t, rec, got)
			return
		}
		require.ErrorIs(t, err, sealed.ErrUnopenable)
		require.Zero(t, got.Data)
	})
}

// FuzzMessage: a message between nodes is opened only if it was sealed, by a node of the same app,
// and as it was sealed.
func FuzzMessage(f *testing.F) {
	text := []byte("a message")
	shop := capability[store.Namespacer](f, fixed(f, livestore.New())).App("shop").(*sealed.Store)
	whole, err := shop.SealMessage(text)
	require.NoError(f, err)
	addEnvelopes(f, whole)
	f.Fuzz(func(t *testing.T, data []byte) {
		st := seal(t, livestore.New(), quiet(), 1)
		_, err := st.OpenMessage(data)
		require.ErrorIs(t, err, sealed.ErrUnopenable, "of another app")
		got, err := capability[store.Namespacer](t, st).App("shop").(*sealed.Store).OpenMessage(data)
		if bytes.Equal(data, whole) {
			require.NoError(t, err)
			require.Equal(t, text, got)
		} else {
			require.ErrorIs(t, err, sealed.ErrUnopenable)
			require.Empty(t, got)
		}

		again, err := st.SealMessage(data)
		require.NoError(t, err)
		got, err = st.OpenMessage(again)
		require.NoError(t, err)
		require.True(t, bytes.Equal(data, got))
	})
}

// addEnvelopes adds an envelope, and others that are almost right.
func addEnvelopes(f *testing.F, whole []byte) {
	f.Helper()
	f.Add([]byte{})
	f.Add([]byte("{}"))
	f.Add([]byte("\x00sb"))
	f.Add(whole)
	f.Add(whole[:sealed.BoxAt])
	f.Add(whole[:sealed.BoxAt+16])
	f.Add(append(bytes.Clone(whole), 0))
}

// FuzzContents: every record comes back as it was, and the inner store's copy opens nowhere else.
func FuzzContents(f *testing.F) {
	f.Add("id", "client", "user", "addr", "agent", []byte("{}"))
	f.Add("", "", "", "", "", []byte(nil))
	f.Add("日本", "é", "👩‍💻", "\x00", "\xff", bytes.Repeat([]byte{0}, 300))
	f.Fuzz(func(t *testing.T, id, client, user, addr, agent string, data []byte) {
		inner := &constant{}
		st := seal(t, inner, quiet(), 1)
		rec := newRecord(func(rec *store.Record) {
			rec.ID, rec.ClientID, rec.UserID, rec.Addr, rec.UserAgent, rec.Data = id, client, user, addr, agent, data
		})
		set(t, st, rec)
		got := get(t, st, id)
		require.True(t, bytes.Equal(data, got.Data))
		got.Data = data
		require.Equal(t, rec, got)
		inner.rec.ID += "x"
		_, err := st.Get(t.Context(), inner.rec.ID)
		require.ErrorIs(t, err, sealed.ErrUnopenable)
	})
}
