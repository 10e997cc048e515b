package terms

import (
	"context"
	"crypto/rand"
	"encoding/base32"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sessionbridge/sessionbridge/internal/background"
	"github.com/sessionbridge/sessionbridge/store"
)

// Config is what a Life needs: T is the store's part of a term, I what a node holds. All fields are
// required.
type Config[T, I any] struct {
	Store      string                                        // the store's package, for the texts of errors
	Background *background.Group                             // runs the terms; its end is that of the node's life
	Ready      func(ctx context.Context, doing string) error // an error if the store is closed, or ctx has ended
	OnChange   func(store.Change)                            // is called for each change, one at a time
	Open       func(*Term) T                                 // makes the store's part of a term
	Run        func(T)                                       // runs a term until it is over
	Requests   func(T, I) chan<- *Request[I]                 // where a term takes requests about an item
}

// Term is the part of a node's life under one name.
type Term struct {
	Name string
	Ctx  context.Context    // ends with the term
	End  context.CancelFunc // ends it
}

// Life is the life of a node. New makes one, Begin begins it. It is safe for concurrent use.
type Life[T, I any] struct {
	cfg     Config[T, I]
	changes changes
	ctx     context.Context
	cancel  context.CancelFunc
	ended   chan struct{} // closed when the last term is over
	now     atomic.Pointer[current[T]]

	mu      sync.Mutex
	started chan struct{} // closed and replaced when a term begins
	failure error         // of the last attempt to join
	recent  []string      // names under which the last terms have joined
}

// current is the current term.
type current[T any] struct {
	*Term
	of T
}

// ErrOver means that the server no longer knows the node, which must join again.
var ErrOver = errors.New("terms: the node has to join again")

// New returns a Life that has not begun.
func New[T, I any](cfg Config[T, I]) *Life[T, I] {
	l := &Life[T, I]{
		cfg: cfg, changes: changes{onChange: cfg.OnChange},
		ended: make(chan struct{}), started: make(chan struct{}),
	}
	l.ctx, l.cancel = context.WithCancel(cfg.Background.Context())
	return l
}

// Begin begins the first term.
func (l *Life[T, I]) Begin() {
	if !l.cfg.Background.Go(l.run) {
		l.cancel()
		close(l.ended)
	}
}

// run runs one term after the other.
func (l *Life[T, I]) run() {
	defer close(l.ended)
	backoff := background.Backoff{}
	for {
		t := &Term{Name: NewName()}
		t.Ctx, t.End = context.WithCancel(l.ctx)
		of := l.cfg.Open(t)
		began := time.Now()
		l.publish(&current[T]{t, of})
		l.cfg.Run(of)
		t.End()
		backoff.Worked(began)
		if !backoff.Wait(l.ctx) {
			return
		}
	}
}

// NameSize is the length of a name.
const NameSize = 8

// NewName returns a random name.
func NewName() string {
	var b [NameSize * 5 / 8]byte
	_, _ = rand.Read(b[:]) // never fails
	return strings.ToLower(base32.StdEncoding.EncodeToString(b[:]))
}

// publish makes t the current term.
func (l *Life[T, I]) publish(t *current[T]) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.now.Store(t)
	close(l.started)
	l.started = make(chan struct{})
}

// namesKept is how many names UsedNames returns besides the current one. Of earlier ones the leases
// have expired.
const namesKept = 4

// Joined records the result of an attempt to join under a name.
func (l *Life[T, I]) Joined(name string, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.failure = err
	if err != nil || slices.Contains(l.recent, name) {
		return
	}
	if len(l.recent) == namesKept {
		l.recent = slices.Delete(l.recent, 0, 1)
	}
	l.recent = append(l.recent, name)
}

// UsedNames returns the names that the server may still know. Under the current one the reply to the
// request to join may be lost.
func (l *Life[T, I]) UsedNames() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	names := slices.Clone(l.recent)
	if t := l.now.Load(); t != nil && !slices.Contains(names, t.Name) {
		names = append(names, t.Name)
	}
	return names
}

// Name returns the name in the current term, "" before the first.
func (l *Life[T, I]) Name() string {
	if t := l.now.Load(); t != nil {
		return t.Name
	}
	return ""
}

// Current returns the current term, and waits for one until ctx ends. The node may not have joined
// yet.
func (l *Life[T, I]) Current(ctx context.Context, doing string) (of T, err error) {
	t, err := l.current(ctx, doing)
	if err != nil {
		return of, err
	}
	return t.of, nil
}

func (l *Life[T, I]) current(ctx context.Context, doing string) (*current[T], error) {
	if err := l.cfg.Ready(ctx, doing); err != nil {
		return nil, err
	}
	for {
		l.mu.Lock()
		started := l.started
		l.mu.Unlock()
		if l.ctx.Err() != nil {
			return nil, store.ErrClosed
		}
		if t := l.now.Load(); t != nil && t.Ctx.Err() == nil {
			return t, nil
		}
		select {
		case <-started:
		case <-l.ctx.Done():
		case <-ctx.Done():
			return nil, l.notJoined(ctx, doing)
		}
	}
}

// notJoined returns the error of a call whose context has ended while it waited for the node to join.
func (l *Life[T, I]) notJoined(ctx context.Context, doing string) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.failure != nil {
		return fmt.Errorf("%s: %s: %w; the node hasn't joined the others: %w",
			l.cfg.Store, doing, context.Cause(ctx), l.failure)
	}
	return fmt.Errorf("%s: %s: %w", l.cfg.Store, doing, context.Cause(ctx))
}

// Stop ends the node's life without telling the server: other nodes find out when the lease has
// expired, as if the process had ended. If ctx ends before the last term is over, Stop returns an
// error. No change is reported afterwards in either case.
func (l *Life[T, I]) Stop(ctx context.Context, doing string) error {
	l.changes.stop()
	l.cancel()
	select {
	case <-l.ended:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("%s: %s: %w", l.cfg.Store, doing, context.Cause(ctx))
	}
}

// Report reports a change. It returns when OnChange has.
func (l *Life[T, I]) Report(c store.Change) { l.changes.report(c) }

// changes reports changes, one at a time.
type changes struct {
	mu       sync.Mutex
	stopped  bool
	onChange func(store.Change)
}

func (n *changes) report(c store.Change) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if !n.stopped {
		n.onChange(c)
	}
}

// stop returns when no change is being reported. No change is reported afterwards.
func (n *changes) stop() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.stopped = true
}
