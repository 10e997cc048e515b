package bridge_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/bridge"
	"github.com/sessionbridge/sessionbridge/internal/testkit"
	"github.com/sessionbridge/sessionbridge/internal/testkit/teststore"
	"github.com/sessionbridge/sessionbridge/internal/testkit/webclient"
	"github.com/sessionbridge/sessionbridge/livestore"
)

// roundTrip stores a value and returns it as it is loaded again.
func roundTrip(t testing.TB, a *testkit.App, id string, v any) any {
	t.Helper()
	require.NoError(t, a.Update(t, id, func(s *bridge.Session) { s.Set("v", v) }))
	s, err := a.GetByID(t.Context(), id)
	require.NoError(t, err)
	got, ok := s.Get("v")
	require.True(t, ok)
	return got
}

type failingMarshaler struct{}

func (failingMarshaler) MarshalJSON() ([]byte, error) { return nil, errors.New("no JSON today") }

var unserialisable = map[string]any{
	"channel":           make(chan int),
	"function":          func() {},
	"not a number":      math.NaN(),
	"infinity":          math.Inf(-1),
	"complex":           1i,
	"failing":           failingMarshaler{},
	"deep inside":       map[string]any{"list": []any{1, make(chan int)}},
	"broken raw JSON":   json.RawMessage("{"),
	"key of other type": map[[2]int]int{{1, 2}: 3},
}

func TestUnserialisableValueIsNamed(t *testing.T) {
	a, st, id := testkit.NewSessionOf(t, nil)
	before := teststore.Stored(t, st, id)
	for name, v := range unserialisable {
		t.Run(name, func(t *testing.T) {
			err := a.Update(t, id, func(s *bridge.Session) { s.Set("good", 1); s.Set("the key", v) })
			var bad *bridge.ValueError
			require.ErrorAs(t, err, &bad)
			require.Equal(t, "the key", bad.Key)
			require.ErrorContains(t, err, "the key")
			require.Equal(t, before.Revision, teststore.Stored(t, st, id).Revision, "nothing is stored, the good key neither")
		})
	}
	require.NoError(t, a.Update(t, id, func(s *bridge.Session) { s.Set("k", make(chan int)); s.Set("k", "better") }))
	require.NoError(t, a.Update(t, id, func(s *bridge.Session) { s.Set("k", make(chan int)); s.Delete("k") }))
}

func TestUnserialisableValueOverHTTPIs500AndNothingIsStored(t *testing.T) {
	var log bytes.Buffer
	st := livestore.New()
	a := testkit.NewApp(t, st, &bridge.Options{Keys: [][]byte{testkit.Key()}, Logger: slog.New(slog.NewTextHandler(&log, nil))})
	a.SessionPage("/bad", func(s *bridge.Session) (any, error) { s.Set("the key", make(chan int)); return "stored", nil })
	h := a.Handler(a.Mux)
	visitor := webclient.Pocket{}
	w := visitor.Get(t, h, "/bad")
	require.Equal(t, http.StatusInternalServerError, w.Code)
	require.NotContains(t, w.Body.String(), "stored\n")
	require.NotContains(t, visitor, "sid")
	require.Zero(t, teststore.StoredCount(t, st))
	require.Contains(t, log.String(), "the key")
	require.EqualValues(t, 1, a.Stats().FailedCommits)
}

func TestS19_SessionOverItsSizeIsRefused(t *testing.T) {
	a, st, id := testkit.NewSessionOf(t, &bridge.Options{MaxValueBytes: 1000})
	fill := func(n int) error {
		return a.Update(t, id, func(s *bridge.Session) { s.Set("big", strings.Repeat("x", n)) })
	}
	rest := 1000 - len(`{"n":1,"big":""}`)
	require.NoError(t, fill(rest))
	require.Len(t, teststore.Stored(t, st, id).Data, 1000)
	require.ErrorIs(t, fill(rest+1), bridge.ErrSessionTooLarge)
	require.Len(t, teststore.Stored(t, st, id).Data, 1000)
	require.NoError(t, a.Update(t, id, func(s *bridge.Session) { s.Delete("big") }))
	require.ErrorIs(t, a.Update(t, id, func(s *bridge.Session) {
		for i := range 100 {
			s.Set(fmt.Sprint("key", i), i)
		}
	}), bridge.ErrSessionTooLarge, "many small ones count together")
	require.ErrorIs(t, a.Update(t, id, func(s *bridge.Session) { s.AddFlash(strings.Repeat("x", 1000)) }), bridge.ErrSessionTooLarge)
	require.Equal(t, http.StatusRequestEntityTooLarge, bridge.HTTPStatus(fill(2000)))

	unlimited, _, id := testkit.NewSessionOf(t, &bridge.Options{MaxValueBytes: bridge.Off})
	require.NoError(t, unlimited.Update(t, id, func(s *bridge.Session) { s.Set("big", strings.Repeat("x", 1<<20)) }))
}

