package filestore

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"path/filepath"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	bolt "go.etcd.io/bbolt"

	"github.com/sessionbridge/sessionbridge/store"
)

// home is the database, where sessions are that haven't changed for some seconds.
type home struct {
	disk disk
	path string

	mu   sync.RWMutex // held while a transaction is open; exclusively to put another file in its place
	db   *bolt.DB     // nil: there is none
	lost error        // why there is none; nil: it was closed

	stuck atomic.Bool // a transaction has panicked, and may hold a lock for ever
}

// The buckets of a space are named by one of these letters and the app's name.
const (
	sessionsBucket = 's' // key → stored
	dueBucket      = 'x' // dueKey
	seenBucket     = 'a' // seenKey
	usersBucket    = 'u' // userKey
	clientsBucket  = 'c' // clientKey
)

// bucketNames are the names of a space's buckets.
type bucketNames struct{ sessions, due, seen, users, clients []byte }

func namesOf(app string) bucketNames {
	name := func(letter byte) []byte { return append([]byte{letter}, app...) }
	return bucketNames{name(sessionsBucket), name(dueBucket), name(seenBucket), name(usersBucket), name(clientsBucket)}
}

// stored is what the database has for a session: a checksum of the app's name, the key and what follows; how long before its
// expiry the index by expiry has it, as a varint; and its value. Of ten bytes saved here one page in seven is saved.
type stored []byte

const (
	storedSum  = 4                                 // the checksum
	storedHead = storedSum + binary.MaxVarintLen64 // the most that comes before the value
)

func makeStored(b []byte, app string, key []byte, due int64, v value) stored {
	at := len(b)
	b = append(b, 0, 0, 0, 0)
	b = binary.AppendUvarint(b, uint64(v.expiry())-uint64(due)) //nolint:gosec // not negative, but maybe too large for an int64
	b = append(b, v...)
	s := stored(b[at:])
	binary.LittleEndian.PutUint32(s, s.sum(app, key))
	return s
}

func (s stored) sum(app string, key []byte) uint32 {
	sum := uint32(0)
	if app != "" {
		sum = crc32.Checksum([]byte(app), castagnoli)
	}
	return crc32.Update(crc32.Update(sum, castagnoli, key), castagnoli, s[storedSum:])
}

// valid reports whether s is what was stored under the key. Without that, nothing else may be asked.
func (s stored) valid(app string, key []byte) bool {
	if len(s) < storedSum || binary.LittleEndian.Uint32(s) != s.sum(app, key) {
		return false
	}
	_, n := binary.Uvarint(s[storedSum:])
	return n > 0 && len(s) >= storedSum+n+atVariable
}

func (s stored) value() value {
	_, n := binary.Uvarint(s[storedSum:])
	return value(s[storedSum+n:])
}

// due returns when the session is due in the index by expiry.
func (s stored) due() int64 {
	before, n := binary.Uvarint(s[storedSum:])
	return int64(uint64(value(s[storedSum+n:]).expiry()) - before) //nolint:gosec // as it was
}

// granule returns the session's minute in the index by activity.
func (s stored) granule() uint32 { return granuleOf(s.value().seen()) }

// boltOptions are how the database is opened. Its own lock is never waited for: ours is held.
func boltOptions() *bolt.Options {
	return &bolt.Options{
		Timeout:         time.Second,
		FreelistType:    bolt.FreelistMapType,
		InitialMmapSize: virtualSize,
		OpenFile:        openFile,
		NoStatistics:    true,
	}
}

func openHome(d disk, path string) (h *home, err error) {
	defer h.guard(path, &err)
	db, err := openDatabase(d, path)
	if err != nil {
		return nil, fmt.Errorf("filestore: open %s: %w", path, err)
	}
	return &home{disk: d, path: path, db: db}, nil
}

// openDatabase maps the database into much address space, or, where a process may not have that, into as much as it needs.
func openDatabase(d disk, path string) (*bolt.DB, error) {
	opts := boltOptions()
	db, err := d.Database(path, opts)
	if errors.Is(err, syscall.ENOMEM) {
		opts.InitialMmapSize = 0
		return d.Database(path, opts)
	}
	return db, err
}

func (h *home) close() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.db == nil {
		return nil
	}
	db := h.db
	h.db = nil
	if h.stuck.Load() {
		return fmt.Errorf("filestore: %s can't be closed before the process ends: it was damaged while it was open", h.path)
	}
	return db.Close()
}

// swap puts the database that name is the file of in the place of this one.
func (h *home) swap(name string) (err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	defer h.guard(h.path, &err)
	if h.db == nil {
		return h.missing()
	}
	err = h.db.Close() // first: Windows doesn't rename what is in use
	h.db = nil
	if err == nil {
		err = h.disk.Rename(name, h.path)
	}
	if err == nil {
		err = h.disk.SyncDir(filepath.Dir(h.path))
	}
	db, opened := openDatabase(h.disk, h.path) // the new one, or the old one if something went wrong
	if opened != nil {
		h.lost = fmt.Errorf("%w: open %s again: %w", ErrFailed, h.path, opened)
		return errors.Join(err, h.lost)
	}
	h.db = db
	return err
}

// view calls fn with a transaction to read. It must be short: pages that are freed meanwhile can't be used again.
func (h *home) view(fn func(tx *bolt.Tx) error) error {
	return h.use(func(db *bolt.DB) error { return db.View(fn) })
}

