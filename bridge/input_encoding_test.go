package bridge_test

import (
	"context"
	"encoding/json"
	"math/big"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/bridge"
	"github.com/sessionbridge/sessionbridge/internal/testkit"
	"github.com/sessionbridge/sessionbridge/livestore"
)

const notUTF8 = "a\xffb"

// spelled writes itself as encoding/json would write the string.
type spelled string

func (s spelled) MarshalJSON() ([]byte, error) { return json.Marshal(string(s)) }

// texted is a string that writes itself as text, also as a key.
type texted string

func (s texted) MarshalText() ([]byte, error) { return []byte(s), nil }

func nested(levels int) any {
	var v any
	for range levels {
		v = []any{v}
	}
	return v
}

// lossy are values that encoding/json encodes, and doesn't decode as what they were.
var lossy = map[string]any{
	"string":                    notUTF8,
	"string beside quotes":      `"` + notUTF8,
	"end of a character":        "日本語"[:8],
	"in a list":                 []string{"a", notUTF8},
	"in a map":                  map[string]any{"a": []any{notUTF8}},
	"key of a map":              map[string]int{notUTF8: 1},
	"field":                     struct{ A string }{notUTF8},
	"behind a pointer":          &struct{ A *string }{&[]string{notUTF8}[0]},
	"embedded":                  struct{ spelledField }{spelledField{notUTF8}},
	"json.RawMessage":           json.RawMessage(`"` + notUTF8 + `"`),
	"json.Marshaler":            spelled(notUTF8),
	"json.Marshaler in a field": struct{ A spelled }{notUTF8},
	"encoding.TextMarshaler":    texted(notUTF8),
	"key that is text":          map[texted]int{notUTF8: 1},
	"half a surrogate pair":     json.RawMessage(`"\ud83d"`),
	"the other half":            json.RawMessage(`{"a":"\ude00x"}`),
	"two first halves":          json.RawMessage(`"\ud83d\ud83d\ude00"`),
	"half a pair and a letter":  json.RawMessage(`"\ud83dx\ude00"`),
	"number out of range":       json.Number("1e400"),
	"raw number out of range":   json.RawMessage(`[1,-1E+999]`),
	"integer out of range":      new(big.Int).Exp(big.NewInt(10), big.NewInt(400), nil),
	"too deep":                  nested(10_001),
	"just too deep":             nested(9_998),
	"raw and too deep":          json.RawMessage(strings.Repeat("[", 20_000) + strings.Repeat("]", 20_000)),
}

type spelledField struct{ A string }

// faithful are values that look like the ones above, and come back as what they were.
var faithful = map[string]any{
	"the replacement character":  "a\ufffdb",
	"the same in a list":         []any{"\ufffd", "日本語", "\u2028<&>"},
	"spelled with an escape":     json.RawMessage(`"\ufffd"`),
	"an escape of a backslash":   `\ufffd`,
	"the same in a list, too":    []string{`\ufffd`, `\\ud83d`},
	"surrogate pair":             json.RawMessage(`"\ud83d\ude00\uD83D\uDE00"`),
	"escaped backslash before u": json.RawMessage(`"\\ud83d"`),
	"largest number":             json.Number("1.7e308"),
	"smallest number":            json.Number("1e-400"),
	"large integer":              json.RawMessage("123456789012345678901234567890"),
	"deep":                       nested(9_997),
	"bytes":                      []byte{0xff, 0xfe},
	"an unexported field":        struct{ a string }{notUTF8},
	"a field that is left out": struct {
		A string `json:"-"`
	}{notUTF8},
}

// A value that would not come back as it was fails the commit, naming the key, whichever way it
// comes.
func TestValueThatWouldNotComeBackFailsTheCommit(t *testing.T) {
	t.Parallel()
	a := testkit.NewApp(t, livestore.New(), nil)
	_, id := testkit.SignIn(t, a.Handler(a.Mux), "ada")
	update := func(fn func(s *bridge.Session)) error {
		return a.UpdateByID(t.Context(), id, func(_ context.Context, s *bridge.Session) error { fn(s); return nil })
	}
	ways := map[string]func(v any) error{
		"Set":       func(v any) error { return update(func(s *bridge.Session) { s.Set("k", v) }) },
		"SetByID":   func(v any) error { return a.SetByID(t.Context(), id, map[string]any{"k": v}, 0) },
		"MergeByID": func(v any) error { return testkit.Merge(t.Context(), a.Bridge, id, map[string]any{"k": v}) },
		"Encode": func(v any) error {
			return update(func(s *bridge.Session) { _ = s.Encode(map[string]any{"k": v}) })
		},
	}
	for way, set := range ways {
		for name, v := range lossy {
			err := set(v)
			if way == "Encode" && (name == "too deep" || name == "raw and too deep" || name == "json.RawMessage") && err == nil {
				continue // it has returned the error itself
			}
			var bad *bridge.ValueError
			require.ErrorAs(t, err, &bad, "%s: %s", way, name)
			require.Equal(t, "k", bad.Key, "%s: %s", way, name)
		}
		for name, v := range faithful {
			require.NoError(t, set(v), "%s: %s", way, name)
			s, err := a.GetByID(t.Context(), id)
			require.NoError(t, err)
			_, ok := s.Get("k")
			require.True(t, ok, "%s: %s", way, name)
			var all map[string]any
			require.NoError(t, s.Decode(&all), "%s: %s", way, name)
		}
	}
	for name, v := range lossy {
		var bad *bridge.ValueError
		require.ErrorAs(t, update(func(s *bridge.Session) { s.AddFlash(v) }), &bad, "flash: %s", name)
	}
	require.NoError(t, update(func(s *bridge.Session) { s.AddFlash(nested(9_997)) }))
	require.NoError(t, update(func(s *bridge.Session) { require.Len(t, s.Flashes(), 1) }))
	for _, set := range []func() error{
		func() error { return a.SetByID(t.Context(), id, map[string]any{notUTF8: 1}, 0) },
		func() error { return testkit.Merge(t.Context(), a.Bridge, id, map[string]any{notUTF8: 1}) },
		func() error { return update(func(s *bridge.Session) { s.Set(notUTF8, 1) }) },
	} {
		var bad *bridge.ValueError
		require.ErrorAs(t, set(), &bad)
		require.Equal(t, notUTF8, bad.Key)
	}
	var bad *bridge.ValueError
	require.ErrorAs(t, update(func(s *bridge.Session) { _ = s.Encode(map[string]int{notUTF8: 1}) }), &bad)
}
