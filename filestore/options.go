package filestore

import (
	"fmt"
	"log/slog"
	"time"
)

// Options are what Open may be told. A zero field, or nil Options, means the default.
type Options struct {
	// Wipe removes the sessions that a former run has left: the store starts empty. Default: they are kept.
	Wipe bool

	// LockWait is how long Open waits for another process to let go of the store, as one does that is being replaced by this one. Default 0: it fails at once.
	LockWait time.Duration

	// SyncEvery is how long a change that was acknowledged may wait until it is synced to the disk. 0: no change is
	// acknowledged before it is synced, so that none is lost, whatever happens. A duration makes changes faster where syncing
	// is slow, and loses up to that much of them when the machine crashes or loses power; when only the process dies,
	// nothing is lost either way.
	SyncEvery time.Duration

	// LogSize is the most that the log may take on disk, in bytes: both of its files together. When that much has been
	// changed and isn't in the database yet, changes wait. A large log makes a busy store faster, and a crash longer to recover
	// from; the changes in it are in memory, too. Default 128 MiB, at least 1 MiB, at most 8 GiB.
	LogSize int64

	// CheckpointEvery is how long a change may be in the log only, before it is brought into the database. It changes
	// nothing of what survives a crash. Default 10 s, at least 100 ms.
	CheckpointEvery time.Duration

	// Logger is told what an operator should know: that a crash was recovered from, that the store has failed. Never an ID or
	// anything personal. Default: nobody is.
	Logger *slog.Logger

	// Progress is called during what takes long (recovery, Optimize, Backup), from the goroutine that does it, every 100 ms or less often.
	Progress func(Progress)
}

// Progress says how far long work has come.
type Progress struct {
	Doing string // "recovering", "compacting", "checking", …
	Done  int64  // of Total, in sessions or bytes
	Total int64  // 0: not known
}

const (
	defaultLogSize         = 128 << 20
	minLogSize             = 1 << 20
	maxLogSize             = 8 << 30
	defaultCheckpointEvery = 10 * time.Second
	minCheckpointEvery     = 100 * time.Millisecond
)

// withDefaults returns the options with every default in its place.
func (o *Options) withDefaults() (Options, error) {
	var out Options
	if o != nil {
		out = *o
	}
	if out.LogSize == 0 {
		out.LogSize = defaultLogSize
	}
	if out.CheckpointEvery == 0 {
		out.CheckpointEvery = defaultCheckpointEvery
	}
	if out.Logger == nil {
		out.Logger = slog.New(slog.DiscardHandler)
	}
	if out.Progress == nil {
		out.Progress = func(Progress) {}
	}
	switch {
	case out.LockWait < 0:
		return out, fmt.Errorf("filestore: Options.LockWait is %v; it can't be negative", out.LockWait)
	case out.SyncEvery < 0:
		return out, fmt.Errorf("filestore: Options.SyncEvery is %v; it can't be negative", out.SyncEvery)
	case out.LogSize < minLogSize || out.LogSize > maxLogSize:
		return out, fmt.Errorf("filestore: Options.LogSize is %d; it must be from %d to %d bytes", out.LogSize, minLogSize, int64(maxLogSize))
	case out.CheckpointEvery < minCheckpointEvery:
		return out, fmt.Errorf("filestore: Options.CheckpointEvery is %v; it must be at least %v", out.CheckpointEvery, minCheckpointEvery)
	}
	return out, nil
}