func TestSessionOverItsSizeOverHTTPIsAnError(t *testing.T) {
	st := livestore.New()
	a := testkit.NewApp(t, st, nil)
	a.SessionPage("/big", func(s *bridge.Session) (any, error) { s.Set("big", strings.Repeat("x", 64<<10)); return "ok", nil })
	w := webclient.Pocket{}.Get(t, a.Handler(a.Mux), "/big")
	require.Equal(t, http.StatusRequestEntityTooLarge, w.Code)
	require.Zero(t, teststore.StoredCount(t, st))
}

func TestNumbersComeBackExact(t *testing.T) {
	a, _, id := testkit.NewSessionOf(t, nil)
	for _, c := range []struct{ in, out any }{
		{0, int64(0)},
		{-1, int64(-1)},
		{int64(1)<<53 + 1, int64(1)<<53 + 1},
		{int64(math.MaxInt64), int64(math.MaxInt64)},
		{int64(math.MinInt64), int64(math.MinInt64)},
		{uint8(255), int64(255)},
		{uint64(math.MaxInt64), int64(math.MaxInt64)},
		{uint64(math.MaxInt64) + 1, float64(1 << 63)},
		{uint64(math.MaxUint64), float64(1 << 64)},
		{1.5, 1.5},
		{math.MaxFloat64, math.MaxFloat64},
		{math.SmallestNonzeroFloat64, math.SmallestNonzeroFloat64},
		{0.1, 0.1},
		{json.Number("12345678901234567"), int64(12345678901234567)},
		{json.Number("1e3"), 1000.0},
		{map[string]any{"a": []any{int64(1)<<53 + 1, 0.5}}, map[string]any{"a": []any{int64(1)<<53 + 1, 0.5}}},
	} {
		require.Equal(t, c.out, roundTrip(t, a, id, c.in), "%T %v", c.in, c.in)
	}
}

func TestOtherValuesComeBack(t *testing.T) {
	a, _, id := testkit.NewSessionOf(t, nil)
	for _, c := range []struct{ in, out any }{
		{nil, nil},
		{true, true},
		{"", ""},
		{"<script>&\u2028\"\\\x00\x7f é 👩‍💻", "<script>&\u2028\"\\\x00\x7f é 👩‍💻"},
		{[]byte("bytes"), "Ynl0ZXM="},
		{[]string{"a", "b"}, []any{"a", "b"}},
		{struct {
			A int `json:"a"`
		}{1}, map[string]any{"a": int64(1)}},
		{[]any{}, []any{}},
		{map[string]any{}, map[string]any{}},
	} {
		require.Equal(t, c.out, roundTrip(t, a, id, c.in), "%T %v", c.in, c.in)
	}
}

func TestChangingAValueInPlaceChangesNothing(t *testing.T) {
	a, st, id := testkit.NewSessionOf(t, nil)
	given := map[string]any{"list": []any{"a"}}
	require.NoError(t, a.Update(t, id, func(s *bridge.Session) {
		s.Set("v", given)
		given["list"].([]any)[0] = "changed after Set"
		given["more"] = true
	}))
	revision := teststore.Stored(t, st, id).Revision
	want := map[string]any{"list": []any{"a"}}
	require.NoError(t, a.Update(t, id, func(s *bridge.Session) {
		for range 2 {
			v, _ := s.Get("v")
			require.Equal(t, want, v)
			v.(map[string]any)["list"].([]any)[0] = "changed after Get"
			delete(v.(map[string]any), "list")
		}
	}))
	require.Equal(t, revision, teststore.Stored(t, st, id).Revision, "nothing changed, nothing is stored")
	raw := teststore.Stored(t, st, id).Data
	copy(raw, bytes.Repeat([]byte{'x'}, len(raw)))
	s, err := a.GetByID(t.Context(), id)
	require.NoError(t, err)
	v, _ := s.Get("v")
	require.Equal(t, want, v)
}

func TestKeysMayBeAnyText(t *testing.T) {
	a, _, id := testkit.NewSessionOf(t, nil)
	keys := []string{"", " ", "é", "e\u0301", "日本語", "👩‍💻", "a.b", "a\"b", "a\\b", "\x00", "\n", "<&>", "\u2028", "constructor", "__proto__", "n ", strings.Repeat("k", 1000)}
	for i, key := range keys {
		require.NoError(t, a.Update(t, id, func(s *bridge.Session) { s.Set(key, i) }), "%q", key)
	}
	require.NoError(t, a.Update(t, id, func(s *bridge.Session) {
		require.ElementsMatch(t, append(slices.Clone(keys), "n"), slices.Collect(s.Keys()))
		for i, key := range keys {
			v, ok := s.Get(key)
			require.True(t, ok, "%q", key)
			require.Equal(t, int64(i), v, "%q", key)
			s.Delete(key)
		}
	}))
	s, err := a.GetByID(t.Context(), id)
	require.NoError(t, err)
	require.Equal(t, []string{"n"}, slices.Collect(s.Keys()))
}

func TestKeysThatCannotBeStoredAreNamed(t *testing.T) {
	a, _, id := testkit.NewSessionOf(t, nil)
	for _, key := range []string{"\xff", "a\xc3", "_flash"} {
		err := a.Update(t, id, func(s *bridge.Session) { s.Set(key, 1) })
		var bad *bridge.ValueError
		require.ErrorAs(t, err, &bad, "%q", key)
		require.Equal(t, key, bad.Key)
	}
}
