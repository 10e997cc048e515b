package pgstore

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/sessionbridge/sessionbridge/internal/background"
	"github.com/sessionbridge/sessionbridge/pgstore/internal/batch"
	"github.com/sessionbridge/sessionbridge/pgstore/internal/codec"
	"github.com/sessionbridge/sessionbridge/pgstore/internal/conn"
	"github.com/sessionbridge/sessionbridge/pgstore/internal/membership"
	"github.com/sessionbridge/sessionbridge/store"
)

// Store is a store in PostgreSQL, or one of its Apps. It has every optional capability of package
// store except CachedGetter, and is safe for concurrent use, by several processes too.
type Store struct {
	backend *backend
	app     string

	member *membership.Member // of the node that this is the view of, nil without one
}

// backend is what a store and its Apps share.
type backend struct {
	*conn.Conn
	statements *statements
	background *background.Group
	waker      *membership.Waker
	schema     string
	listen     *pgx.ConnConfig // of the nodes' connections for notifications; nil: that of the pool

	gets    *batch.Queue[getArgs, store.Record]
	sets    *batch.Queue[setArgs, uint64]
	touches *batch.Queue[touchArgs, struct{}]

	ownsPool bool // Close closes the pool
}

func (b *backend) store(app string) *Store { return &Store{backend: b, app: app} }

var (
	_ store.Store         = (*Store)(nil)
	_ store.Lister        = (*Store)(nil)
	_ store.Toucher       = (*Store)(nil)
	_ store.Sweeper       = (*Store)(nil)
	_ store.UserIndex     = (*Store)(nil)
	_ store.ClientIndex   = (*Store)(nil)
	_ store.ClientOrder   = (*Store)(nil)
	_ store.ActivityIndex = (*Store)(nil)
	_ store.ActiveLister  = (*Store)(nil)
	_ store.Optimizer     = (*Store)(nil)
	_ store.Pinger        = (*Store)(nil)
	_ store.Namespacer    = (*Store)(nil)
	_ store.Watcher       = (*Store)(nil)
	_ store.Ender         = (*Store)(nil)
	_ store.UserLocker    = (*Store)(nil)
	_ store.Keeper        = (*Store)(nil)
)

// actor returns the name of the node that this is the view of, or "".
func (s *Store) actor() string {
	if s.member == nil {
		return ""
	}
	return s.member.Name()
}

// removed records that this node has removed a session, of which it isn't notified.
func (s *Store) removed(id string) {
	if s.member != nil {
		s.member.SessionEnded(id)
	}
}

// Get implements store.Store.
func (s *Store) Get(ctx context.Context, id string) (rec store.Record, err error) {
	const doing = "get"
	if err := s.backend.Ready(ctx, doing); err != nil {
		return store.Record{}, err
	}
	if !s.storable(id) {
		return store.Record{}, store.ErrNotFound
	}
	rec, err = s.backend.gets.Do(ctx, getArgs{s.app, id})
	return rec, waited(ctx, doing, err)
}

const conflict = -2 // the status of end_session, and of set_session, if another revision is stored

// Set implements store.Store. It returns ErrText if the ID, the user or the client is not UTF-8 or
// contains NUL.
func (s *Store) Set(ctx context.Context, rec store.Record) (uint64, error) {
	const doing = "set"
	if err := s.backend.Ready(ctx, doing); err != nil {
		return 0, err
	}
	for _, text := range []string{rec.ID, rec.UserID, rec.ClientID} {
		if !s.storable(text) {
			return 0, fmt.Errorf("%w: set: an ID, a user or a client must be UTF-8 without NUL", ErrText)
		}
	}
	revision, err := s.backend.sets.Do(ctx, setArgs{s.actor(), s.app, &rec})
	return revision, waited(ctx, doing, err)
}

// Touch implements store.Toucher. It doesn't wait until PostgreSQL has written the change to its
// disk: a crash of the server may lose the touches of less than the last second, and nothing else.
func (s *Store) Touch(ctx context.Context, id string, seen time.Time) error {
	const doing = "touch"
	if err := s.backend.Ready(ctx, doing); err != nil {
		return err
	}
	if !s.storable(id) {
		return store.ErrNotFound
	}
	_, err := s.backend.touches.Do(ctx, touchArgs{s.app, id, codec.Micros(seen)})
	return waited(ctx, doing, err)
}

// waited returns the error of a queue. The cause of the context's end is the error of an operation that
// has waited until then.
func waited(ctx context.Context, doing string, err error) error {
	if err != nil && ctx.Err() != nil && err == context.Cause(ctx) { //nolint:errorlint // not one that wraps it
		return fmt.Errorf("pgstore: %s: %w", doing, err)
	}
	return err
}

// Destroy implements store.Store.
func (s *Store) Destroy(ctx context.Context, id string) (bool, error) {
	return s.destroy(ctx, "destroy", id, "", 0)
}

// maxReason is the maximum length of a reason in bytes.
const maxReason = 64

// End implements store.Ender. A longer reason than 64 bytes is truncated.
func (s *Store) End(ctx context.Context, id, reason string, revision uint64) (bool, error) {
	reason = strings.ReplaceAll(reason[:min(len(reason), maxReason)], "\x00", "")
	return s.destroy(ctx, "end", id, strings.ToValidUTF8(reason, ""), revision)
}

func (s *Store) destroy(ctx context.Context, doing, id, reason string, revision uint64) (bool, error) {
	if err := s.backend.Ready(ctx, doing); err != nil || !s.storable(id) {
		return false, err
	}
	var status int64
	var told []string
	err := s.backend.Row(ctx, doing, []any{&status, &told}, s.backend.statements.end,
		s.actor(), s.app, id, revision, reason)
	if err == nil && status == conflict {
		err = store.ErrConflict
	}
	if err != nil {
		return false, err
	}
	if status == 1 {
		s.removed(id)
	}
	s.backend.waker.Wake(told)
	return status == 1, nil
}

// storable reports whether PostgreSQL can store the text in this App.
func (s *Store) storable(text string) bool { return codec.Text(text) && codec.Text(s.app) }
