package gorillacodec_test

import (
	"bytes"
	"encoding/gob"
	"encoding/json"
	"fmt"
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/internal/gateway"
	"github.com/sessionbridge/sessionbridge/internal/gorillacodec"
	"github.com/sessionbridge/sessionbridge/store"
)

// cart is a type that can't be restored from JSON.
type cart struct{ Items map[string]int }

func init() { gob.Register(cart{}) } //nolint:gochecknoinits // as applications do

func newDraft(t *testing.T, data string) *gateway.Draft {
	t.Helper()
	d, err := gateway.NewDraft(store.Record{ID: "s", Revision: 1, Data: []byte(data)})
	require.NoError(t, err)
	return d
}

// save stores values in the space, and returns what it has changed.
func save(t *testing.T, d *gateway.Draft, sp gorillacodec.Space, values map[any]any) *gorillacodec.Attempt {
	t.Helper()
	now, err := sp.Encode(values)
	require.NoError(t, err)
	a := gorillacodec.NewAttempt()
	sp.Change(d, sp.Read(d), now, a)
	return a
}

func load(t *testing.T, d *gateway.Draft, sp gorillacodec.Space) map[any]any {
	t.Helper()
	values := make(map[any]any)
	for key, is := range sp.Read(d) {
		v, err := is.Decode()
		require.NoError(t, err)
		values[key] = v
	}
	return values
}

func TestValuesComeBackWithTheirTypes(t *testing.T) {
	for _, v := range []any{
		nil, true, "", "text", "<ä\u2028&\"\\>", 7, int8(-128), int16(1), int32(1), int64(math.MinInt64), uint(5), uint8(200), uint16(1),
		uint32(1), uint64(math.MaxUint64), float32(0.1), 1.5, 5.0, math.SmallestNonzeroFloat64, math.Inf(1), "\xff",
		[]byte{0, 255},
		[]byte(nil),
		[]string{"a"},
		[]string(nil),
		[]int{1},
		[]int64{1},
		[]float64{1, 0.5},
		[]bool{true},
		[]any{1, "two", nil},
		map[string]string{"k": "v"},
		map[string]int{"k": 1},
		map[string]any{"k": 1, "l": []any{"m", nil}},
		map[string]any(nil),
		cart{map[string]int{"tea": 2, "cup": 1}},
		[]any{cart{}},
	} {
		t.Run(fmt.Sprintf("%T %v", v, v), func(t *testing.T) {
			gob.Register([]any{})
			for _, sp := range []gorillacodec.Space{gorillacodec.Main(), gorillacodec.Named("prefs")} {
				d := newDraft(t, `{}`)
				save(t, d, sp, map[any]any{"k": v})
				require.Equal(t, map[any]any{"k": v}, load(t, d, sp))
			}
		})
	}
}

func TestMainSpaceIsWhereNativeCodeReads(t *testing.T) {
	d := newDraft(t, `{"native":5}`)
	require.Equal(t, map[any]any{"native": 5}, load(t, d, gorillacodec.Main()))
	save(t, d, gorillacodec.Main(), map[any]any{"native": 5, "plain": "x", "typed": uint8(1), "gob": cart{}})
	require.ElementsMatch(t, []string{"native", "plain", "typed"}, d.Keys())
	require.Equal(t, "1", string(d.Raw("typed")))
	d.Set("typed", 300) // by native code: no uint8 any more
	require.Equal(t, 300, load(t, d, gorillacodec.Main())["typed"])
	d.Set("typed", 7)
	require.Equal(t, uint8(7), load(t, d, gorillacodec.Main())["typed"])
}

func TestSpacesDontMeet(t *testing.T) {
	d := newDraft(t, `{"k":"native"}`)
	names := []string{"a", "a:b", "A", "", "ä ", "%41"}
	for _, name := range names {
		require.Empty(t, load(t, d, gorillacodec.Named(name)))
		save(t, d, gorillacodec.Named(name), map[any]any{"k": name, "b:k": 1})
	}
	require.Equal(t, []string{"k"}, d.Keys())
	for _, name := range names {
		require.Equal(t, map[any]any{"k": name, "b:k": 1}, load(t, d, gorillacodec.Named(name)))
		save(t, d, gorillacodec.Named(name), nil)
	}
	require.Empty(t, d.HiddenKeys())
	require.True(t, gorillacodec.Main().IsMain())
	require.False(t, gorillacodec.Named("main").IsMain())
}

// A key that a client chooses may look like a reserved one.
func TestReservedKeysAreKeysLikeOthers(t *testing.T) {
	values := map[any]any{}
	for _, key := range []string{"_flash", "_bridge_x", "_gorilla_gob:k", "_gorilla_flash", "_gorilla_1::k", "_gorilla_1:prefs:k"} {
		values[key] = "of " + key
	}
	for _, sp := range []gorillacodec.Space{gorillacodec.Main(), gorillacodec.Named("prefs")} {
		d := newDraft(t, `{}`)
		save(t, d, sp, values)
		require.Equal(t, values, load(t, d, sp))
		require.Empty(t, d.Keys())
	}
}

