package filestore

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/sessionbridge/sessionbridge/store"
)

// workload is what several writers do to a store at once, until the disk goes down or they have done enough.
type workload struct {
	ctx   context.Context
	m     *model
	disk  *crashDisk // nil: one that doesn't fail
	st    *Store
	seed  uint64
	round uint64
	first int // name of the first writer
}

// writer is one of them. It has sessions of its own, which nobody else changes, and changes those that all share.
type writer struct {
	*workload
	name   int
	random *rand.Rand
}

// run returns when all writers have ended.
func (w *workload) run(writers, operations int) {
	var wg sync.WaitGroup
	for i := range writers {
		wr := &writer{workload: w, name: w.first + i, random: rand.New(rand.NewPCG(w.seed, w.round<<8|uint64(i)))}
		wg.Go(func() {
			for n := 0; n < operations && wr.step(); n++ {
			}
		})
	}
	wg.Wait()
}

// step does one thing. It is false when the store has failed.
func (w *writer) step() bool {
	app := modelApps[0]
	if w.random.IntN(4) == 0 {
		app = modelApps[1]
	}
	switch n := w.random.IntN(1000); {
	case n < 520:
		return w.own(app)
	case n < 900:
		return w.shared(app)
	case n < 940:
		return w.sweep(app)
	case n < 970:
		return w.read(app)
	case n < 995:
		return w.goesOn("checkpoint", w.st.engine.flush(w.ctx, w.random.IntN(2) == 0))
	}
	return w.goesOn("Optimize", w.st.Optimize(w.ctx))
}

// goesOn reports an error that the disk isn't to blame for. It is false if there is any.
func (w *writer) goesOn(what string, err error) bool {
	switch {
	case err == nil:
		return true
	case w.disk == nil || !w.disk.failing():
		w.m.report(inconsistent, "%s: %v", what, err)
	case !errors.Is(err, errPowerCut) && !errors.Is(err, errIO) && !errors.Is(err, errFull):
		w.m.report(inconsistent, "%s fails without giving the cause: %v", what, err)
	case changes[what] && !errors.Is(err, ErrFailed) && (!errors.Is(err, ErrFull) || !errors.Is(err, errFull)):
		w.m.report(inconsistent, "%s fails with an error that matches neither ErrFailed nor ErrFull: %v", what, err)
	}
	return false
}

// changes are what is refused with ErrFailed once the disk has failed, with ErrFull as long as it is full.
var changes = map[string]bool{"Set": true, "Touch": true, "Destroy": true, "Sweep": true}

// own does something to one of the writer's own sessions, of which it knows exactly how they are.
func (w *writer) own(app string) bool {
	slot := w.random.IntN(5)
	key := sessionKey{app, fmt.Sprintf("own-%d-%d", w.name, slot)}
	if slot%2 == 0 {
		key.id = fmt.Sprintf("%08x-0000-4000-8000-%012x", w.name, slot)
	}
	is := w.m.floorOf(key)
	if is.number == 0 {
		return w.set(key, is.stage.life()+1, 0, true)
	}
	switch n := w.random.IntN(100); {
	case n < 60:
		return w.set(key, is.stage.life(), is.stage.revision(), true)
	case n < 78:
		return w.touch(key)
	case n < 90:
		return w.destroy(key, is.stage.life(), true)
	}
	_, goesOn := w.get(key)
	return goesOn
}

// shared does something to a session that any writer may change at the same time. Such sessions have one life.
func (w *writer) shared(app string) bool {
	key, ok := w.m.pick(app, w.random)
	if !ok || w.random.IntN(10) == 0 {
		if key, ok = w.m.newShared(app, w.random); ok {
			return w.set(key, 1, 0, true)
		}
	}
	rec, goesOn := w.get(key)
	if rec == nil {
		return goesOn
	}
	switch n := w.random.IntN(100); {
	case n < 75:
		return w.set(key, 1, rec.Revision, false)
	case n < 92:
		return w.touch(key)
	}
	return w.destroy(key, 1, false)
}

// set stores the next version over the revision. alone: nobody else changes the session, so that it can't be refused.
func (w *writer) set(key sessionKey, life, revision uint64, alone bool) bool {
	number, change := w.m.beginSet(key, life, revision)
	rec := versionOf(key, number)
	rec.Revision = revision
	next, err := appOf(w.st, key.app).Set(w.ctx, rec)
	switch {
	case err == nil && next != revision+1:
		w.m.report(inconsistent, "set of %s: revision %d follows %d", key.id, next, revision)
	case errors.Is(err, store.ErrNotFound) || errors.Is(err, store.ErrConflict):
		w.m.notMade(change, err)
		if alone {
			w.m.report(lost, "set of %s, which nobody else changes, at life %d revision %d: %v", key.id, life, revision, err)
		}
		return true
	}
	if w.goesOn("Set", err) {
		w.m.made(change)
		return true
	}
	return false
}

func (w *writer) destroy(key sessionKey, life uint64, alone bool) bool {
	change := w.m.beginDestroy(key, life)
	existed, err := appOf(w.st, key.app).Destroy(w.ctx, key.id)
	switch {
	case !w.goesOn("Destroy", err):
		return false
	case existed:
		w.m.made(change)
	default:
		w.m.notMade(change, store.ErrNotFound)
		if alone {
			w.m.report(lost, "%s isn't there to be destroyed, in life %d", key.id, life)
		}
	}
	return true
}

func (w *writer) touch(key sessionKey) bool {
	seen := w.m.now().Add(time.Duration(w.random.IntN(300e6)-100e6) * time.Microsecond)
	w.m.beginTouch(key, seen)
	err := appOf(w.st, key.app).Touch(w.ctx, key.id, seen)
	if errors.Is(err, store.ErrNotFound) && !key.alone() {
		return true
	}
	return w.goesOn("Touch", err)
}

func (w *writer) get(key sessionKey) (*store.Record, bool) {
	floor := w.m.floorOf(key)
	rec, err := appOf(w.st, key.app).Get(w.ctx, key.id)
	if errors.Is(err, store.ErrNotFound) {
		w.m.saw(key, nil, floor)
		return nil, true
	}
	if !w.goesOn("Get", err) {
		return nil, false
	}
	w.m.saw(key, &rec, floor)
	return &rec, true
}

// sweep removes what has expired by now. What it doesn't return it hasn't removed.
func (w *writer) sweep(app string) bool {
	now := w.m.now()
	begun := w.m.beginSweep(app)
	swept, err := appOf(w.st, app).Sweep(w.ctx, now, 1+w.random.IntN(10))
	w.m.swept(begun, swept, err, now)
	return w.goesOn("Sweep", err)
}

// read looks at many sessions at once.
func (w *writer) read(app string) bool {
	st := appOf(w.st, app)
	all := st.List(w.ctx)
	switch w.random.IntN(4) {
	case 0:
		all = st.ByUser(w.ctx, modelUsers[w.random.IntN(len(modelUsers))])
	case 1:
		all = st.ByClient(w.ctx, modelClients[w.random.IntN(len(modelClients))])
	case 2:
		all = st.ActiveSince(w.ctx, w.m.now().Add(-time.Minute))
	}
	floors := w.m.allFloors(app)
	for rec, err := range all {
		if !w.goesOn("reading", err) {
			return false
		}
		key := sessionKey{app, rec.ID}
		w.m.saw(key, &rec, floors[key])
	}
	return true
}
