package series

import (
	"context"
	"sync"
	"time"

	"github.com/sessionbridge/sessionbridge/bridge"
)

// Config says how often is measured and for how long the results are remembered.
type Config struct {
	Every time.Duration // between two samples
	Keep  int           // samples
}

// Series measures a Bridge. It is safe for concurrent use. Make it with Start.
type Series struct {
	bridge *bridge.Bridge
	cfg    Config
	count  counter

	mu   sync.Mutex
	rows []row // the oldest first
}

// row is a sample.
type row struct {
	at     time.Time
	values map[string]float64 // by the name of a column; one without a value is not there
}

// queued is how many events wait to be counted before the Bridge drops some.
const queued = 1024

// Start measures b until it is shut down.
func Start(b *bridge.Bridge, cfg Config) *Series {
	s := &Series{bridge: b, cfg: cfg}
	ctx, cancel := context.WithCancel(context.Background())
	events, before := b.Subscribe(ctx, queued), b.Stats()
	go func() {
		defer cancel()
		for ev := range events {
			s.count.add(ev)
		}
	}()
	go s.run(ctx, before)
	return s
}

func (s *Series) run(ctx context.Context, before bridge.Stats) {
	tick := time.NewTicker(s.cfg.Every)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		now := s.bridge.Stats()
		s.add(row{time.Now(), s.measure(ctx, before, now)})
		before = now
	}
}

func (s *Series) add(r row) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.rows) == s.cfg.Keep {
		s.rows = append(s.rows[:0], s.rows[1:]...)
	}
	s.rows = append(s.rows, r)
}

// measure returns the values of one interval.
func (s *Series) measure(ctx context.Context, before, now bridge.Stats) map[string]float64 {
	v := map[string]float64{"connections": float64(now.Conns), "sessions": float64(now.Attached)}
	rate := func(column string, n uint64) { v[column] = float64(n) / s.cfg.Every.Seconds() }
	rate("writes", now.Writes-before.Writes)
	rate("touches", now.Touches-before.Touches)
	rate("conflicts", now.Conflicts-before.Conflicts)
	rate("refused", now.Refused-before.Refused)
	rate("storeErrors", now.StoreErrors-before.StoreErrors)
	seen := s.count.take()
	rate("destroys", seen.destroys)
	rate("logins", seen.logins)
	rate("connects", seen.opens)
	rate("disconnects", seen.closes)
	rate("failures", seen.failures)
	if len(seen.revocations) > 0 {
		v["revocation50"], v["revocation99"] = quantile(seen.revocations, 0.5), quantile(seen.revocations, 0.99)
	}
	ctx, cancel := context.WithTimeout(ctx, s.cfg.Every)
	defer cancel()
	began := time.Now()
	if s.bridge.Ping(ctx) == nil {
		v["storePing"] = time.Since(began).Seconds()
	}
	return v
}

// Columns are the names of the columns of a Table: numbers now, numbers per second, and seconds.
// revocation50 and revocation99 are quantiles of the time between a session's end and the close of
// its connections, both as this process noticed them. storePing is how long the store took to
// answer.
func Columns() []string {
	return []string{
		"connections", "sessions",
		"writes", "touches", "conflicts", "refused", "storeErrors",
		"destroys", "logins", "connects", "disconnects", "failures",
		"revocation50", "revocation99", "storePing",
	}
}

// Table has one entry for each sample in each column.
type Table struct {
	Seconds float64               `json:"seconds"` // between two samples
	Times   []int64               `json:"times"`   // in seconds since 1970
	Columns map[string][]*float64 `json:"columns"` // null: there is no value
}

// After returns the samples that were taken after the time.
func (s *Series) After(t time.Time) Table {
	s.mu.Lock()
	defer s.mu.Unlock()
	table := Table{Seconds: s.cfg.Every.Seconds(), Times: []int64{}, Columns: map[string][]*float64{}}
	for _, name := range Columns() {
		table.Columns[name] = []*float64{}
	}
	for _, r := range s.rows {
		if !r.at.After(t) {
			continue
		}
		table.Times = append(table.Times, r.at.Unix())
		for _, name := range Columns() {
			var value *float64
			if v, ok := r.values[name]; ok {
				value = &v
			}
			table.Columns[name] = append(table.Columns[name], value)
		}
	}
	return table
}
