package bridge_test

import (
	"fmt"
	"math"
	"net/http"
	"testing"

	"github.com/gorilla/sessions"
	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/bridge"
	"github.com/sessionbridge/sessionbridge/internal/testkit"
	"github.com/sessionbridge/sessionbridge/internal/testkit/teststore"
	"github.com/sessionbridge/sessionbridge/livestore"
)

// Whatever JSON can hold is where native code looks, as it would have stored it, and comes back
// with its type.
func TestGorillaValuesAreUnderTheirOwnKeysAndKeepTheirTypes(t *testing.T) {
	for _, c := range []struct{ v, native any }{
		{nil, nil},
		{true, true},
		{"text", "text"},
		{"", ""},
		{"<ä\u2028&\"\\>", "<ä\u2028&\"\\>"},
		{7, int64(7)},
		{-7, int64(-7)},
		{int8(-128), int64(-128)},
		{int16(1), int64(1)},
		{int32(1), int64(1)},
		{int64(5), int64(5)},
		{int64(math.MinInt64), int64(math.MinInt64)},
		{uint(5), int64(5)},
		{uint8(200), int64(200)},
		{uint16(65535), int64(65535)},
		{uint32(1), int64(1)},
		{uint64(1), int64(1)},
		{uint64(math.MaxUint64), float64(math.MaxUint64)},
		{float32(0.1), 0.1},
		{float32(3), int64(3)},
		{1.5, 1.5},
		{5.0, int64(5)},
		{0.0, int64(0)},
		{-3.0, int64(-3)},
		{1e300, 1e300},
		{math.SmallestNonzeroFloat64, math.SmallestNonzeroFloat64},
		{[]byte{0, 1, 255}, "AAH/"},
		{[]string{"a", "b"}, []any{"a", "b"}},
		{[]string(nil), nil},
		{[]int{1, 2}, []any{int64(1), int64(2)}},
		{[]int64{1}, []any{int64(1)}},
		{[]float64{1, 0.5}, []any{int64(1), 0.5}},
		{[]bool{true}, []any{true}},
		{map[string]string{"k": "v"}, map[string]any{"k": "v"}},
		{map[string]int{"k": 1}, map[string]any{"k": int64(1)}},
		{map[string]any{"k": 1, "l": []any{"m", nil}}, map[string]any{"k": int64(1), "l": []any{"m", nil}}},
		{[]any{1, "two", true}, []any{int64(1), "two", true}},
	} {
		t.Run(fmt.Sprintf("%T %v", c.v, c.v), func(t *testing.T) {
			l := newLegacy(t, livestore.New(), nil)
			sets := testkit.Record[bridge.SessionSet](t, l.Bridge)
			l.with("sid", func(gs *sessions.Session) { gs.Values["k"] = c.v })
			require.Equal(t, map[string]any{"k": c.native}, l.seen())
			require.Equal(t, map[any]any{"k": c.v}, l.values("sid"))
			require.Equal(t, []string{"k"}, sets.Next().Keys)
			writes := l.Stats().Writes
			l.with("sid", func(*sessions.Session) {})
			require.Equal(t, writes, l.Stats().Writes, "nothing has changed, nothing is stored")
			l.with("sid", func(gs *sessions.Session) { delete(gs.Values, "k") })
			require.Empty(t, l.values("sid"))
			require.Empty(t, l.seen())
		})
	}
}

// What JSON can't bring back stays gob, which native code doesn't see.
func TestGorillaValuesThatJSONCannotHoldComeBackAllTheSame(t *testing.T) {
	for _, v := range []any{
		math.Inf(1), "\x1f\x8b\xff", complex(1, 2),
		oldCart{map[string]int{"tea": 2}, "gift"},
		[]any{1.0},
		[]any{oldCart{Note: "one"}},
		[]any{"\xff"},
	} {
		t.Run(fmt.Sprintf("%T %v", v, v), func(t *testing.T) {
			l := newLegacy(t, livestore.New(), nil)
			l.with("sid", func(gs *sessions.Session) { gs.Values["k"], gs.Values["plain"] = v, 1 })
			require.Equal(t, map[any]any{"k": v, "plain": 1}, l.values("sid"))
			require.Equal(t, map[string]any{"plain": int64(1)}, l.seen())
		})
	}
}

