package redisstore

import (
	"context"
	"iter"
	"slices"

	"github.com/sessionbridge/sessionbridge/store"
)

// List implements store.Lister. Its memory is proportional to the number of sessions in a shard.
func (s *Store) List(ctx context.Context) iter.Seq2[store.Record, error] {
	const doing = "list"
	return func(yield func(store.Record, error) bool) {
		for i := range s.prefixes {
			w := s.walk(s.prefixes[i:i+1], 0)
			for {
				entries, err := w.next(ctx, doing)
				if err == nil && len(entries) == 0 {
					break
				}
				if err != nil {
					yield(store.Record{}, err)
					return
				}
				for part := range slices.Chunk(entries, batch) {
					recs, err := s.read(ctx, doing, part)
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
