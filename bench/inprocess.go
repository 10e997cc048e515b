package main

import (
	"context"
	"errors"
	"math/rand/v2"
	"runtime"
	"sync"
	"time"

	"github.com/sessionbridge/sessionbridge/bridge"
)

func inProcessGroups() []group {
	alone := side{"ours", func() (*subject, error) { return socketIncrements(nil) }}
	return []group{
		{
			name: "WithSession/3 keys", ours: alone, peer: side{"by hand", byHandIncrements},
			rows: []row{{"", nsPerOp, every(timesBetter(1), under(1200*time.Nanosecond), allocsAtMost(5))}},
		},
		{
			name: "WithSession/300 bytes",
			ours: side{"ours", func() (*subject, error) { return socketIncrements(map[string]any{"cart": cart()}) }},
			rows: []row{{"", nsPerOp, under(4 * time.Microsecond)}},
		},
		{
			name: "WithSession/8 sessions on 2 processors",
			ours: side{"ours", func() (*subject, error) { return crowd(8, 2, 8) }},
			peer: side{"on 1", func() (*subject, error) { return crowd(8, 1, 8) }},
			rows: []row{{"", nsPerOp, target{}}},
		},
		{
			name: "WithSession/8 goroutines on 1 session",
			ours: side{"ours", func() (*subject, error) { return crowd(8, runtime.GOMAXPROCS(0), 1) }},
			peer: side{"alone", alone.open},
			rows: []row{{"", nsPerOp, target{}}},
		},
		{
			name: "WithSession/64 goroutines on 1 session",
			ours: side{"ours", func() (*subject, error) { return queue(64) }},
			peer: side{"alone", func() (*subject, error) { return queue(1) }},
			rows: []row{
				{"p50", p50Ns, timesBetter(0.01)},
				{"p99", p99Ns, target{}},
				{"p99 by p50", p99ByP50, noMoreThan(5)},
			},
		},
	}
}

// cart brings a session's data to about 300 bytes.
func cart() any {
	type item struct {
		SKU   string  `json:"sku"`
		Name  string  `json:"name"`
		Count int     `json:"count"`
		Price float64 `json:"price"`
	}
	return []item{
		{"A-1001", "a kettle, of steel", 1, 24.9},
		{"B-2002", "a set of six cups", 2, 17.5},
		{"C-3003", "tea, a kilogram", 3, 31.25},
		{"D-4004", "a tray", 1, 9.99},
	}
}

// socketIncrements is WithSession of one connection, again and again.
func socketIncrements(values map[string]any) (*subject, error) {
	c, err := openConnections(1, values, untilEnd)
	if err != nil {
		return nil, err
	}
	ctx, conn := context.Background(), c.conns[0]
	return &subject{
		run: func(n int) error {
			for range n {
				if err := conn.WithSession(ctx, increment, nil); err != nil {
					return err
				}
			}
			return nil
		},
		check: c.counted,
		close: c.close,
	}, nil
}

// crowd has goroutines call WithSession, on as many sessions in turn, with so many processors.
func crowd(goroutines, processors, sessions int) (*subject, error) {
	c, err := openConnections(sessions, nil, untilEnd)
	if err != nil {
		return nil, err
	}
	return &subject{
		run: func(n int) error {
			defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(processors))
			var wg sync.WaitGroup
			errs := make([]error, goroutines)
			for i := range goroutines {
				share := (n + i) / goroutines // these add up to n
				wg.Go(func() { errs[i] = increments(c.conns[i%sessions], share) })
			}
			wg.Wait()
			return errors.Join(errs...)
		},
		check: c.counted,
		close: c.close,
	}, nil
}

func increments(conn *bridge.Conn, n int) error {
	for range n {
		if err := conn.WithSession(context.Background(), increment, nil); err != nil {
			return err
		}
	}
	return nil
}

// queue has as many goroutines call WithSession on one session, and measures each call.
func queue(width int) (*subject, error) {
	c, err := openConnections(1, nil, untilEnd)
	if err != nil {
		return nil, err
	}
	calls, crew := 0, &crew{width: width}
	return &subject{
		measure: func(quick bool) (sample, error) {
			d := 300 * time.Millisecond
			if quick {
				d /= 30
			}
			err := crew.work(d, func(int, *rand.Rand) error {
				return c.conns[0].WithSession(context.Background(), increment, nil)
			})
			for _, waits := range crew.waits {
				calls += len(waits)
			}
			return crew.sample(), errors.Join(err, c.counted(calls))
		},
		close: c.close,
	}, nil
}
