package filestore

import (
	"cmp"
	"fmt"
	"log/slog"
	"time"
)

// Options configure Open. A zero field, or nil Options, stands for the default.
type Options struct {
	// Wipe removes the sessions of earlier runs: the store starts empty. Default: they are kept.
	Wipe bool

	// LockWait is how long Open waits for another process to close the store, such as the one that
	// this process replaces. Default 0: Open fails at once.
	LockWait time.Duration

	// SyncEvery is the longest time between the acknowledgment of a change and its sync to the
	// disk. With 0, the default, every change is synced before it is acknowledged. A duration makes
	// changes faster on disks with slow syncs; a crash of the machine or a power cut loses up to
	// that much of them. A crash of the process loses nothing in either case.
	SyncEvery time.Duration

	// LogSize limits the size of both log files together, in bytes. When the log is full, changes
	// wait until a checkpoint has written it to the database. A large log makes a busy store
	// faster, takes as much memory, and makes recovery longer. Default 128 MiB, from 1 MiB to 8 GiB.
	LogSize int64

	// CheckpointEvery is the longest time that a change stays in the log before it is written to
	// the database. It doesn't affect durability. Default 10 s, at least 100 ms.
	CheckpointEvery time.Duration

	// Logger receives events for the operator: a recovery, a failure. They contain no IDs and no
	// personal data. Default: none.
	Logger *slog.Logger
}

const (
	defaultLogSize         = 128 << 20
	minLogSize             = 1 << 20
	maxLogSize             = 8 << 30
	defaultCheckpointEvery = 10 * time.Second
	minCheckpointEvery     = 100 * time.Millisecond
)

// withDefaults returns a copy of the options with defaults in place of zeros.
func (o *Options) withDefaults() (Options, error) {
	var out Options
	if o != nil {
		out = *o
	}
	out.LogSize = cmp.Or(out.LogSize, defaultLogSize)
	out.CheckpointEvery = cmp.Or(out.CheckpointEvery, defaultCheckpointEvery)
	out.Logger = cmp.Or(out.Logger, slog.New(slog.DiscardHandler))
	switch {
	case out.LockWait < 0:
		return out, fmt.Errorf("filestore: Options.LockWait is %v; it must not be negative", out.LockWait)
	case out.SyncEvery < 0:
		return out, fmt.Errorf("filestore: Options.SyncEvery is %v; it must not be negative", out.SyncEvery)
	case out.LogSize < minLogSize || out.LogSize > maxLogSize:
		return out, fmt.Errorf("filestore: Options.LogSize is %d; it must be from %d to %d bytes",
			out.LogSize, minLogSize, int64(maxLogSize))
	case out.CheckpointEvery < minCheckpointEvery:
		return out, fmt.Errorf("filestore: Options.CheckpointEvery is %v; it must be at least %v",
			out.CheckpointEvery, minCheckpointEvery)
	}
	return out, nil
}

// segmentLimit is the largest size of each log file.
func (o *Options) segmentLimit() int64 { return o.LogSize / 2 }

// entryLimit is the largest size of one change in the log. Two of them always fit into a file.
func (o *Options) entryLimit() int { return int(o.segmentLimit() / 4) }

// groupLimit is the size of a group of changes from which on no further change is added.
func (o *Options) groupLimit() int { return min(1<<20, o.entryLimit()) }
