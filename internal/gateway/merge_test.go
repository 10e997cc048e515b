package gateway_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/internal/gateway"
	"github.com/sessionbridge/sessionbridge/livestore"
	"github.com/sessionbridge/sessionbridge/store"
)

func create(t testing.TB, g *gateway.Gateway, data string) store.Record {
	t.Helper()
	d, err := gateway.NewDraft(store.Record{ID: "s", ClientID: "c", TokenGeneration: 1, Data: []byte("{}"), Created: gateway.Now(), Idle: time.Hour})
	require.NoError(t, err)
	var values map[string]any
	require.NoError(t, json.Unmarshal([]byte(data), &values))
	for k, v := range values {
		d.Set(k, v)
	}
	d.SetLifetime(24 * time.Hour)
	require.NoError(t, g.Commit(t.Context(), d, nil))
	return *d.Base()
}

func draft(t testing.TB, g *gateway.Gateway) *gateway.Draft {
	t.Helper()
	rec, err := g.Load(t.Context(), "s")
	require.NoError(t, err)
	d, err := gateway.NewDraft(rec)
	require.NoError(t, err)
	return d
}

func stored(t testing.TB, g *gateway.Gateway) map[string]any {
	t.Helper()
	rec, err := g.Load(t.Context(), "s")
	require.NoError(t, err)
	var values map[string]any
	require.NoError(t, json.Unmarshal(rec.Data, &values))
	return values
}

func TestCommitMergesKeyByKey(t *testing.T) {
	g := newGateway(livestore.New())
	create(t, g, `{"a":"0","b":"0","c":"0","d":"0","e":"0"}`)
	mine := draft(t, g)
	theirs := draft(t, g)

	theirs.Set("b", "theirs")
	theirs.Set("c", "theirs")
	theirs.Set("new2", "theirs")
	theirs.Delete("d")
	require.NoError(t, g.Commit(t.Context(), theirs, nil))

	mine.Set("a", "mine")
	mine.Set("c", "mine")   // the last commit wins
	mine.Set("b", "x")      // changed back: no change of mine
	mine.Set("b", "0")      //
	mine.Set("d", "0")      // as loaded: no change of mine
	mine.Set("new1", "x")   // came and went: no change
	mine.Delete("new1")     //
	mine.Set("new2", "new") // both added it
	mine.Delete("e")
	require.NoError(t, g.Commit(t.Context(), mine, nil))

	require.Equal(t, map[string]any{"a": "mine", "b": "theirs", "c": "mine", "new2": "new"}, stored(t, g))
}

func TestCommitOfNothingIsNoWrite(t *testing.T) {
	g := newGateway(livestore.New())
	rec := create(t, g, `{"a":1}`)
	d := draft(t, g)
	d.Set("a", 1)
	d.Delete("b")
	d.SetIdle(rec.Idle)
	require.False(t, d.Changed())
	require.NoError(t, g.Commit(t.Context(), d, nil))
	require.Equal(t, rec.Revision, draft(t, g).Base().Revision)
}

func TestClearLeavesOnlyWhatIsSetAfterIt(t *testing.T) {
	g := newGateway(livestore.New())
	create(t, g, `{"a":"0","b":"0"}`)
	mine, theirs := draft(t, g), draft(t, g)
	theirs.Set("c", "theirs")
	theirs.AddFlash("f")
	require.NoError(t, g.Commit(t.Context(), theirs, nil))
	mine.Clear()
	mine.Set("b", "0")
	require.NoError(t, g.Commit(t.Context(), mine, nil))
	require.Equal(t, map[string]any{"b": "0"}, stored(t, g))
}

func TestFlashesAreAppendedAndTakenOnce(t *testing.T) {
	g := newGateway(livestore.New())
	create(t, g, `{"a":"0"}`)
	one, two := draft(t, g), draft(t, g)
	one.AddFlash("hello")
	two.AddFlash("hello")
	require.NoError(t, g.Commit(t.Context(), one, nil))
	require.NoError(t, g.Commit(t.Context(), two, nil))

	reader, late := draft(t, g), draft(t, g)
	require.Equal(t, []any{"hello", "hello"}, reader.TakeFlashes())
	require.Empty(t, reader.TakeFlashes())
	adder := draft(t, g)
	adder.AddFlash("hello")
	require.NoError(t, g.Commit(t.Context(), adder, nil))
	require.NoError(t, g.Commit(t.Context(), reader, nil))
	late.TakeFlashes() // the same two: the third, with the same text, stays
	require.NoError(t, g.Commit(t.Context(), late, nil))
	require.Equal(t, []any{"hello"}, draft(t, g).TakeFlashes())
	require.NotContains(t, draft(t, g).Keys(), "_flash")
}

