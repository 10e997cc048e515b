package bridge_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/gorilla/sessions"
	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/bridge"
	"github.com/sessionbridge/sessionbridge/internal/testkit/teststore"
)

// After a Save that failed the next one stores the values as they are then, whether or not the
// store had taken the first one.
func TestGorillaSaveAfterOneThatFailedStoresWhatIsThereThen(t *testing.T) {
	for name, c := range map[string]struct {
		then func(values map[any]any)
		want map[any]any
	}{
		"deleted what it had added": {
			func(v map[any]any) { delete(v, "new"); delete(v, "newgob") },
			map[any]any{"int": 2, "uint8": uint8(2), "gob": oldCart{Note: "two"}},
		},
		"took its changes back": {
			func(v map[any]any) {
				clear(v)
				v["int"], v["uint8"], v["gob"], v["gone"] = 1, uint8(1), oldCart{Note: "one"}, true
			},
			map[any]any{"int": 1, "uint8": uint8(1), "gob": oldCart{Note: "one"}, "gone": true},
		},
		"changed other types": {
			func(v map[any]any) {
				clear(v)
				v["int"], v["uint8"], v["gob"], v["new"] = "one", oldCart{}, 1, uint8(1)
			},
			map[any]any{"int": "one", "uint8": oldCart{}, "gob": 1, "new": uint8(1)},
		},
		"changed nothing more": {
			func(map[any]any) {},
			map[any]any{"int": 2, "uint8": uint8(2), "gob": oldCart{Note: "two"}, "new": 1, "newgob": oldCart{}},
		},
		"deleted all": {func(v map[any]any) { clear(v) }, map[any]any{}},
	} {
		for how, failure := range map[string]teststore.Fault{"refuses": teststore.Refuse(teststore.ErrDiskFull), "loses the reply": teststore.LoseReply(teststore.ErrDiskFull)} {
			for _, space := range []string{"sid", "prefs"} {
				t.Run(name+" "+how+" "+space, func(t *testing.T) {
					st := teststore.NewFaulty()
					l := newLegacy(t, st, nil)
					l.with(space, func(gs *sessions.Session) {
						gs.Values["int"], gs.Values["uint8"], gs.Values["gob"], gs.Values["gone"] = 1, uint8(1), oldCart{Note: "one"}, true
					})
					l.visit(func(w http.ResponseWriter, r *http.Request) {
						gs, err := l.Get(r, space)
						require.NoError(t, err)
						v := gs.Values
						v["int"], v["uint8"], v["gob"], v["new"], v["newgob"] = 2, uint8(2), oldCart{Note: "two"}, 1, oldCart{}
						delete(v, "gone")
						st.Next(1, "Set", failure)
						require.ErrorIs(t, gs.Save(r, w), bridge.ErrStoreUnavailable)
						c.then(v)
						require.NoError(t, gs.Save(r, w))
						require.NoError(t, gs.Save(r, w), "and again")
					})
					require.Equal(t, c.want, l.values(space))
				})
			}
		}
	}
}

func TestGorillaSaveOfANewSessionAfterOneThatFailed(t *testing.T) {
	for how, failure := range map[string]teststore.Fault{"refuses": teststore.Refuse(teststore.ErrDiskFull), "loses the reply": teststore.LoseReply(teststore.ErrDiskFull)} {
		t.Run(how, func(t *testing.T) {
			st := teststore.NewFaulty()
			l := newLegacy(t, st, nil)
			l.visit(func(w http.ResponseWriter, r *http.Request) {
				gs, err := l.Get(r, "sid")
				require.NoError(t, err)
				gs.Values["kept"], gs.Values["deleted"] = 1, 1
				st.Next(1, "Set", failure)
				require.ErrorIs(t, gs.Save(r, w), bridge.ErrStoreUnavailable)
				delete(gs.Values, "deleted")
				require.NoError(t, gs.Save(r, w))
			})
			require.Equal(t, map[any]any{"kept": 1}, l.values("sid"))
		})
	}
}

