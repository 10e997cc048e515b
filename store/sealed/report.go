package sealed

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"
)

// Unopenable is a report of records that can't be opened: those that one call has found. A record
// is reported again only after it has been opened or destroyed meanwhile.
type Unopenable struct {
	App string
	IDs []string // at most 1000
	// More is the number of further records: of one listing, or because 10,000 have been reported,
	// after which one more report is made, without IDs.
	More int
	Err  error // of the first; it matches ErrUnopenable and contains no ID
}

const (
	maxReported = 10_000 // remembered
	maxIDs      = 1000   // in a report
)

// reporter reports each record that can't be opened once.
type reporter struct {
	tell func(Unopenable) // nil: log
	log  *slog.Logger

	count atomic.Int64 // of known; so that forget costs nothing as long as there are none
	mu    sync.Mutex
	known map[reported]struct{}
	full  bool // a report has said so
}

type reported struct{ app, id string }

// one reports a record.
func (r *reporter) one(app, id string, err error) {
	found := r.begin(app)
	found.add(id, err)
	found.end()
}

// forget is called when a record has been opened or destroyed.
func (r *reporter) forget(app, id string) {
	if r.count.Load() == 0 {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.known, reported{app, id})
	r.full = r.full && len(r.known) >= maxReported
	r.count.Store(int64(len(r.known)))
}

// has reports whether the record is known as one that can't be opened.
func (r *reporter) has(app, id string) bool {
	if r.count.Load() == 0 {
		return false
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	_, known := r.known[reported{app, id}]
	return known
}

// begin returns a report for a listing. Call end.
func (r *reporter) begin(app string) *findings {
	return &findings{reporter: r, report: Unopenable{App: app}}
}

// findings are what a listing finds.
type findings struct {
	*reporter
	report Unopenable
}

func (f *findings) add(id string, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	key := reported{f.report.App, id}
	if _, known := f.known[key]; known {
		return
	}
	switch {
	case len(f.known) < maxReported:
		if f.known == nil {
			f.known = make(map[reported]struct{})
		}
		f.known[key] = struct{}{}
		f.count.Store(int64(len(f.known)))
	case f.full:
		return
	default:
		f.full = true
		f.report.More++
		f.first(err)
		return
	}
	f.first(err)
	if len(f.report.IDs) < maxIDs {
		f.report.IDs = append(f.report.IDs, id)
	} else {
		f.report.More++
	}
}

func (f *findings) first(err error) {
	if f.report.Err == nil {
		f.report.Err = err
	}
}

// end reports what has been found, if anything. No lock is held.
func (f *findings) end() {
	switch {
	case f.report.Err == nil:
	case f.tell != nil:
		f.tell(f.report)
	default:
		f.log.LogAttrs(context.Background(), slog.LevelError,
			"sessions in the store can't be opened; they are left as they are (Options.OnUnopenable has their IDs)",
			slog.String("app", f.report.App), slog.Int("sessions", len(f.report.IDs)+f.report.More),
			slog.Any("error", f.report.Err))
	}
}

// message reports a message of a node that can't be opened.
func (r *reporter) message(app string, err error) {
	r.log.LogAttrs(context.Background(), slog.LevelError, "a message of another process can't be opened; it is ignored",
		slog.String("app", app), slog.Any("error", err))
}
