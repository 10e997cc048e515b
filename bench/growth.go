package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"time"

	"github.com/sessionbridge/sessionbridge/store"
)

// hot is how many sessions are used again and again, however many others there are.
const hot = 1000

func growthGroups() []group {
	g := &growth{}
	var all []group
	for _, n := range []int{100_000, 1_000_000} {
		all = append(all,
			group{
				name:   fmt.Sprintf("growth/get of %d hot sessions among %dk", hot, n/1000),
				ours:   side{"ours", g.gets(n, hot)},
				peer:   side{fmt.Sprintf("%d alone", hot), g.gets(hot, hot)},
				rounds: 5, fixture: g,
				rows: []row{{"", nsPerOp, timesBetter(0.67)}},
			},
			group{
				name:   fmt.Sprintf("growth/set of %d hot sessions among %dk", hot, n/1000),
				ours:   side{"ours", g.sets(n, hot)},
				peer:   side{fmt.Sprintf("%d alone", hot), g.sets(hot, hot)},
				rounds: 5, fixture: g,
				rows: []row{{"", nsPerOp, timesBetter(0.67)}},
			})
	}
	for _, n := range []int{hot, 100_000, 1_000_000} {
		all = append(all, group{
			name:   fmt.Sprintf("growth/get of any of %dk", n/1000),
			ours:   side{"ours", g.gets(n, n)},
			peer:   side{"a map, and a clone", g.mapGets(n)},
			rounds: 5, fixture: g,
			rows: []row{{"", nsPerOp, timesBetter(0.45)}},
		})
	}
	return all
}

// growth knows whether there are to be fewer sessions.
type growth struct{ quick bool }

func (g *growth) prepare(quick bool, _ io.Writer) { g.quick = quick }

func (g *growth) close() error { return nil }

// of returns how many sessions stand for n.
func (g *growth) of(n int) int {
	if g.quick {
		return max(n/100, min(n, hot))
	}
	return n
}

// population is n sessions, in an order that isn't that of their places in memory.
type population struct {
	ids []string
	get func(id string) (store.Record, error)
}

func newPopulation(n int, get func(id string) (store.Record, error)) *population {
	p := &population{get: get}
	for _, i := range rand.Perm(n) {
		p.ids = append(p.ids, session(i, time.Time{}, time.Time{}).ID)
	}
	return p
}

// any reads one of the first used of the sessions, which the processor can't guess.
func (p *population) any(used int) (store.Record, error) {
	return p.get(p.ids[rand.IntN(used)]) //nolint:gosec // any will do
}

// gets reads any of the first used sessions.
func (p *population) gets(used int) *subject {
	found := 0
	return &subject{
		run: func(n int) error {
			for range n {
				rec, err := p.any(used)
				if err != nil {
					return err
				}
				if len(rec.Data) == len(sessionData) {
					found++
				}
			}
			return nil
		},
		check: func(n int) error { return same("sessions found", found, n) },
		close: func() error { return nil },
	}
}

// gets reads any of the first used of n sessions.
func (g *growth) gets(n, used int) func() (*subject, error) {
	return func() (*subject, error) {
		st, err := liveStore(g.of(n))
		p := newPopulation(g.of(n), func(id string) (store.Record, error) { return st.Get(context.Background(), id) })
		return p.gets(min(used, g.of(n))), err
	}
}

// mapGets reads any of n records of a map, and copies their data.
func (g *growth) mapGets(n int) func() (*subject, error) {
	return func() (*subject, error) {
		n := g.of(n)
		all, now := make(map[string]store.Record, n), time.Now()
		for i := range n {
			rec := session(i, now, now.Add(24*time.Hour)).Clone()
			all[rec.ID] = rec
		}
		return newPopulation(n, func(id string) (store.Record, error) { return all[id].Clone(), nil }).gets(n), nil
	}
}

// sets changes any of the first used of n sessions.
func (g *growth) sets(n, used int) func() (*subject, error) {
	return func() (*subject, error) {
		used := min(used, g.of(n))
		st, err := liveStore(g.of(n))
		p := newPopulation(g.of(n), func(id string) (store.Record, error) { return st.Get(context.Background(), id) })
		return &subject{
			run: func(n int) error {
				for range n {
					rec, err := p.any(used)
					if err == nil {
						rec.Writes++
						_, err = st.Set(context.Background(), rec)
					}
					if err != nil {
						return err
					}
				}
				return nil
			},
			check: func(n int) error {
				var err error
				writes := -used // each was stored once before
				for _, id := range p.ids[:used] {
					rec, err1 := p.get(id)
					err = errors.Join(err, err1)
					writes += int(rec.Writes) //nolint:gosec // few
				}
				return errors.Join(err, same("sets", writes, n))
			},
			close: func() error { return nil },
		}, err
	}
}
