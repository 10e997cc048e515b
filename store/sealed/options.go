package sealed

import (
	"crypto/rand"
	"errors"
	"hash/maphash"
	"io"
	"log/slog"
	"sync"

	"github.com/sessionbridge/sessionbridge/store"
)

// Options are the settings of a Store. The zero value is valid.
type Options struct {
	// App is the name of the App that the inner store is, if it comes from store.Namespacer.App; ""
	// otherwise. The records of one App can't be opened in another. A Store for an App that comes
	// from the App method of a Store has the name already.
	App string

	// ReadPlain also opens records that aren't sealed, and finds them by user and client: for the
	// time of a migration. The next write, or Rewrap, seals them. While it is set, a program that can
	// write to the inner store can replace a sealed record by one of its own. False: a record that
	// isn't sealed is unopenable.
	ReadPlain bool

	// OnUnopenable is called with records that can't be opened, each once, in the goroutine of the
	// call that has found them. It may call the store. Nil: the Logger receives their number, but
	// not their IDs.
	OnUnopenable func(Unopenable)
	// Logger is used without OnUnopenable. Nil: slog.Default().
	Logger *slog.Logger
}

// core is what the stores of all applications have in common.
type core struct {
	keys      []*key // the first seals
	readPlain bool
	rand      io.Reader
	buffers   sync.Pool // of *buffers
	confirmed confirmed
	known     knownNames
	users     userCache
	reports   reporter
}

// Store seals the records of another store. It is safe for concurrent use.
type Store struct {
	*core
	inner store.Store
	app   string
}

// New returns a store that keeps its records in inner, sealed. The first key seals, all of them
// open; each has at least MinKeyBytes random bytes. There is no default key: without keys, New
// returns an error. Nil options are the zero Options. The one who has opened inner closes it.
func New(inner store.Store, keys [][]byte, opts *Options) (*Store, error) {
	if inner == nil {
		return nil, errors.New("sealed: no inner store")
	}
	if opts == nil {
		opts = &Options{}
	}
	derived, err := newKeys(keys)
	if err != nil {
		return nil, err
	}
	c := &core{keys: derived, readPlain: opts.ReadPlain, rand: rand.Reader}
	c.confirmed.seed, c.known.seed = maphash.MakeSeed(), maphash.MakeSeed()
	c.reports.tell = opts.OnUnopenable
	c.reports.log = opts.Logger
	if c.reports.log == nil {
		c.reports.log = slog.Default()
	}
	return &Store{core: c, inner: inner, app: opts.App}, nil
}
