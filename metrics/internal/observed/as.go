package observed

import (
	"io"

	"github.com/sessionbridge/sessionbridge/store"
)

// As is for store.As: it stores the capability in target, a pointer to an interface of package
// store or io.Closer, if the inner store has it.
func (s *Store) As(target any) bool {
	switch t := target.(type) {
	case *store.Lister:
		return as(s, t, func(of store.Lister) store.Lister { return lister{s, of} })
	case *store.Toucher:
		return as(s, t, func(of store.Toucher) store.Toucher { return toucher{s, of} })
	case *store.Sweeper:
		return as(s, t, func(of store.Sweeper) store.Sweeper { return sweeper{s, of} })
	case *store.UserIndex:
		return as(s, t, func(of store.UserIndex) store.UserIndex { return userIndex{s, of} })
	case *store.ClientIndex:
		return as(s, t, func(of store.ClientIndex) store.ClientIndex { return clientIndex{s, of} })
	case *store.ClientOrder:
		return as(s, t, func(of store.ClientOrder) store.ClientOrder { return clientOrder{s, of} })
	case *store.ActivityIndex:
		return as(s, t, func(of store.ActivityIndex) store.ActivityIndex { return activityIndex{s, of} })
	case *store.ActiveLister:
		return as(s, t, func(of store.ActiveLister) store.ActiveLister { return activeLister{s, of} })
	case *store.Optimizer:
		return as(s, t, func(of store.Optimizer) store.Optimizer { return optimizer{s, of} })
	case *store.Pinger:
		return as(s, t, func(of store.Pinger) store.Pinger { return pinger{s, of} })
	case *store.Namespacer:
		return as(s, t, func(of store.Namespacer) store.Namespacer { return namespacer{s, of} })
	case *store.Watcher:
		return as(s, t, func(of store.Watcher) store.Watcher { return watcher{s, of} })
	case *store.Ender:
		return as(s, t, func(of store.Ender) store.Ender { return ender{s, of} })
	case *store.UserLocker:
		return as(s, t, func(of store.UserLocker) store.UserLocker { return userLocker{s, of} })
	case *store.Reserver:
		return as(s, t, func(of store.Reserver) store.Reserver { return reserver{s, of} })
	case *store.CachedGetter:
		return as(s, t, func(of store.CachedGetter) store.CachedGetter { return cachedGetter{s, of} })
	case *store.Keeper:
		return as(s, t, func(of store.Keeper) store.Keeper { return keeper{s, of} })
	case *io.Closer: // once, at the end of the process
		return as(s, t, func(of io.Closer) io.Closer { return struct{ io.Closer }{of} })
	}
	return false
}

// as sets target to what around returns if the inner store has the capability.
func as[C any](s *Store, target *C, around func(of C) C) bool {
	of, ok := store.As[C](s.inner)
	if ok {
		*target = around(of)
	}
	return ok
}
