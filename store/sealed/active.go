package sealed

import (
	"context"
	"errors"
	"iter"
	"sync"
	"time"

	"github.com/sessionbridge/sessionbridge/store"
)

type activeLister struct {
	*Store
	of store.ActiveLister
}

// ListActive implements store.ActiveLister. The inner store has only the name of a user: the first
// time that a name appears, one of its records is read. Otherwise no data is read, so that a record
// that can't be opened is skipped only if that is known.
func (s activeLister) ListActive(ctx context.Context, since, now time.Time) iter.Seq2[store.Active, error] {
	return func(yield func(store.Active, error) bool) {
		for active, err := range s.of.ListActive(ctx, since, now) {
			if err != nil {
				yield(store.Active{}, err)
				return
			}
			switch active.UserID, err = s.userOf(ctx, active); {
			case errors.Is(err, store.ErrNotFound), errors.Is(err, ErrUnopenable): // gone meanwhile, or reported
			case err != nil:
				yield(store.Active{}, err)
				return
			case !yield(active, nil):
				return
			}
		}
	}
}

// userOf returns the user of an element of the inner store's ListActive.
func (s activeLister) userOf(ctx context.Context, active store.Active) (string, error) {
	if s.reports.has(s.app, active.ID) {
		return "", ErrUnopenable
	}
	if active.UserID == "" {
		return "", nil
	}
	name := appName{s.app, active.UserID}
	if userID, ok := s.users.get(name); ok {
		return userID, nil
	}
	rec, err := s.inner.Get(ctx, active.ID)
	if err == nil {
		stored := rec.UserID
		if rec, err = s.got(active.ID, rec, nil); err == nil {
			s.users.put(appName{s.app, stored}, rec.UserID)
		}
	}
	return rec.UserID, err
}

// appName is the name of a user in an application.
type appName struct{ app, name string }

// userCache remembers the users behind names: at least the userCacheSize last ones, at most twice as
// many.
type userCache struct {
	mu          sync.Mutex
	recent, old map[appName]string
}

const userCacheSize = 1 << 15

func (c *userCache) get(name appName) (userID string, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if userID, ok = c.recent[name]; ok {
		return userID, true
	}
	if userID, ok = c.old[name]; ok {
		c.add(name, userID)
	}
	return userID, ok
}

func (c *userCache) put(name appName, userID string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.add(name, userID)
}

func (c *userCache) add(name appName, userID string) {
	if len(c.recent) >= userCacheSize || c.recent == nil {
		c.recent, c.old = make(map[appName]string), c.recent
	}
	c.recent[name] = userID
}