func TestNativeCodeChangesWhatGorillaCodeHasStored(t *testing.T) {
	for name, c := range map[string]struct{ was, set, want any }{
		"of the same kind":             {uint8(1), 2, uint8(2)},
		"too large for its type":       {uint8(1), 300, 300},
		"a fraction":                   {int64(1), 1.5, 1.5},
		"a whole number":               {5.0, 6, 6.0},
		"another kind":                 {uint8(1), "text", "text"},
		"nothing":                      {uint8(1), nil, nil},
		"text that isn't base64":       {[]byte("x"), "!", "!"},
		"another list":                 {[]string{"a"}, []int{1}, []any{int64(1)}},
		"in place of gob":              {oldCart{Note: "old"}, "new", "new"},
		"a number in place of a float": {float32(0.5), 2, float32(2)},
	} {
		t.Run(name, func(t *testing.T) {
			l := newLegacy(t, livestore.New(), nil)
			l.with("sid", func(gs *sessions.Session) { gs.Values["k"] = c.was })
			l.native(func(s *bridge.Session) { s.Set("k", c.set) })
			require.Equal(t, map[any]any{"k": c.want}, l.values("sid"))
			l.with("sid", func(gs *sessions.Session) { gs.Values["other"] = true })
			require.Equal(t, map[any]any{"k": c.want, "other": true}, l.values("sid"))
			l.native(func(s *bridge.Session) { s.Delete("k") })
			require.Equal(t, map[any]any{"other": true}, l.values("sid"), "and nothing older comes back")
			l.native(func(s *bridge.Session) { s.Set("k", 9) })
			require.Equal(t, 9, l.values("sid")["k"], "nor does its type")
		})
	}
	t.Run("deletes gob", func(t *testing.T) {
		l := newLegacy(t, livestore.New(), nil)
		l.with("sid", func(gs *sessions.Session) { gs.Values["k"] = oldCart{Note: "old"} })
		l.native(func(s *bridge.Session) { s.Delete("k") })
		require.Empty(t, l.values("sid"))
	})
	t.Run("replaces all", func(t *testing.T) {
		l := newLegacy(t, livestore.New(), nil)
		var id string
		l.with("sid", func(gs *sessions.Session) { gs.Values["k"], gs.Values["gob"], id = uint8(1), oldCart{}, gs.ID })
		l.with("prefs", func(gs *sessions.Session) { gs.Values["k"] = 1 })
		require.NoError(t, l.SetByID(t.Context(), id, map[string]any{"new": 1}, 0))
		require.Equal(t, map[any]any{"new": 1}, l.values("sid"))
		require.Empty(t, l.values("prefs"))
	})
}

// A session as an earlier version stored it: one space for all names, gob under other keys.
const oldSession = `{"name":"ada","_gorilla_gob:float32":"ExAAB2Zsb2F0MzIIBwD7oJmZuT8=","_gorilla_gob:five":"EBAAB2Zsb2F0NjQIBAD+FEA=",` +
	`"_gorilla_gob:warnings":"HBAADltdaW50ZXJmYWNlIHt9fwIBAv+AAAEQAAAX/4AUAAEGc3RyaW5nDAkAB2NhcmVmdWw=","visits":7,"half":0.5,"none":null,` +
	`"_gorilla_gob:int64":"DBAABWludDY0BAIACg==","_gorilla_gob:uint8":"DRAABXVpbnQ4BgMA/8g=","ok":true,` +
	`"_gorilla_gob:_gorilla_flash":"HBAADltdaW50ZXJmYWNlIHt9fwIBAv+AAAEQAAAV/4ASAAEGc3RyaW5nDAcABXNhdmVk","_gorilla_gob:bytes":"ERAAB1tddWludDgKBQADAAH/",` +
	`"_gorilla_gob:cart":"ZhAAOmdpdGh1Yi5jb20vc2Vzc2lvbmJyaWRnZS9zZXNzaW9uYnJpZGdlL2JyaWRnZV90ZXN0Lm9sZENhcnT/gQMBAQdvbGRDYXJ0Af+CAAECAQVJdGVtcwH/hAABBE5vdGUBDAAAAB7/` +
	`gwQBAQ5tYXBbc3RyaW5nXWludAH/hAABDAEEAAAR/4IOAQEDdGVhBAEEZ2lmdAA="}`

