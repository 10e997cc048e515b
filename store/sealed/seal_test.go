package sealed_test

import (
	"bytes"
	"context"
	"errors"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/livestore"
	"github.com/sessionbridge/sessionbridge/store"
	"github.com/sessionbridge/sessionbridge/store/sealed"
)

// secrets are the parts of newRecord that the inner store must not have.
var secrets = []string{
	"secret-client", "secret-user", "secret-addr", "secret-agent", "secret-value", "secret-flash", "secret", "name",
}

func TestS17_TheInnerStoreHasNoPersonalData(t *testing.T) {
	inner := livestore.New()
	rec := create(t, seal(t, inner, nil, 1))
	stored := get(t, inner, rec.ID)
	require.Empty(t, stored.Addr)
	require.Empty(t, stored.UserAgent)
	all := strings.Join([]string{stored.ID, stored.ClientID, stored.UserID, string(stored.Data)}, " ")
	for _, secret := range secrets {
		require.NotContains(t, all, secret)
	}
	require.NotEqual(t, stored.UserID, stored.ClientID)
	same := create(t, seal(t, inner, nil, 1), func(rec *store.Record) { rec.UserID = rec.ClientID })
	stored = get(t, inner, same.ID)
	require.NotEqual(t, stored.UserID, stored.ClientID, "users and clients have keys of their own")
}

func TestContentsOfEverySize(t *testing.T) {
	st := seal(t, livestore.New(), nil, 1)
	random := rand.NewChaCha8([32]byte{})
	for name, data := range map[string]string{
		"none": "", "object": "{}", "64 KiB": strings.Repeat("x", 64<<10), "Unicode": `{"日本":"👩‍💻","é":"\u0000"}`,
	} {
		t.Run(name, func(t *testing.T) {
			rec := create(t, st, func(rec *store.Record) { rec.Data = []byte(data) })
			require.Equal(t, data, string(get(t, st, rec.ID).Data))
		})
	}
	for size := range 600 {
		data := make([]byte, size)
		_, _ = random.Read(data)
		rec := create(t, st, func(rec *store.Record) {
			rec.Data, rec.UserAgent, rec.UserID, rec.ClientID = data, strings.Repeat("ü", size), "Zoë 👩‍💻", ""
		})
		got := get(t, st, rec.ID)
		require.True(t, bytes.Equal(data, got.Data))
		require.Equal(t, rec.UserAgent, got.UserAgent)
		require.Equal(t, "Zoë 👩‍💻", got.UserID)
		require.Empty(t, got.ClientID)
	}
}

func TestS17_WithoutRandomBytesNothingIsStored(t *testing.T) {
	inner := livestore.New()
	st := seal(t, inner, nil, 1)
	rec := create(t, st)
	before := get(t, inner, rec.ID)
	broken := errors.New("no entropy")
	st.SetRand(failing{broken})
	rec.Data = []byte(`{"n":2}`)
	for _, left := range []uint64{1, 0} { // for a nonce, and for a salt
		st.LeaveBoxes(left)
		_, err := st.Set(t.Context(), rec)
		require.ErrorIs(t, err, broken)
		require.Equal(t, before, get(t, inner, rec.ID))
		_, err = st.Set(t.Context(), newRecord())
		require.ErrorIs(t, err, broken)
		require.Len(t, ids(t, inner.List(t.Context())), 1)
	}
	_, err := st.SealMessage([]byte("hello"))
	require.ErrorIs(t, err, broken)
}

func TestS17_NoncesAreUnique(t *testing.T) {
	inner := livestore.New()
	st := seal(t, inner, nil, 1)
	rec := create(t, st)
	seen := map[string]bool{}
	for range 10_000 {
		rec = set(t, st, rec) // the same contents
		nonce := string(get(t, inner, rec.ID).Data[sealed.NonceAt:sealed.BoxAt])
		require.False(t, seen[nonce])
		seen[nonce] = true
	}
}

// TestS17_NoCipherSealsTooMuch: a salt is replaced in time, also while many write.
func TestS17_NoCipherSealsTooMuch(t *testing.T) {
	require.LessOrEqual(t, uint64(sealed.BoxesPerSalt), uint64(1)<<32, "NIST SP 800-38D, 8.3")
	st := seal(t, livestore.New(), nil, 1)
	for range 20 {
		requireTwoSalts(t, st)
	}
}

// requireTwoSalts fails unless what a salt has left is sealed with it, and the rest with one other.
func requireTwoSalts(t *testing.T, st *sealed.Store) {
	t.Helper()
	const left, writers, each = 100_000, 8, 25_000
	first, err := st.NextSalt()
	require.NoError(t, err)
	st.LeaveBoxes(left)
	var mu sync.Mutex
	boxes := map[string]int{}
	var wg sync.WaitGroup
	for range writers {
		wg.Go(func() {
			own := map[string]int{}
			for range each {
				salt, err := st.NextSalt()
				assert.NoError(t, err)
				own[salt]++
			}
			mu.Lock()
			defer mu.Unlock()
			for salt, n := range own {
				boxes[salt] += n
			}
		})
	}
	wg.Wait()
	require.Len(t, boxes, 2)
	require.Equal(t, left, boxes[first])
}

// TestS17_SaltAndNonceAreRandom: all of their bytes, also after there were no random ones.
func TestS17_SaltAndNonceAreRandom(t *testing.T) {
	inner := livestore.New()
	st := seal(t, inner, nil, 1)
	broken := errors.New("no entropy")
	st.SetRand(failing{broken})
	_, err := st.Set(t.Context(), newRecord())
	require.ErrorIs(t, err, broken)
	const random = "a random one and a nonce"
	st.SetRand(strings.NewReader(random))
	require.Equal(t, random, string(get(t, inner, create(t, st).ID).Data[sealed.SaltAt:sealed.BoxAt]))
}

