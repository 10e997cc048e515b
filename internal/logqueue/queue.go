package logqueue

import (
	"sync"
	"time"
)

// Capacity is how many lines may wait for a slow handler.
const Capacity = 1024

// Config is what a Queue needs. Every field is set.
type Config struct {
	Go       func(write func()) // runs write in a goroutine
	Dropped  func(lines int)    // logs that lines were dropped; it is called between two lines
	Panicked func()             // is called if a line has panicked, which can't be logged
}

// Queue holds lines that wait to be written. It is safe for concurrent use.
type Queue struct {
	cfg Config

	mu      sync.Mutex
	lines   []func()
	busy    bool // a goroutine writes
	dropped int
}

// New returns an empty Queue.
func New(cfg Config) *Queue { return &Queue{cfg: cfg} }

// Add has a line written soon. It doesn't wait. It returns false if the line is dropped.
func (q *Queue) Add(line func()) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.lines) >= Capacity {
		q.dropped++
		return false
	}
	q.lines = append(q.lines, line)
	if !q.busy {
		q.busy = true
		q.cfg.Go(q.write)
	}
	return true
}

// AddAndWait is Add for a line that is to be in the log before the caller goes on. It waits no
// longer than patience.
func (q *Queue) AddAndWait(line func(), patience time.Duration) {
	written := make(chan struct{})
	if !q.Add(func() { defer close(written); line() }) {
		return
	}
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case <-written:
	case <-timer.C:
	}
}

// write writes all lines.
func (q *Queue) write() {
	for lines := q.take(); lines != nil; lines = q.take() {
		for _, line := range lines {
			q.protect(line)
			if n := q.takeDropped(); n > 0 {
				q.protect(func() { q.cfg.Dropped(n) })
			}
		}
	}
}

func (q *Queue) protect(line func()) {
	defer func() {
		if recover() != nil {
			q.cfg.Panicked()
		}
	}()
	line()
}

// take returns the lines that wait. If there are none it returns nil, and the writer ends.
func (q *Queue) take() []func() {
	q.mu.Lock()
	defer q.mu.Unlock()
	lines := q.lines
	q.lines = nil
	q.busy = len(lines) > 0
	return lines
}

// takeDropped returns how many lines have been dropped since the last call.
func (q *Queue) takeDropped() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	n := q.dropped
	q.dropped = 0
	return n
}