func TestGorillaReadsWhatAnEarlierVersionStored(t *testing.T) {
	st := livestore.New()
	l := newLegacy(t, st, &bridge.Options{GorillaName: "session-name"})
	l.native(func(s *bridge.Session) { s.Set("n", 1) })
	var id string
	l.native(func(s *bridge.Session) { id = s.ID() })
	rec := teststore.Stored(t, st, id)
	rec.Data = []byte(oldSession)
	_, err := st.Set(t.Context(), rec)
	require.NoError(t, err)

	want := map[any]any{
		"name": "ada", "visits": 7, "ok": true, "half": 0.5, "none": nil, "int64": int64(5), "uint8": uint8(200), "float32": float32(0.1), "five": 5.0,
		"bytes": []byte{0, 1, 255}, "cart": oldCart{map[string]int{"tea": 2}, "gift"}, "_flash": []any{"saved"}, "warnings": []any{"careful"},
	}
	require.Equal(t, want, l.values("session-name"))
	writes := l.Stats().Writes
	l.with("session-name", func(*sessions.Session) {})
	require.Equal(t, writes, l.Stats().Writes, "what hasn't changed is left as it is: another process may still be of that version")

	l.with("session-name", func(gs *sessions.Session) {
		require.Equal(t, []any{"saved"}, gs.Flashes())
		gs.Values["int64"] = int64(6)
		delete(gs.Values, "cart")
	})
	delete(want, "_flash")
	delete(want, "cart")
	want["int64"] = int64(6)
	require.Equal(t, want, l.values("session-name"))
	require.Equal(t, int64(6), l.seen()["int64"], "what has changed is where native code looks")
	data := string(teststore.Stored(t, st, id).Data)
	for _, gone := range []string{"_gorilla_gob:int64", "_gorilla_gob:_gorilla_flash", "_gorilla_gob:cart"} {
		require.NotContains(t, data, gone)
	}
	require.Contains(t, data, "_gorilla_gob:uint8")
	l.native(func(s *bridge.Session) { s.Set("uint8", "native") })
	require.Equal(t, "native", l.values("session-name")["uint8"])
	l.native(func(s *bridge.Session) { s.Delete("uint8") })
	require.NotContains(t, l.values("session-name"), "uint8")
}

// One value that can't be read costs the others nothing, and isn't lost.
func TestGorillaValueThatCannotBeReadIsNamedAndStays(t *testing.T) {
	st := livestore.New()
	l := newLegacy(t, st, nil)
	var id string
	l.with("sid", func(gs *sessions.Session) { gs.Values["good"], id = 1, gs.ID })
	rec := teststore.Stored(t, st, id)
	rec.Data = []byte(`{"good":1,"_gorilla_gob:bad":"AAAA","_gorilla_1::worse":{"g":"AAAA"}}`)
	_, err := st.Set(t.Context(), rec)
	require.NoError(t, err)
	l.visit(func(w http.ResponseWriter, r *http.Request) {
		gs, err := l.Get(r, "sid")
		var unreadable *bridge.ValueError
		require.ErrorAs(t, err, &unreadable)
		require.ErrorContains(t, err, `"bad"`)
		require.ErrorContains(t, err, `"worse"`)
		require.Equal(t, map[any]any{"good": 1}, gs.Values)
		gs.Values["good"] = 2
		require.NoError(t, gs.Save(r, w))
	})
	data := string(teststore.Stored(t, st, id).Data)
	require.Contains(t, data, `"_gorilla_gob:bad":"AAAA"`)
	require.Contains(t, data, `"_gorilla_1::worse"`)
	require.Contains(t, data, `"good":2`)
}
