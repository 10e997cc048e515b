package filestore

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"github.com/sessionbridge/sessionbridge/filestore/internal/wal"
)

// logNames returns the names of the log files.
func logNames(path string) [2]string { return [2]string{path + ".wal.0", path + ".wal.1"} }

// openLog recovers the changes in the log, or begins a new log if the store was closed. It returns
// the first checkpoint, nil if none is needed.
func (e *engine) openLog() (*checkpoint, error) {
	hd, err := e.database.head()
	if err != nil {
		return nil, err
	}
	e.checkpointer.log = hd.log
	cfg := wal.Config{Names: logNames(e.path), Open: e.disk.Open, Limit: e.opts.segmentLimit()}
	if e.log, err = wal.Open(cfg); err != nil {
		return nil, fmt.Errorf("filestore: open the log: %w", err)
	}
	if !hd.open {
		return nil, e.beginLog(hd)
	}
	r := &recovery{engine: e, frozen: make(map[*space]*overlay), midway: hd.midway}
	torn, err := e.log.Replay(hd.id, hd.log, r.replay)
	if err != nil {
		return nil, ofLog("recover", err)
	}
	if r.changes > 0 || torn > 0 {
		e.opts.Logger.LogAttrs(context.Background(), slog.LevelWarn,
			"the session store was not closed; the changes in its log are recovered",
			slog.String("path", e.path), slog.Int("changes", r.changes), slog.Int64("unfinished_bytes", torn))
	} else if hd.log >= e.log.Base() && !hd.midway {
		return nil, nil
	}
	for sp, frozen := range r.frozen {
		sp.layers.Store(&layers{active: newOverlay(), frozen: frozen})
	}
	// Without changes, too, the database must record that it doesn't need the other log file.
	return &checkpoint{at: e.log.Position(), frozen: r.frozen}, nil
}

// recovery collects the changes that the log has and the database doesn't.
type recovery struct {
	engine  *engine
	frozen  map[*space]*overlay
	midway  bool // a checkpoint was interrupted: the indexes may be ahead of the sessions
	changes int
}

var errEntries = errors.New("a group of changes has invalid content")

// replay applies the changes of a group.
func (r *recovery) replay(payload []byte, n int) error {
	ok, err := entries(payload, n, r.apply)
	if !ok {
		return errEntries
	}
	r.changes += n
	return err
}

func (r *recovery) apply(en *entry) error {
	sp := r.engine.space(string(en.app))
	frozen := r.frozen[sp]
	if frozen == nil {
		frozen = newOverlay()
		r.frozen[sp] = frozen
	}
	var old *version
	v := &version{value: en.value, due: never}
	switch en.kind {
	case putEntry:
		v.due = en.value.expiry()
	case touchEntry:
		old = frozen.latest(en.key)
		if old == nil {
			var err error
			if old, err = sp.load(r.engine.database, en.key); err != nil {
				return err
			}
		}
		switch {
		case old == nil || old.value == nil || old.value.seen() > en.seen:
			return nil
		case old.value.seen() == en.seen: // the sweep has moved the index entry
			v.value, v.due = old.value, old.value.expiry()
		default:
			v.value = append(value(nil), old.value...)
			v.value.setSeen(en.seen)
			v.value.setExpires(en.expires)
			v.due = min(old.due, v.value.expiry())
		}
	}
	s, _ := frozen.stage(en.key, v)
	s.publish()
	if v.value == nil {
		return nil
	}
	if r.midway {
		at := v.place()
		at.owner = en.value
		s.base.former = append(s.base.former, at)
		at.due = v.value.expiry() // a sweep may have moved the entry there
		s.base.former = append(s.base.former, at)
	}
	frozen.indexNames(en.key, old, v, old != nil, old != nil) // a touch keeps the user and the client
	if r.midway {
		old = nil // the database may have lost its index entry
	}
	frozen.indexDue(en.key, old, v)
	return nil
}
