package redisstore

import (
	"context"
	"iter"
	"slices"

	"github.com/sessionbridge/sessionbridge/store"
)

// List implements store.Lister. It remembers the IDs of the shard that it is in.
func (s *Store) List(ctx context.Context) iter.Seq2[store.Record, error] {
	const doing = "list"
	return func(yield func(store.Record, error) bool) {
		for i := range s.prefixes {
			w := s.walk(s.prefixes[i:i+1], 0)
			for {
				entries, err := w.more(ctx, doing)
				if err == nil && len(entries) == 0 {
					break
				}
				if err != nil {
					yield(store.Record{}, err)
					return
				}
				for some := range slices.Chunk(entries, piece) {
					recs, err := s.read(ctx, doing, some)
					if err != nil {
						yield(store.Record{}, err)
						return
					}
					for _, rec := range recs {
						if !yield(rec, nil) {
							return
						}
					}
				}
			}
		}
	}
}
