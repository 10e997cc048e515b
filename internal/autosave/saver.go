package autosave

import (
	"context"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sessionbridge/sessionbridge/internal/clock"
	"github.com/sessionbridge/sessionbridge/internal/ctxlock"
	"github.com/sessionbridge/sessionbridge/internal/workers"
)

// Config has the function that saves, and its times.
type Config struct {
	Clock *clock.Clock
	Pool  *workers.Pool // runs the saves
	Every time.Duration // between two planned saves; 0: none is planned

	// Save stores the changes. The turn is held. A planned save also takes over changes that others
	// have stored. It returns false if no further save need be planned.
	Save func(planned bool) (goOn bool)
}

// Saver plans and runs the saves of one thing.
type Saver struct {
	cfg  Config
	turn ctxlock.Lock
	due  atomic.Bool // a save has found the turn taken
	soon atomic.Bool // a save waits for its worker

	mu     sync.Mutex
	next   clock.Deadline
	closed bool
}

// New returns a Saver that has planned nothing yet.
func New(cfg Config) *Saver {
	s := &Saver{cfg: cfg}
	s.next.Do = func() { s.cfg.Pool.Go(func() { s.save(true) }) }
	return s
}

// Start plans the first save at a random time in the second half of the interval, so that things
// that were opened together are not stored together.
func (s *Saver) Start() { s.plan(s.cfg.Every/2 + rand.N(s.cfg.Every/2+1)) }

func (s *Saver) plan(after time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.cfg.Every > 0 && !s.closed {
		s.cfg.Clock.Move(&s.next, time.Now().Add(after))
	}
}

// Lock waits for the turn. If ctx ends first, it returns the cause.
func (s *Saver) Lock(ctx context.Context) error { return s.turn.Lock(ctx) }

// Unlock gives the turn back. If a save has found it taken, that save follows.
func (s *Saver) Unlock() {
	s.turn.Unlock()
	if s.due.Swap(false) {
		s.Soon()
	}
}

// Soon has the changes stored soon. It doesn't wait.
func (s *Saver) Soon() {
	if s.soon.CompareAndSwap(false, true) {
		s.cfg.Pool.Go(func() {
			s.soon.Store(false) // a later call of Soon may need another save
			s.save(false)
		})
	}
}

func (s *Saver) save(planned bool) {
	goOn := true
	if planned {
		defer func() {
			if goOn {
				s.plan(s.cfg.Every)
			}
		}()
	}
	if !s.turn.TryLock() {
		s.due.Store(true)
		if !s.turn.TryLock() { // its holder will find that a save is due
			return
		}
		s.due.Store(false)
	}
	defer s.Unlock()
	goOn = s.cfg.Save(planned)
}

// Close ends the planned saves, and waits for the turn, for the timeout at most. The caller does
// the last save and then calls unlock, whether or not the turn was free.
func (s *Saver) Close(timeout time.Duration) (unlock func()) {
	s.mu.Lock()
	s.closed = true
	s.cfg.Clock.Remove(&s.next)
	s.mu.Unlock()
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	if s.Lock(ctx) != nil {
		return func() {}
	}
	return s.Unlock
}

// firstPause is how long Retry waits at first; each further pause is twice as long.
const firstPause = 20 * time.Millisecond

// Retry calls save until it returns nil or an error that isn't temporary, for the timeout at most.
func Retry(timeout time.Duration, save func() error, temporary func(error) bool) error {
	until := time.Now().Add(timeout)
	err := save()
	for pause := firstPause; temporary(err) && time.Until(until) > pause; pause *= 2 {
		time.Sleep(pause)
		err = save()
	}
	return err
}