func TestOnlyWhatDiffersIsChanged(t *testing.T) {
	d := newDraft(t, `{}`)
	values := map[any]any{"a": 1, "b": cart{map[string]int{"x": 1, "y": 2, "z": 3}}, "c": uint8(1)}
	save(t, d, gorillacodec.Main(), values)
	require.NoError(t, d.Rebase(stored(t, d)))
	for range 20 { // gob writes a map in another order each time
		save(t, d, gorillacodec.Main(), values)
		require.False(t, d.Changed())
	}
	delete(values, "b")
	save(t, d, gorillacodec.Main(), values)
	require.True(t, d.Changed())
	require.Equal(t, values, load(t, d, gorillacodec.Main()))
}

// stored is the record that holds what the draft does.
func stored(t *testing.T, d *gateway.Draft) store.Record {
	t.Helper()
	data := "{"
	for i, key := range append(d.Keys(), d.HiddenKeys()...) {
		if i > 0 {
			data += ","
		}
		data += fmt.Sprintf("%q:%s", key, d.StoredRaw(key))
	}
	return store.Record{ID: "s", Revision: 2, Data: []byte(data + "}")}
}

func TestValuesOfEarlierVersionsAreReadUntilTheyAreChanged(t *testing.T) {
	var buf bytes.Buffer
	v := any(cart{map[string]int{"tea": 2}})
	require.NoError(t, gob.NewEncoder(&buf).Encode(&v))
	old, err := json.Marshal(buf.Bytes()) // base64
	require.NoError(t, err)
	d := newDraft(t, `{"_gorilla_flash":["one"],"_gorilla_gob:cart":`+string(old)+`}`)
	require.Equal(t, map[any]any{"_flash": []any{"one"}, "cart": v}, load(t, d, gorillacodec.Main()))
	require.Empty(t, load(t, d, gorillacodec.Named("prefs")), "they are the main session's")
	save(t, d, gorillacodec.Main(), map[any]any{"cart": 1})
	require.Equal(t, map[any]any{"cart": 1}, load(t, d, gorillacodec.Main()))
	require.Empty(t, d.HiddenKeys())
}

func TestWhatCantBeEncodedNamesItsKey(t *testing.T) {
	for key, values := range map[string]map[any]any{
		"7":    {7: "x"},
		"\xff": {"\xff": "x"},
		"f":    {"f": func() {}},
	} {
		_, err := gorillacodec.Main().Encode(values)
		var refused *gateway.ValueError
		require.ErrorAs(t, err, &refused)
		require.Equal(t, key, refused.Key)
	}
}

func TestUnreadableValueIsAnError(t *testing.T) {
	for _, data := range []string{`{"_gorilla_1:p:k":"no entry"}`, `{"_gorilla_1:p:k":{"g":"AA=="}}`, `{"_gorilla_1:p:k":{"v":"x","t":"int8"}}`} {
		is := gorillacodec.Named("p").Read(newDraft(t, data))["k"]
		_, err := is.Decode()
		require.Error(t, err, data)
	}
}

func TestAttemptIsUndone(t *testing.T) {
	d := newDraft(t, `{"a":1,"b":2}`)
	d.Set("b", 3)
	a := gorillacodec.NewAttempt()
	now, err := gorillacodec.Main().Encode(map[any]any{"b": 4, "c": cart{}})
	require.NoError(t, err)
	gorillacodec.Main().Change(d, gorillacodec.Main().Read(d), now, a)
	a.EndWithBrowser(d, true)
	a.SetLifetime(d, time.Hour)
	require.Equal(t, map[any]any{"b": 4, "c": cart{}}, load(t, d, gorillacodec.Main()))
	a.Undo(d)
	require.Equal(t, map[any]any{"a": 1, "b": 3}, load(t, d, gorillacodec.Main()), "as it was, with what was changed before")
	require.Nil(t, d.LifetimeEdit())
	require.Empty(t, d.HiddenKeys())
}

// A Save that failed may have been stored nevertheless, as a whole or in part.
func TestConfirmedTakesOverWhatHasBeenStored(t *testing.T) {
	d := newDraft(t, `{"a":1,"gone":1,"kept":1}`)
	read := gorillacodec.Main().Read(d)
	a := save(t, d, gorillacodec.Main(), map[any]any{"a": 2, "new": 3})
	for data, want := range map[string]map[any]any{
		`{"a":1,"gone":1,"kept":1}`: {"a": 1, "gone": 1, "kept": 1},
		`{"a":2,"new":3}`:           {"a": 2, "new": 3},
		`{"a":5,"gone":1,"new":3}`:  {"a": 1, "gone": 1, "new": 3},
	} {
		settled := a.Confirmed(read, gorillacodec.Main().Read(newDraft(t, data)))
		values := make(map[any]any)
		for key, is := range settled {
			v, err := is.Decode()
			require.NoError(t, err)
			values[key] = v
		}
		require.Equal(t, want, values, data)
	}
}
