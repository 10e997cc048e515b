package gateway_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/internal/gateway"
	"github.com/sessionbridge/sessionbridge/livestore"
)

// values is what a session contains: JSON by key, and flashes, oldest first.
type values struct {
	byKey   map[string]string
	flashes []string
}

func (v values) clone() values { return values{maps.Clone(v.byKey), slices.Clone(v.flashes)} }

// view is the model of a draft: what was loaded, and what its owner sees now.
type view struct {
	loaded, now values
	cleared     bool
	taken       []string        // of the loaded flashes
	added       []string        // flashes
	bad         map[string]bool // keys whose value can't be stored
	badFlash    bool
}

func newView(v values) view {
	return view{loaded: v.clone(), now: v.clone(), bad: map[string]bool{}}
}

func (v view) clone() view {
	v.loaded, v.now = v.loaded.clone(), v.now.clone()
	v.taken, v.added, v.bad = slices.Clone(v.taken), slices.Clone(v.added), maps.Clone(v.bad)
	return v
}

func (v *view) set(key, raw string, ok bool) {
	delete(v.bad, key)
	if v.now.byKey[key] = raw; !ok {
		delete(v.now.byKey, key)
		v.bad[key] = true
	}
}

func (v *view) delete(key string) {
	if !gateway.IsHidden(key) {
		delete(v.bad, key)
		delete(v.now.byKey, key)
	}
}

func (v *view) clear() {
	*v = view{loaded: v.loaded, now: values{byKey: map[string]string{}}, cleared: true, bad: map[string]bool{}}
}

func (v *view) takeFlashes() (all []string) {
	v.taken = append(v.taken, v.now.flashes...)
	all, v.now.flashes, v.added = append(v.now.flashes, v.added...), nil, nil
	return all
}

// fails reports whether a commit has to fail.
func (v *view) fails() bool { return len(v.bad) > 0 || v.badFlash }

func (v *view) changed() bool {
	if v.cleared && len(v.loaded.byKey)+len(v.loaded.flashes) > 0 {
		return true
	}
	return len(v.taken)+len(v.added) > 0 || !maps.Equal(v.loaded.byKey, v.now.byKey)
}

// merge returns what is stored after a commit if cur was stored before: a key that differs from
// what was loaded is the draft's, any other one as in cur.
func (v *view) merge(cur values) values {
	if v.cleared {
		return values{maps.Clone(v.now.byKey), slices.Clone(v.added)}
	}
	next := cur.clone()
	for _, from := range []map[string]string{v.loaded.byKey, v.now.byKey} {
		for key := range from {
			was, had := v.loaded.byKey[key]
			switch is, has := v.now.byKey[key]; {
			case has && (!had || is != was):
				next.byKey[key] = is
			case had && !has:
				delete(next.byKey, key)
			}
		}
	}
	next.flashes = slices.DeleteFunc(next.flashes, func(text string) bool { return slices.Contains(v.taken, text) })
	next.flashes = append(next.flashes, v.added...)
	return next
}

