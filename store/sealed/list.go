package sealed

import (
	"context"
	"errors"
	"iter"
	"slices"
	"time"

	"github.com/sessionbridge/sessionbridge/store"
)

// records is an iteration over records.
type records = iter.Seq2[store.Record, error]

// The capabilities that yield records. Each is a Store as well.
type (
	lister struct {
		*Store
		of store.Lister
	}
	userIndex struct {
		*Store
		of store.UserIndex
	}
	clientIndex struct {
		*Store
		of store.ClientIndex
	}
	activityIndex struct {
		*Store
		of store.ActivityIndex
	}
)

func (s lister) List(ctx context.Context) records { return s.eachOpened(s.of.List(ctx), anyRecord) }

func (s activityIndex) ActiveSince(ctx context.Context, since time.Time) records {
	return s.eachOpened(s.of.ActiveSince(ctx, since), anyRecord)
}

func (s userIndex) ByUser(ctx context.Context, userID string) records {
	return s.owned(
		ctx,
		s.userNames(userID),
		func(name string) records { return s.of.ByUser(ctx, name) },
		func(rec *store.Record) bool { return rec.UserID == userID },
	)
}

func (s clientIndex) ByClient(ctx context.Context, clientID string) records {
	return s.owned(
		ctx,
		s.clientNames(clientID),
		func(name string) records { return s.of.ByClient(ctx, name) },
		func(rec *store.Record) bool { return rec.ClientID == clientID },
	)
}

func anyRecord(*store.Record) bool { return true }

// eachOpened yields the records that can be opened and that keep accepts, and reports the others.
func (s *Store) eachOpened(all records, keep func(*store.Record) bool) records {
	return func(yield func(store.Record, error) bool) {
		found := s.reports.begin(s.app)
		defer found.end()
		for rec, err := range all {
			if err != nil {
				yield(store.Record{}, err)
				return
			}
			if s.openListed(&rec, found) == nil && keep(&rec) && !yield(rec, nil) {
				return
			}
		}
	}
}

// owned yields the records of an owner, who may have records under several names, the last seen
// first. A record may move from another name to the first one meanwhile, at a write or by Rewrap: so
// the others are found before, and each of those is read when its turn comes.
func (s *Store) owned(
	ctx context.Context, names []string, by func(name string) records, is func(*store.Record) bool,
) records {
	first := s.eachOpened(by(names[0]), is)
	if len(names) == 1 {
		return first
	}
	return func(yield func(store.Record, error) bool) {
		others, err := s.find(names[1:], by, is)
		if err != nil {
			yield(store.Record{}, err)
			return
		}
		had := make(map[string]bool, len(others))
		for _, at := range others {
			had[at.id] = true
		}
		yieldOthers := func(after time.Time) bool { // those that were seen after
			for ; len(others) > 0 && others[0].seen.After(after); others = others[1:] {
				rec, found, err := s.findAgain(ctx, others[0].id, is)
				if err != nil {
					yield(store.Record{}, err)
					return false
				}
				if found && !yield(rec, nil) {
					return false
				}
			}
			return true
		}
		for rec, err := range first {
			if err != nil {
				yield(store.Record{}, err)
				return
			}
			if !yieldOthers(rec.Seen) || !had[rec.ID] && !yield(rec, nil) {
				return
			}
		}
		yieldOthers(time.Time{}.Add(-1))
	}
}

// sighting is a record that a listing has found.
type sighting struct {
	id   string
	seen time.Time
}

// find returns the records under the names, the last seen first.
func (s *Store) find(
	names []string, by func(name string) records, is func(*store.Record) bool,
) (all []sighting, err error) {
	for _, name := range names {
		for rec, err := range s.eachOpened(by(name), is) {
			if err != nil {
				return nil, err
			}
			all = append(all, sighting{rec.ID, rec.Seen})
		}
	}
	slices.SortStableFunc(all, func(a, b sighting) int { return b.seen.Compare(a.seen) })
	ids := make(map[string]bool, len(all))
	return slices.DeleteFunc(all, func(at sighting) bool { // one that has moved from name to name
		had := ids[at.id]
		ids[at.id] = true
		return had
	}), nil
}

// findAgain reads a record that was found, and reports whether it is still what was looked for.
func (s *Store) findAgain(ctx context.Context, id string, is func(*store.Record) bool) (store.Record, bool, error) {
	rec, err := s.Get(ctx, id)
	switch {
	case errors.Is(err, store.ErrNotFound), errors.Is(err, ErrUnopenable):
		return store.Record{}, false, nil
	case err != nil:
		return store.Record{}, false, err
	}
	return rec, is(&rec), nil
}
