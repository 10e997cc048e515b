package devicebound

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/internal/gateway"
	"github.com/sessionbridge/sessionbridge/store"
)

func key(b byte) []byte { return bytes.Repeat([]byte{b}, 32) }

func newSigner(keys ...[]byte) *signer {
	s := &signer{}
	s.setKeys(keys)
	return s
}

func TestSignedTextIsForOnePurposeAndStatement(t *testing.T) {
	s := newSigner(key(1))
	at := time.Unix(1_700_000_000, 0)
	what := statement{"session", 3, 7}
	text := s.sign(refresh, what, at)
	got, ok := s.verify(refresh, what, text)
	require.True(t, ok)
	require.True(t, got.Equal(at))
	require.Equal(t, text, s.sign(refresh, what, at), "the same each time")
	for name, c := range map[string]struct {
		p    purpose
		what statement
		text string
	}{
		"purpose":  {registration, what, text},
		"cookie":   {boundCookie, what, text},
		"session":  {refresh, statement{"sessions", 3, 7}, text},
		"login":    {refresh, statement{"session", 4, 7}, text},
		"proofs":   {refresh, statement{"session", 3, 8}, text},
		"swapped":  {refresh, statement{"session", 7, 3}, text},
		"empty":    {refresh, what, ""},
		"short":    {refresh, what, text[1:]},
		"long":     {refresh, what, text + "A"},
		"alphabet": {refresh, what, "!" + text[1:]},
		"time":     {refresh, what, "AAAAAAAAAAB" + text[11:]},
		"MAC":      {refresh, what, text[:len(text)-4] + "AAAA"},
	} {
		_, ok := s.verify(c.p, c.what, c.text)
		require.False(t, ok, name)
	}
}

func TestTextHasOneForm(t *testing.T) {
	s := newSigner(key(1))
	text := s.sign(refresh, statement{}, time.Unix(0, 0))
	last := strings.IndexByte("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_", text[len(text)-1])
	require.GreaterOrEqual(t, last, 0)
	n := 0
	for i := range len("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_") {
		alphabet := "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
		if _, ok := s.verify(refresh, statement{}, text[:len(text)-1]+alphabet[i:i+1]); ok {
			n++
		}
	}
	require.Equal(t, 1, n)
}

func TestSeveralKeysVerify(t *testing.T) {
	old, both, next := newSigner(key(1)), newSigner(key(2), key(1)), newSigner(key(2))
	at := time.Unix(1, 0)
	verifies := func(s *signer, text string) bool {
		_, ok := s.verify(boundCookie, statement{"s", 1, 0}, text)
		return ok
	}
	text := old.sign(boundCookie, statement{"s", 1, 0}, at)
	require.True(t, verifies(both, text))
	require.False(t, verifies(next, text))
	text = both.sign(boundCookie, statement{"s", 1, 0}, at)
	require.True(t, verifies(next, text), "the first key signs")
}

func FuzzSigned(f *testing.F) {
	s := newSigner(key(1))
	what := statement{"session", 3, 7}
	valid := s.sign(refresh, what, time.Unix(1_700_000_000, 0))
	f.Add(valid)
	f.Add("")
	f.Add(strings.Repeat("A", len(valid)))
	f.Fuzz(func(t *testing.T, text string) {
		if _, ok := s.verify(refresh, what, text); ok {
			require.Equal(t, valid, text)
		}
	})
}

// record returns a record with the state of a binding.
func record(t testing.TB, state string) *store.Record {
	t.Helper()
	d, err := gateway.NewDraft(store.Record{ID: "s", Data: []byte("{}")})
	require.NoError(t, err)
	d.SetDevice(state)
	return &store.Record{ID: "s", Data: []byte(`{"_bridge_device":` + string(d.StoredRaw("_bridge_device")) + `}`)}
}

func TestBindingIsReadAsItWasWritten(t *testing.T) {
	length := 0
	for _, b := range []binding{
		{login: 1, proved: time.UnixMilli(0), key: []byte("a key")},
		{inForce: true, login: 1 << 40, proofs: 1<<64 - 1, proved: time.UnixMilli(1_700_000_000_123), key: []byte("a key")},
	} {
		text := b.encode()
		require.Equal(t, &b, bindingOf(record(t, text)))
		if length == 0 {
			length = len(text)
		}
		require.Len(t, text, length, "a refresh never makes a session larger")
	}
	require.Nil(t, bindingOf(&store.Record{Data: []byte("{}")}))
}

func TestBindingThatCannotBeReadIsNotOpen(t *testing.T) {
	d := New(Config{Keys: [][]byte{key(1)}, Life: 10 * time.Minute})
	for _, state := range []string{"?", "AAAA", (&binding{}).encode(), "Ag" + (&binding{key: []byte("k")}).encode()[2:]} {
		rec := record(t, state)
		require.True(t, d.Check(rec, &Presented{}).Refused, state)
		forged := d.signer.sign(boundCookie, statement{"s", 0, 0}, gateway.Now().Add(-time.Second))
		require.True(t, d.Check(rec, &Presented{cookies: []string{forged}}).Refused, state)
	}
}
