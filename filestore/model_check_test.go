package filestore

import (
	"bytes"
	"context"
	"fmt"
	"iter"
	"slices"
	"time"

	"github.com/sessionbridge/sessionbridge/store"
)

// capable is what the store of an app can do.
type capable interface {
	store.Store
	store.Lister
	store.Toucher
	store.Sweeper
	store.UserIndex
	store.ClientIndex
	store.ActivityIndex
	store.Optimizer
}

var modelApps = []string{"", "shop"}

// appOf returns the store of the app.
func appOf(st *Store, app string) capable {
	if app == "" {
		return st
	}
	return st.App(app).(capable)
}

// contents is what a store was found to hold.
type contents map[sessionKey]store.Record

// contentsOf reads the whole store, in every way there is, and returns what is wrong if these don't agree.
func contentsOf(ctx context.Context, st *Store) (contents, []problem) {
	found := contents{}
	var problems []problem
	for _, app := range modelApps {
		c := &appCheck{ctx: ctx, app: app, st: appOf(st, app), records: map[string]store.Record{}}
		c.run()
		for id, rec := range c.records {
			found[sessionKey{app, id}] = rec
		}
		problems = append(problems, c.problems...)
	}
	return found, problems
}

// appCheck compares what an app's store answers to different questions.
type appCheck struct {
	ctx      context.Context
	app      string
	st       capable
	records  map[string]store.Record
	problems []problem
}

func (c *appCheck) wrong(format string, args ...any) {
	c.problems = append(c.problems, problem{inconsistent, fmt.Sprintf("app %q: ", c.app) + fmt.Sprintf(format, args...)})
}

func (c *appCheck) run() {
	for rec, err := range c.st.List(c.ctx) {
		if err != nil {
			c.wrong("List: %v", err)
			return
		}
		if _, twice := c.records[rec.ID]; twice {
			c.wrong("List yields %s twice", rec.ID)
		}
		c.records[rec.ID] = rec
	}
	for id, rec := range c.records {
		got, err := c.st.Get(c.ctx, id)
		if err != nil || !same(&got, &rec) {
			c.wrong("List has %s as %v, Get as %v, %v", id, rec, got, err)
		}
	}
	for _, user := range modelUsers {
		c.compare("ByUser "+user, c.st.ByUser(c.ctx, user), func(r *store.Record) bool { return user != "" && r.UserID == user })
	}
	for _, client := range modelClients {
		c.compare("ByClient "+client, c.st.ByClient(c.ctx, client), func(r *store.Record) bool { return client != "" && r.ClientID == client })
	}
	for _, since := range c.cutoffs() {
		c.compare(fmt.Sprintf("ActiveSince %v", since), c.st.ActiveSince(c.ctx, since), func(r *store.Record) bool { return !r.Seen.Before(since) })
	}
}

// cutoffs are times to ask ActiveSince about: the beginning, the middle, and just after it.
func (c *appCheck) cutoffs() []time.Time {
	times := []time.Time{{}}
	seens := make([]time.Time, 0, len(c.records))
	for _, rec := range c.records {
		seens = append(seens, rec.Seen)
	}
	if len(seens) > 0 {
		slices.SortFunc(seens, time.Time.Compare)
		middle := seens[len(seens)/2]
		times = append(times, middle, middle.Add(time.Microsecond))
	}
	return times
}

// compare has the index yield those of List's records that it should, the last seen first.
func (c *appCheck) compare(what string, yielded iter.Seq2[store.Record, error], in func(*store.Record) bool) {
	seen := map[string]bool{}
	var last time.Time
	for rec, err := range yielded {
		if err != nil {
			c.wrong("%s: %v", what, err)
			return
		}
		if listed, ok := c.records[rec.ID]; !ok || !same(&rec, &listed) || !in(&rec) || seen[rec.ID] {
			c.wrong("%s yields %s as %v; List: %v", what, rec.ID, rec, listed)
		}
		if len(seen) > 0 && rec.Seen.After(last) {
			c.wrong("%s yields %s, seen later than the one before", what, rec.ID)
		}
		last = rec.Seen
		seen[rec.ID] = true
	}
	for id, rec := range c.records {
		if in(&rec) && !seen[id] {
			c.wrong("%s leaves out %s", what, id)
		}
	}
}

// same compares two records that are versions of one session.
func same(a, b *store.Record) bool {
	return a.Revision == b.Revision && a.WriteID == b.WriteID && a.Seen.Equal(b.Seen) && a.Expires.Equal(b.Expires) &&
		a.UserID == b.UserID && a.ClientID == b.ClientID && bytes.Equal(a.Data, b.Data)
}

// sweepAll sweeps the store empty of what expires, and returns what is wrong with that. The store isn't as it was.
func sweepAll(ctx context.Context, st *Store, found contents) (problems []problem) {
	never := 0
	for _, app := range modelApps {
		c := &appCheck{ctx: ctx, app: app, st: appOf(st, app), records: map[string]store.Record{}}
		for key, rec := range found {
			if key.app == app {
				c.records[key.id] = rec
			}
		}
		never += c.sweep()
		problems = append(problems, c.problems...)
	}
	left, wrong := contentsOf(ctx, st)
	if len(left) != never {
		wrong = append(wrong, problem{inconsistent, fmt.Sprintf("%d sessions are left after the sweep, not the %d that don't expire", len(left), never)})
	}
	return append(problems, wrong...)
}

// sweep sweeps in two steps: what expired until the middle, and the rest. It returns how many don't expire.
func (c *appCheck) sweep() (never int) {
	var expiries []time.Time
	for _, rec := range c.records {
		if rec.Expires.IsZero() {
			never++
		} else {
			expiries = append(expiries, rec.Expires)
		}
	}
	if len(expiries) == 0 {
		return never
	}
	slices.SortFunc(expiries, time.Time.Compare)
	for _, until := range []time.Time{expiries[len(expiries)/2], expiries[len(expiries)-1]} {
		want := 0
		for _, at := range expiries {
			if !at.After(until) {
				want++
			}
		}
		c.sweepUntil(until, want)
		expiries = expiries[want:]
		if len(expiries) == 0 {
			break
		}
	}
	return never
}

func (c *appCheck) sweepUntil(until time.Time, want int) {
	var last time.Time
	got := 0
	for {
		swept, err := c.st.Sweep(c.ctx, until, 7)
		if err != nil {
			c.wrong("Sweep: %v", err)
			return
		}
		for _, rec := range swept {
			if known, ok := c.records[rec.ID]; !ok || !same(&rec, &known) || rec.Expires.After(until) || rec.Expires.Before(last) {
				c.wrong("the sweep until %v returns %s as %v after one that expired %v; List: %v", until, rec.ID, rec, last, known)
			}
			last = rec.Expires
		}
		if got += len(swept); len(swept) < 7 {
			break
		}
	}
	if got != want {
		c.wrong("the sweep until %v returned %d sessions, not %d", until, got, want)
	}
}