// FuzzMerge: drafts of one session, changed and committed in any order, store what their model
// says: no key that a draft hasn't changed is overwritten, and each flash is shown until one has
// taken it. What is stored is one JSON object without duplicate keys.
//
// The script has two bytes for each step: which draft does what, and to which key. The text is a
// value, and name is a key.
func FuzzMerge(f *testing.F) {
	f.Add([]byte{0, 1, 1, 2, 30, 0, 31, 0}, "name", "text")
	f.Add([]byte{0, 1, 7, 0, 14, 2, 15, 2, 28, 0, 29, 0, 30, 0}, "", "<é\u2028>")
	f.Add([]byte{3, 0, 7, 0, 4, 0, 8, 0, 9, 0, 10, 0, 7, 0, 8, 0, 11, 1, 7, 0}, "_flash", "\xff")
	f.Add(bytes.Repeat([]byte{0, 1, 21, 30, 42, 0, 63, 0, 2, 1, 5, 9, 6, 9}, 5), "_bridge_x", "\"\\")
	f.Add([]byte{2, 0, 0, 7, 28, 0, 7, 3, 35, 0, 44, 1, 28, 0, 2, 1, 28, 0}, "\xff", "\ufffd")
	f.Add([]byte{4, 0, 7, 1, 5, 0, 12, 0, 15, 0, 7, 0}, "", "a flash that comes while another is taken")
	var many []byte
	for key := range byte(40) {
		many = append(many, 0, key, 8, key+3)
	}
	f.Add(append(many, 7, 0, 15, 0, 1, 4, 7, 0), "k1", "0")
	f.Fuzz(func(t *testing.T, script []byte, name, text string) {
		if len(script) > 200 {
			return // enough for every state; longer ones only take longer
		}
		g := newGateway(livestore.New())
		create(t, g, `{"k0":"0","k1":"1"}`)
		model := values{byKey: map[string]string{"k0": `"0"`, "k1": `"1"`}}
		var drafts [3]*gateway.Draft
		var views [3]view
		var savepoints [3]*gateway.Draft
		var saved [3]view
		flashes := 0
		for ; len(script) > 1; script = script[2:] {
			i, op, arg := script[0]/8%3, script[0]%8, script[1]
			if drafts[i] == nil {
				drafts[i], views[i], savepoints[i] = draft(t, g), newView(model), nil
			}
			d, v := drafts[i], &views[i]
			key := fmt.Sprintf("k%d", arg%40)
			if arg%40 == 39 {
				key = name
			}
			switch op {
			case 0, 1:
				value := any(string('0' + rune(arg/40)))
				switch {
				case op == 1 && arg&1 == 0:
					value = text
				case op == 1:
					value = map[string]any{"text": []any{text, nil, 1.5}}
				}
				raw, err := gateway.EncodeValue(value)
				require.Equal(t, op == 0 || utf8.ValidString(text), err == nil)
				d.Set(key, value)
				v.set(key, string(raw), err == nil && utf8.ValidString(key) && !gateway.IsHidden(key))
			case 2:
				d.Clear()
				v.clear()
			case 3:
				d.Delete(key)
				v.delete(key)
			case 4:
				flash := fmt.Sprint(flashes) + text
				flashes++
				d.AddFlash(flash)
				if utf8.ValidString(flash) {
					v.added = append(v.added, flash)
				} else {
					v.badFlash = true
				}
			case 5:
				var got []string
				for _, flash := range d.TakeFlashes() {
					got = append(got, flash.(string))
				}
				require.Equal(t, v.takeFlashes(), got)
			case 6:
				if savepoints[i] == nil {
					savepoint := d.Savepoint()
					savepoints[i], saved[i] = &savepoint, v.clone()
				} else {
					d.Restore(savepoints[i])
					*v = saved[i].clone()
				}
			case 7:
				err := g.Commit(t.Context(), d, nil)
				if v.fails() {
					var bad *gateway.ValueError
					require.ErrorAs(t, err, &bad)
					require.True(t, v.bad[bad.Key] || v.badFlash && bad.Key == "_flash", "%q", bad.Key)
					drafts[i] = nil
					break
				}
				require.NoError(t, err)
				if v.changed() {
					model = v.merge(model)
					*v, savepoints[i] = newView(model), nil
				}
				requireStored(t, g, model)
				if arg&1 == 0 {
					drafts[i] = nil // the next step loads it again
				}
			}
			seen := slices.Collect(maps.Keys(v.now.byKey))
			for key := range v.bad {
				if !gateway.IsHidden(key) {
					seen = append(seen, key)
				}
			}
			require.ElementsMatch(t, seen, d.Keys())
			for key, raw := range v.now.byKey {
				require.Equal(t, raw, string(d.Raw(key)))
			}
			if !v.fails() { // two keys that aren't UTF-8 may look the same
				requireObject(t, d, v.now.byKey)
			}
		}
	})
}

// requireObject fails unless the object of the draft has these values.
func requireObject(t *testing.T, d *gateway.Draft, want map[string]string) {
	t.Helper()
	text, err := d.Object()
	require.NoError(t, err)
	var object map[string]json.RawMessage
	require.NoError(t, json.Unmarshal(text, &object), "%s", text)
	got := make(map[string]string, len(object))
	for key, raw := range object {
		got[key] = string(raw)
	}
	require.Equal(t, want, got)
}

// requireStored fails unless the session has these values, and each key once.
func requireStored(t *testing.T, g *gateway.Gateway, want values) {
	t.Helper()
	d := draft(t, g)
	data := json.NewDecoder(bytes.NewReader(d.Base().Data))
	_, err := data.Token()
	require.NoError(t, err)
	got := values{byKey: map[string]string{}}
	for data.More() {
		key, err := data.Token()
		require.NoError(t, err)
		require.NotContains(t, got.byKey, key)
		var raw json.RawMessage
		require.NoError(t, data.Decode(&raw))
		got.byKey[key.(string)] = string(raw)
	}
	require.True(t, json.Valid(d.Base().Data))
	delete(got.byKey, "_flash")
	for _, flash := range d.TakeFlashes() {
		got.flashes = append(got.flashes, flash.(string))
	}
	require.Equal(t, want.byKey, got.byKey)
	require.Equal(t, len(want.flashes), len(got.flashes))
	for i := range want.flashes {
		require.Equal(t, want.flashes[i], got.flashes[i])
	}
}