// update calls fn with a transaction to change the database, and commits it.
func (h *home) update(fn func(tx *bolt.Tx) error) error {
	return h.use(func(db *bolt.DB) error { return h.transact(db, fn) })
}

// use calls fn with the database, which stays what it is meanwhile, and makes an error of whatever goes wrong.
func (h *home) use(fn func(db *bolt.DB) error) (err error) {
	h.mu.RLock()
	defer h.mu.RUnlock()
	if h.db == nil {
		return h.missing()
	}
	defer h.guard(h.path, &err)
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	panicked := true
	defer func() {
		if panicked {
			h.stuck.Store(true)
		}
	}()
	err = fn(h.db)
	panicked = false
	return h.explain(err)
}

// missing says why there is no database.
func (h *home) missing() error {
	if h.lost != nil {
		return h.lost
	}
	return store.ErrClosed
}

func (h *home) transact(db *bolt.DB, fn func(tx *bolt.Tx) error) error {
	tx, err := db.Begin(true)
	if err != nil {
		return err
	}
	db.AllocSize = growthOf(tx.Size())
	defer tx.Rollback() //nolint:errcheck // an error if it has been committed, and no other
	if err := fn(tx); err != nil {
		return err
	}
	if err := h.disk.Commit(tx); err != nil {
		return fmt.Errorf("write %s: %w", h.path, err) // the system's error doesn't name the file
	}
	return nil
}

// growthOf is by how much a database of that size grows: each time costs a sync.
func growthOf(size int64) int { return int(min(max(size/8, 128<<10), 16<<20)) }

// explain says which file it is.
func (h *home) explain(err error) error {
	if errors.Is(err, errChecksum) {
		return &DamagedError{Path: h.path, Offset: -1, What: err.Error()}
	}
	return err
}

var errChecksum = errors.New("the checksum of a session is wrong")

// guard makes an error of a panic: the database package trusts its file, and panics, or reads memory that isn't there, when
// the file is damaged.
func (*home) guard(path string, err *error) {
	if p := recover(); p != nil {
		*err = &DamagedError{Path: path, Offset: -1, What: fmt.Sprintf("the database can't be read: %v", p)}
	}
}

// load returns the session's version; nil if there is none.
func (h *home) load(sp *space, key []byte) (v *version, err error) {
	err = h.view(func(tx *bolt.Tx) error {
		s, err := sp.stored(tx, key)
		if s != nil {
			v = &version{value: append(value(nil), s.value()...), due: s.due()}
		}
		return err
	})
	return v, err
}

// stored returns what the database has for the session; nil if there is none. It is valid as long as the transaction.
func (sp *space) stored(tx *bolt.Tx, key []byte) (stored, error) {
	bucket := tx.Bucket(sp.buckets.sessions)
	if bucket == nil {
		return nil, nil
	}
	s := stored(bucket.Get(key))
	if s != nil && !s.valid(sp.name, key) {
		return nil, errChecksum
	}
	return s, nil
}

// head says what the database is, in one value of its own.
type head struct {
	open   bool // since the log was begun, it wasn't closed
	midway bool // a checkpoint has begun: entries of the indexes may be ahead of the sessions, until the log is replayed
	id     logID
	log    position // the database has everything that the log says before it
}

const (
	headFormat = 1
	headOpen   = 1
	headMidway = 2
	headSize   = 1 + 1 + 8 + 8 + 4 // the last of it is a checksum
)

var (
	metaBucket = []byte("meta")
	headKey    = []byte("head")
)

func (hd head) put(tx *bolt.Tx) error {
	bucket, err := tx.CreateBucketIfNotExists(metaBucket)
	if err != nil {
		return err
	}
	b := append(make([]byte, 0, headSize), headFormat, 0)
	if hd.open {
		b[1] |= headOpen
	}
	if hd.midway {
		b[1] |= headMidway
	}
	b = binary.LittleEndian.AppendUint64(b, uint64(hd.id))
	b = binary.LittleEndian.AppendUint64(b, uint64(hd.log)) //nolint:gosec // not negative
	return bucket.Put(headKey, binary.LittleEndian.AppendUint32(b, crc32.Checksum(b, castagnoli)))
}

var errHead = errors.New("it isn't a session store, or of a version that this one doesn't know")

func decodeHead(b []byte) (hd head, err error) {
	if len(b) != headSize || b[0] != headFormat || b[1] > headOpen|headMidway {
		return hd, errHead
	}
	if at := headSize - 4; crc32.Checksum(b[:at], castagnoli) != binary.LittleEndian.Uint32(b[at:]) {
		return hd, errors.New("the checksum of what says how far the log counts is wrong")
	}
	hd.open, hd.midway = b[1]&headOpen != 0, b[1]&headMidway != 0
	hd.id = logID(binary.LittleEndian.Uint64(b[2:]))
	hd.log = position(binary.LittleEndian.Uint64(b[10:])) //nolint:gosec // looked at next
	if hd.log < 0 {
		return hd, errHead
	}
	return hd, nil
}

func (h *home) head() (hd head, err error) {
	err = h.view(func(tx *bolt.Tx) error {
		bucket := tx.Bucket(metaBucket)
		if bucket == nil {
			return errHead
		}
		hd, err = decodeHead(bucket.Get(headKey))
		return err
	})
	var damaged *DamagedError
	if err != nil && !errors.As(err, &damaged) {
		return hd, &DamagedError{Path: h.path, Offset: -1, What: err.Error()}
	}
	return hd, err
}
