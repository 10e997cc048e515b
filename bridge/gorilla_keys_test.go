package bridge_test

import (
	"context"
	"maps"
	"testing"

	"github.com/gorilla/sessions"
	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/bridge"
	"github.com/sessionbridge/sessionbridge/livestore"
)

// cartGob is the gob of an oldCart, as an earlier version stored it: who can store it under the
// right key has it decoded.
const cartGob = "ZhAAOmdpdGh1Yi5jb20vc2Vzc2lvbmJyaWRnZS9zZXNzaW9uYnJpZGdlL2JyaWRnZV90ZXN0Lm9sZENhcnT/gQMBAQdvbGRDYXJ0Af+CAAECAQVJdGVtcwH/hAABBE5vdGUBDAAAAB7/" +
	"gwQBAQ5tYXBbc3RyaW5nXWludAH/hAABDAEEAAAR/4IOAQEDdGVhBAEEZ2lmdAA="

// reservedKeys look like those of the library's own.
var reservedKeys = []string{
	"_gorilla_gob:k", "_gorilla_gob:_gorilla_flash", "_gorilla_gob:_gorilla_gob:k", "_gorilla_flash", "_gorilla_1::k", "_gorilla_1:prefs:k", "_gorilla_", "_bridge_browser", "_bridge_x",
}

func TestReservedKeysAreRefusedFromNativeCode(t *testing.T) {
	for _, key := range reservedKeys {
		for name, change := range map[string]func(s *bridge.Session){
			"Set":    func(s *bridge.Session) { s.Set(key, cartGob) },
			"Encode": func(s *bridge.Session) { require.NoError(t, s.Encode(map[string]any{key: cartGob})) },
			"Key":    func(s *bridge.Session) { bridge.NewKey[string](key).Set(s, cartGob) },
		} {
			t.Run(key+" "+name, func(t *testing.T) {
				l := newLegacy(t, livestore.New(), nil)
				var id string
				l.native(func(s *bridge.Session) { s.Set("n", 1); id = s.ID() })
				var refused *bridge.ValueError
				require.ErrorAs(t, l.Update(t, id, change), &refused)
				require.Equal(t, key, refused.Key)
				values := map[string]any{key: cartGob}
				require.ErrorAs(t, l.SetByID(t.Context(), id, values, 0), &refused)
				_, err := l.MergeByID(t.Context(), id, values)
				require.ErrorAs(t, err, &refused)
				require.Equal(t, map[any]any{"n": 1}, l.values("sid"))
			})
		}
	}
}

func TestNativeCodeNeitherSeesNorDeletesReservedKeys(t *testing.T) {
	l := newLegacy(t, livestore.New(), nil)
	var id string
	l.with("sid", func(gs *sessions.Session) {
		gs.Values["n"], gs.Values["gob"], id = uint8(1), oldCart{}, gs.ID
		gs.AddFlash("one")
	})
	l.with("prefs", func(gs *sessions.Session) { gs.Values["n"] = 1 })
	require.NoError(t, l.Update(t, id, func(s *bridge.Session) {
		require.Equal(t, map[string]any{"n": int64(1)}, values(s))
		var all map[string]any
		require.NoError(t, s.Decode(&all))
		require.Equal(t, map[string]any{"n": 1.0}, all)
		for _, key := range append(reservedKeys, "_gorilla_1::n", "_gorilla_1:prefs:n", "_gorilla_1::_flash") {
			_, there := s.Get(key)
			require.False(t, there, key)
			s.Delete(key)
		}
		require.Empty(t, s.Flashes())
	}))
	require.Equal(t, map[any]any{"n": uint8(1), "gob": oldCart{}, "_flash": []any{"one"}}, l.values("sid"))
	require.Equal(t, map[any]any{"n": 1}, l.values("prefs"))
	require.NoError(t, l.UpdateByID(t.Context(), id, func(_ context.Context, s *bridge.Session) error { s.Clear(); return nil }))
	require.Empty(t, l.values("sid"))
	require.Empty(t, l.values("prefs"))
}

// A key that a user chooses, through gorilla/sessions, is a key like others: nothing that is stored
// under it is decoded as gob, or runs into another.
func TestReservedKeysAreKeysLikeOthersForGorillaCode(t *testing.T) {
	for _, name := range []string{"sid", "prefs"} {
		l := newLegacy(t, livestore.New(), nil)
		want := map[any]any{"_flash": []any{"flash"}, "k": "k"}
		for _, key := range reservedKeys {
			want[key] = cartGob + key
		}
		l.with(name, func(gs *sessions.Session) {
			maps.Copy(gs.Values, want)
			gs.AddFlash("two")
			want["_flash"] = []any{"flash", "two"}
		})
		require.Equal(t, want, l.values(name))
		for _, key := range reservedKeys {
			l.with(name, func(gs *sessions.Session) { delete(gs.Values, key) })
			delete(want, key)
			require.Equal(t, want, l.values(name))
		}
	}
}

// Flashes of both kinds, and of keys of one's own, are apart.
func TestFlashesOfGorillaAndNativeCodeDontMeet(t *testing.T) {
	l := newLegacy(t, livestore.New(), nil)
	l.native(func(s *bridge.Session) { s.AddFlash("native") })
	l.with("sid", func(gs *sessions.Session) {
		require.Empty(t, gs.Flashes())
		gs.AddFlash("gorilla")
		gs.AddFlash(oldCart{Note: "typed"})
		gs.AddFlash("warning", "warnings")
		gs.AddFlash("reserved", "_gorilla_flash")
	})
	l.with("prefs", func(gs *sessions.Session) { gs.AddFlash("prefs") })
	l.native(func(s *bridge.Session) {
		require.Equal(t, []any{"native"}, s.Flashes())
		v, _ := s.Get("warnings")
		require.Equal(t, []any{"warning"}, v)
	})
	l.with("sid", func(gs *sessions.Session) {
		require.Equal(t, []any{"gorilla", oldCart{Note: "typed"}}, gs.Flashes())
		require.Equal(t, []any{"warning"}, gs.Flashes("warnings"))
		require.Equal(t, []any{"reserved"}, gs.Flashes("_gorilla_flash"))
	})
	require.Empty(t, l.values("sid"))
	require.Equal(t, map[any]any{"_flash": []any{"prefs"}}, l.values("prefs"))
}
