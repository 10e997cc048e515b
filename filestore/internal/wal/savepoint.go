package wal

// Savepoint is a state of the log to which Rollback returns.
type Savepoint struct {
	segment *segment
	end     Position
	chain   uint32
}

// Savepoint returns the current state.
func (l *Log) Savepoint() Savepoint { return Savepoint{l.active, l.active.end, l.chain} }

// Rollback removes the group, or the rotation, that has failed since the savepoint.
func (l *Log) Rollback(to Savepoint) {
	if l.active == to.segment {
		l.failed = append(l.failed, remain{to.segment, to.segment.offset(to.end)})
		l.synced = min(l.synced, to.end)
	} else { // a rotation, before which the log was synced
		l.failed = append(l.failed, remain{l.active, 0})
		l.synced, l.torn = to.end, false
	}
	l.active, l.chain = to.segment, to.chain
	l.active.end = to.end
	l.unsynced = l.unsynced[:to.end-l.synced]
}

// remain is where a group may stand whose write or sync has failed: the disk may have it whole all
// the same. It must not be mistaken for the group that is written at the same position later.
type remain struct {
	segment *segment
	offset  int64
}

// eraseFailed erases what failed groups may have left. The next group overwrites one of them.
func (l *Log) eraseFailed() error {
	for _, r := range l.failed {
		if r.segment == l.active && r.offset == l.Used() {
			continue
		}
		if err := r.segment.erase(r.offset); err != nil {
			return err
		}
		if err := r.segment.sync(); err != nil {
			return err
		}
	}
	return nil
}

// erase overwrites the beginning of a group, which makes it unrecognizable.
func (s *segment) erase(offset int64) error { return s.writeAt(make([]byte, groupAlign), offset) }