// TestEveryStartHasItsSalt: the records of more starts than ciphers are remembered open, in any order.
func TestEveryStartHasItsSalt(t *testing.T) {
	const starts = 2 * sealed.OpenerSlots
	inner := livestore.New()
	var recs []store.Record
	salts := map[string]bool{}
	for range starts {
		rec := create(t, seal(t, inner, nil, 1))
		salts[saltOf(get(t, inner, rec.ID))] = true
		recs = append(recs, rec)
	}
	require.Len(t, salts, starts)
	st := seal(t, inner, nil, 1)
	for range 2 {
		for _, rec := range recs {
			require.Equal(t, rec, get(t, st, rec.ID))
		}
	}
}

// saltOf returns the salt of a sealed record.
func saltOf(rec store.Record) string { return string(rec.Data[sealed.SaltAt:sealed.NonceAt]) }

func TestS17_NoKeyNoStore(t *testing.T) {
	for name, c := range map[string]struct {
		keys [][]byte
		says string
	}{
		"none":      {nil, "no keys: there is no default key"},
		"empty":     {[][]byte{{}}, "0 bytes are too short"},
		"short":     {[][]byte{keyOf(1), make([]byte, 31)}, "key 1: 31 bytes are too short"},
		"all zeros": {[][]byte{make([]byte, 32)}, "it isn't random"},
		"twice":     {[][]byte{keyOf(1), keyOf(2), keyOf(1)}, "key 2: it is among the keys twice"},
	} {
		t.Run(name, func(t *testing.T) {
			st, err := sealed.New(livestore.New(), c.keys, nil)
			require.ErrorContains(t, err, c.says)
			require.Nil(t, st)
		})
	}
	_, err := sealed.New(livestore.New(), nil, nil)
	require.ErrorContains(t, err, "LoadOrCreateKeys", "it says how to make one")
	_, err = sealed.New(nil, [][]byte{keyOf(1)}, nil)
	require.ErrorContains(t, err, "no inner store")
}

// TestCost: an allocation for the fields of an opened record. A record that is stored again has its
// names already, and memory for its envelope.
func TestCost(t *testing.T) {
	rec := newRecord()
	inner := &constant{}
	st := seal(t, inner, nil, 1)
	set(t, st, rec)
	ctx := t.Context()
	require.Zero(t, leastAllocs(func() { _, _ = st.Set(ctx, rec) }))
	const ofInner = 1 // its copy of the data
	require.LessOrEqual(t, leastAllocs(func() { _, _ = st.Get(ctx, rec.ID) }), 1.0+ofInner)
}

// TestForgedSaltsCostNoOneElse: who can write to the inner store can't make the cipher of others be
// derived again and again.
func TestForgedSaltsCostNoOneElse(t *testing.T) {
	st := seal(t, livestore.New(), quiet(), 1)
	envelope, err := st.SealMessage([]byte("hello"))
	require.NoError(t, err)
	forged := bytes.Clone(envelope)
	forged[sealed.NonceAt-1]++ // the same place among the ciphers
	derived := leastAllocs(func() { _, err = st.OpenMessage(forged) })
	require.ErrorIs(t, err, sealed.ErrUnopenable)
	both := leastAllocs(func() {
		_, _ = st.OpenMessage(envelope)
		_, _ = st.OpenMessage(forged)
	})
	require.Less(t, both, 2*derived)
}

// leastAllocs returns the least number of allocations of a call: sync.Pool drops what it has at any
// time, and more often with the race detector.
func leastAllocs(call func()) float64 {
	least := testing.AllocsPerRun(1, call)
	for range 500 {
		least = min(least, testing.AllocsPerRun(1, call))
	}
	return least
}

// busy refuses each record that is marked, and goes on reading it.
type busy struct {
	store.Store
	refused []byte
}

func (s *busy) Set(ctx context.Context, rec store.Record) (uint64, error) {
	if rec.WriteID == (store.WriteID{1}) {
		s.refused = rec.Data
		return 0, context.DeadlineExceeded
	}
	return s.Store.Set(ctx, rec)
}

func TestAnEnvelopeWhoseOutcomeIsUnknownIsNotOverwritten(t *testing.T) {
	inner := &busy{Store: livestore.New()}
	st := seal(t, inner, nil, 1)
	_, err := st.Set(t.Context(), newRecord(func(rec *store.Record) { rec.WriteID = store.WriteID{1} }))
	require.ErrorIs(t, err, context.DeadlineExceeded)
	before := bytes.Clone(inner.refused)
	for range 100 {
		create(t, st)
		require.Equal(t, before, inner.refused)
	}
}

// envelopes records where the envelopes are.
type envelopes struct {
	store.Store
	at map[*byte]int
}

func (s *envelopes) Set(ctx context.Context, rec store.Record) (uint64, error) {
	s.at[&rec.Data[0]]++
	return s.Store.Set(ctx, rec)
}

func TestTheMemoryOfAnEnvelopeIsUsedAgain(t *testing.T) {
	inner := &envelopes{livestore.New(), make(map[*byte]int)}
	st := seal(t, inner, nil, 1)
	var recs []store.Record
	for range 1000 {
		recs = append(recs, create(t, st))
	}
	require.Less(t, len(inner.at), 900) // a pool loses some under the race detector
	for _, rec := range recs {
		require.Equal(t, rec.Data, get(t, st, rec.ID).Data)
	}
}