// TestMergeAgreesWithItsModel: random drafts, committed in random order, are compared with maps
// that follow the rule in its simplest form.
func TestMergeAgreesWithItsModel(t *testing.T) {
	for seed := range uint64(200) {
		rng := rand.New(rand.NewPCG(seed, 1))
		g := newGateway(livestore.New())
		create(t, g, `{"k0":"0","k1":"0","k30":"0"}`)
		model := map[string]any{"k0": "0", "k1": "0", "k30": "0"}
		type writer struct {
			d            *gateway.Draft
			loaded, view map[string]any
		}
		var writers []*writer
		for range 40 {
			switch {
			case len(writers) == 0 || rng.IntN(3) == 0:
				writers = append(writers, &writer{draft(t, g), maps.Clone(model), maps.Clone(model)})
			case rng.IntN(3) > 0:
				w := writers[rng.IntN(len(writers))]
				for range 1 + rng.IntN(40) {
					key := fmt.Sprintf("k%d", rng.IntN(40))
					if rng.IntN(3) == 0 {
						w.d.Delete(key)
						delete(w.view, key)
						continue
					}
					v := fmt.Sprint(rng.IntN(3))
					w.d.Set(key, v)
					w.view[key] = v
				}
				keys := slices.Sorted(maps.Keys(w.view))
				require.ElementsMatch(t, keys, w.d.Keys(), "seed %d", seed)
			default:
				i := rng.IntN(len(writers))
				w := writers[i]
				writers = slices.Delete(writers, i, i+1)
				require.NoError(t, g.Commit(t.Context(), w.d, nil))
				for i := range 40 {
					key := fmt.Sprintf("k%d", i)
					was, had := w.loaded[key]
					is, has := w.view[key]
					switch {
					case had == has && was == is:
					case has:
						model[key] = is
					default:
						delete(model, key)
					}
				}
				require.Equal(t, model, stored(t, g), "seed %d", seed)
			}
		}
	}
}

func TestSavepointUndoesOnlyWhatCameAfterIt(t *testing.T) {
	g := newGateway(livestore.New())
	create(t, g, `{"a":"0"}`)
	d := draft(t, g)
	d.Set("before", 1)
	d.AddFlash("before")
	back := d.Savepoint()
	d.Set("before", 2)
	d.Set("after", 1)
	d.Delete("a")
	d.AddFlash("after")
	d.SetIdle(time.Minute)
	d.Fail(errors.New("x"))
	d.Restore(&back)
	require.NoError(t, g.Commit(t.Context(), d, nil))
	got := stored(t, g)
	delete(got, "_flash")
	require.Equal(t, map[string]any{"a": "0", "before": 1.0}, got)
	require.Equal(t, []any{"before"}, draft(t, g).TakeFlashes())
	require.Equal(t, time.Hour, draft(t, g).Base().Idle)
}

func TestCommitsOfManyWritersLoseNothing(t *testing.T) {
	g := newGateway(livestore.New())
	create(t, g, `{"a":"0"}`)
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for n := range 25 {
				for { // ErrConflict is possible under such a load, and means that nothing was stored
					d := draft(t, g)
					d.Set(fmt.Sprintf("w%d-%d", i, n), n)
					err := g.Commit(t.Context(), d, nil)
					if !errors.Is(err, gateway.ErrConflict) {
						require.NoError(t, err)
						break
					}
				}
			}
		})
	}
	wg.Wait()
	require.Len(t, stored(t, g), 1+8*25)
	require.Zero(t, g.Locks())
}

func TestRotationAppliesToTheGenerationThatWasProved(t *testing.T) {
	g := newGateway(livestore.New())
	create(t, g, `{"a":"0"}`)
	winner, loser, old := draft(t, g), draft(t, g), draft(t, g)
	for _, d := range []*gateway.Draft{winner, loser, old} {
		d.Prove(1)
	}
	winner.ReplaceToken(store.TokenHash{1}, 1, &gateway.Login{UserID: "ada"})
	require.NoError(t, g.Commit(t.Context(), winner, nil))
	loser.ReplaceToken(store.TokenHash{2}, 1, nil)
	require.ErrorIs(t, g.Commit(t.Context(), loser, nil), gateway.ErrTokenRotated)
	old.Set("a", "1")
	require.ErrorIs(t, g.Commit(t.Context(), old, nil), gateway.ErrTokenRotated, "the old token is cut off")

	rec := draft(t, g).Base()
	require.Equal(t, "ada", rec.UserID)
	require.EqualValues(t, 2, rec.TokenGeneration)
	require.EqualValues(t, 2, rec.LoginGeneration)
	require.Equal(t, store.TokenHash{1}, rec.TokenHash)
	winner.Set("a", "2")
	require.NoError(t, g.Commit(t.Context(), winner, nil), "the draft that set the new token knows it")
}
