package filestore

import "slices"

// An orphan is a page that isn't free and that nothing leads to: what led to it is damaged. But if the list of free pages is wrong,
// too, without that being seen, it is a page that was freed, and the sessions on it may have been destroyed. So each of them must be in the
// index by activity, which destroyed ones aren't. If that is damaged as well, they are kept, with a warning.

// takeOrphans keeps the sessions of orphans.
func (s *salvage) takeOrphans(w *treeWalk, buckets []foundBucket) {
	w.report = func(int64, string) {} // what is on them has been missed already
	proven := make(map[logKey]bool)   // by the app and the key in the index
	trial := *w
	trial.taken = slices.Clone(w.taken)
	s.orphans(&trial, func(app string, e element, v value) {
		proven[logKey{app, string(seenKey(nil, granuleOf(v.seen()), e.key))}] = false
	})
	whole := make(map[string]bool) // the apps whose index can be relied on
	again := s.file.walk(w.report, w.tick)
	for _, b := range buckets {
		if b.name[0] != seenBucket || !b.whole {
			continue
		}
		app := b.name[1:]
		whole[app] = true
		again.bucket(b.root, func(e element) {
			k := logKey{app, string(e.key)}
			if _, ok := proven[k]; ok {
				proven[k] = true
			}
		})
	}
	s.orphans(w, func(app string, e element, v value) {
		switch {
		case proven[logKey{app, string(seenKey(nil, granuleOf(v.seen()), e.key))}]:
			s.keep(app, e.key, v)
		case !whole[app]:
			s.unproven++
			s.keep(app, e.key, v)
		}
	})
}

// orphans calls visit for each session on a leaf that nothing has led to.
func (s *salvage) orphans(w *treeWalk, visit func(app string, e element, v value)) {
	look := func(name string, e element) {
		if v, app, wrong := s.identify(name, e); wrong == "" {
			visit(app, e, v)
		}
	}
	for id := range w.pages {
		if w.taken.has(id) || w.free.has(id) {
			continue
		}
		p, ok := w.read(id, 0)
		if !ok || !p.leaf {
			continue
		}
		w.leaf(&p, limits{}, func(e element) {
			root, ok := rootOf(e)
			if !e.bucket || !ok || root.inline == nil {
				look("", e)
				return
			}
			s.learnName(e)
			w.bucket(root, func(inner element) { look(string(e.key[1:]), inner) })
		})
	}
}