// What can't be stored doesn't stand in the way of what is in its place later.
func TestGorillaSaveThatCannotSucceedIsNotTheLast(t *testing.T) {
	for name, c := range map[string]struct {
		key, v any
		say    string
	}{
		"too large":     {"k", strings.Repeat("x", 70_000), "too large"},
		"no string":     {7, "v", `"7"`},
		"no text":       {"\xff", "v", "UTF-8"},
		"not encodable": {"k", make(chan int), `"k"`},
		"unregistered":  {"k", struct{ Unknown int }{1}, `"k"`},
	} {
		t.Run(name, func(t *testing.T) {
			l := newLegacy(t, teststore.NewFaulty(), nil)
			l.with("sid", func(gs *sessions.Session) { gs.Values["k"] = "before" })
			w := l.visit(func(w http.ResponseWriter, r *http.Request) {
				gs, err := l.Get(r, "sid")
				require.NoError(t, err)
				gs.Values[c.key], gs.Values["other"] = c.v, 1
				require.ErrorContains(t, gs.Save(r, w), c.say)
				require.ErrorContains(t, gs.Save(r, w), c.say, "still")
				delete(gs.Values, c.key)
				gs.Values["k"] = "after"
				require.NoError(t, gs.Save(r, w))
			})
			require.Equal(t, http.StatusOK, w.Code)
			require.Equal(t, map[any]any{"k": "after", "other": 1}, l.values("sid"))
		})
	}
}

// Code that doesn't look at Save's error gets no 200 for what isn't stored (G3).
func TestG3_StoredBeforeSeen_GorillaSaveWhoseErrorNobodyLooksAt(t *testing.T) {
	st := teststore.NewFaulty()
	l := newLegacy(t, st, nil)
	l.with("sid", func(gs *sessions.Session) { gs.Values["k"] = 1 })
	w := l.visit(func(w http.ResponseWriter, r *http.Request) {
		gs, err := l.Get(r, "sid")
		require.NoError(t, err)
		gs.Values["k"] = 2
		st.Always(teststore.Refuse(teststore.ErrDiskFull), "Set", "Get")
		_ = gs.Save(r, w)
		_ = gs.Save(r, w) // what the first one wanted is not forgotten because the store can't be asked about it
	})
	require.Equal(t, http.StatusServiceUnavailable, w.Code)
	st.Heal()
	require.Equal(t, map[any]any{"k": 1}, l.values("sid"))
}

// What others do between two Saves, one of which fails, stays done; and so does what native code
// does in the request.
func TestGorillaSaveAfterOneThatFailedUndoesNothingOfOthers(t *testing.T) {
	st := teststore.NewFaulty()
	l := newLegacy(t, st, nil)
	var id string
	l.with("sid", func(gs *sessions.Session) {
		gs.Values["theirs"], gs.Values["mine"], gs.Values["touched"], id = 1, 1, 1, gs.ID
	})
	l.visit(func(w http.ResponseWriter, r *http.Request) {
		gs, err := l.Get(r, "sid")
		require.NoError(t, err)
		s, err := l.Session(r)
		require.NoError(t, err)
		s.Set("native", 1)
		s.Set("both", "native")
		gs.Values["mine"], gs.Values["touched"], gs.Values["both"] = 2, 2, "gorilla"
		st.Next(1, "Set", teststore.Refuse(teststore.ErrDiskFull))
		require.Error(t, gs.Save(r, w))
		require.NoError(t, l.Update(t, id, func(s *bridge.Session) { s.Delete("theirs"); s.Set("touched", 3); s.Set("added", 1) }))
		gs.Values["touched"] = 1 // as it was read
		delete(gs.Values, "both")
		require.NoError(t, gs.Save(r, w))
	})
	require.Equal(t, map[any]any{"mine": 2, "native": 1, "both": "native", "touched": 3, "added": 1}, l.values("sid"))
}
