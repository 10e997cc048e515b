package storetest_test

import (
	"context"
	"errors"
	"iter"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/store"
	"github.com/sessionbridge/sessionbridge/store/storetest"
)

// brokenStore names the broken store that a subprocess runs the suite against.
const brokenStore = "STORETEST_BROKEN"

// broken are stores that each break one promise. The suite must fail in the named case and print
// the sentence.
var broken = map[string]struct {
	make     func() store.Store
	fails    string
	sentence string
}{
	"resurrects": {
		func() store.Store { return resurrecting{newMinimal()} },
		"Store/update_after_destroy", "an ended session can't be brought back",
	},
	"ignores revisions": {
		func() store.Store { return ignoringRevisions{newMinimal()} },
		"Store/update_of_a_stale_revision", "Set returns ErrConflict if another revision is stored",
	},
	"overwrites at create": {
		func() store.Store { return ignoringRevisions{newMinimal()} },
		"Store/create_existing", "Set returns ErrConflict if another revision is stored, or if the record to be created exists",
	},
	"aliases": {
		func() store.Store { return aliasing{newMinimal()} },
		"Store/aliasing", "a caller's later changes to a Record or its Data affect neither the stored record nor other callers",
	},
	"ignores the context": {
		func() store.Store { return deaf{newMinimal()} },
		"Store/context_that_ended", "When a context ends, the error matches its cause",
	},
	"checks before it locks": {
		func() store.Store { return racing{newMinimal()} },
		"Concurrency/writers_on_one_revision", "of several writers that name one revision, one succeeds",
	},
	"lists destroyed records": {
		func() store.Store { return &remembering{minimal: newMinimal()} },
		"Lister/nothing", "Yields every record that exists; of an empty store, none.",
	},
	"finds users by prefix": {
		func() store.Store { return prefixing{newMinimal()} },
		"UserIndex/hostile_values", "Yields the records with the value, and no others, for any value",
	},
	"lists expired records as active": {
		func() store.Store { return timeless{newMinimal()} },
		"ActiveLister/expired_records", "ListActive yields no record that has expired at now.",
	},
}

func TestSuiteCatchesBrokenStores(t *testing.T) {
	if name := os.Getenv(brokenStore); name != "" {
		storetest.Run(t, func(*testing.T) store.Store { return broken[name].make() })
		return
	}
	for name, b := range broken {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			group, _, _ := strings.Cut(b.fails, "/")
			cmd := exec.CommandContext(ctx, os.Args[0], "-test.run=^TestSuiteCatchesBrokenStores$/^"+group+"$") //nolint:gosec // this very binary
			cmd.Env = append(os.Environ(), brokenStore+"="+name)
			out, err := cmd.CombinedOutput()
			var exit *exec.ExitError
			require.ErrorAs(t, err, &exit, "the suite must fail:\n%s", out)
			require.Contains(t, string(out), "--- FAIL: TestSuiteCatchesBrokenStores/"+b.fails)
			require.Contains(t, string(out), b.sentence)
		})
	}
}

// resurrecting stores an update of a missing record, as a store does whose only write operation is
// "put".
type resurrecting struct{ *minimal }

func (s resurrecting) Set(ctx context.Context, rec store.Record) (uint64, error) {
	revision, err := s.minimal.Set(ctx, rec)
	if errors.Is(err, store.ErrNotFound) {
		rec.Revision = 0
		return s.minimal.Set(ctx, rec)
	}
	return revision, err
}

// ignoringRevisions ignores the expected revision, so that the last writer wins.
type ignoringRevisions struct{ *minimal }

func (s ignoringRevisions) Set(ctx context.Context, rec store.Record) (uint64, error) {
	for {
		revision, err := s.minimal.Set(ctx, rec)
		if !errors.Is(err, store.ErrConflict) {
			return revision, err
		}
		stored, err := s.Get(ctx, rec.ID)
		if err != nil {
			return 0, err
		}
		rec.Revision = stored.Revision
	}
}

// aliasing returns its own memory.
type aliasing struct{ *minimal }

func (s aliasing) Get(ctx context.Context, id string) (store.Record, error) {
	if _, err := s.minimal.Get(ctx, id); err != nil {
		return store.Record{}, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.records[id], nil
}

// deaf ignores its context.
type deaf struct{ *minimal }

func (s deaf) Get(_ context.Context, id string) (store.Record, error) {
	return s.minimal.Get(context.Background(), id)
}

// racing compares and sets, but not atomically.
type racing struct{ *minimal }

func (s racing) Set(ctx context.Context, rec store.Record) (uint64, error) {
	stored, err := s.Get(ctx, rec.ID)
	for range 20 {
		runtime.Gosched() // makes the race occur every time
	}
	switch {
	case err == nil && stored.Revision != rec.Revision:
		return 0, store.ErrConflict
	case err == nil:
		return ignoringRevisions(s).Set(ctx, rec)
	}
	return s.minimal.Set(ctx, rec)
}

// remembering lists records that were destroyed.
type remembering struct {
	*minimal
	all []store.Record
}

func (s *remembering) Set(ctx context.Context, rec store.Record) (uint64, error) {
	revision, err := s.minimal.Set(ctx, rec)
	if err == nil && rec.Revision == 0 {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.all = append(s.all, rec.Clone())
	}
	return revision, err
}

func (s *remembering) List(context.Context) iter.Seq2[store.Record, error] {
	return func(yield func(store.Record, error) bool) {
		s.mu.Lock()
		all := slices.Clone(s.all)
		s.mu.Unlock()
		for _, rec := range all {
			if !yield(rec.Clone(), nil) {
				return
			}
		}
	}
}

// sorted returns the records, the last seen first.
func (s *minimal) sorted() (all []store.Record) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, rec := range s.records {
		all = append(all, rec.Clone())
	}
	slices.SortFunc(all, func(a, b store.Record) int { return b.Seen.Compare(a.Seen) })
	return all
}

// prefixing is an index whose keys have no separator after the user.
type prefixing struct{ *minimal }

func (s prefixing) ByUser(_ context.Context, userID string) iter.Seq2[store.Record, error] {
	return func(yield func(store.Record, error) bool) {
		for _, rec := range s.sorted() {
			if strings.HasPrefix(rec.UserID, userID) && !yield(rec, nil) {
				return
			}
		}
	}
}

// timeless treats every record as alive.
type timeless struct{ *minimal }

func (s timeless) ListActive(_ context.Context, since, _ time.Time) iter.Seq2[store.Active, error] {
	return func(yield func(store.Active, error) bool) {
		for _, rec := range s.sorted() {
			if !rec.Seen.Before(since) && !yield(store.Active{ID: rec.ID, UserID: rec.UserID}, nil) {
				return
			}
		}
	}
}
