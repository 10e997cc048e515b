package filestore

import (
	"errors"
	"fmt"
	"hash/maphash"
	"os"
	"runtime/debug"
	"slices"
	"strings"
	"time"
	"unsafe"

	bolt "go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"
)

// verifier checks a database.
type verifier struct {
	report *Report
	tx     *bolt.Tx
	memory uintptr // of the file
	seed   maphash.Seed
}

// verifyDatabase reads the whole database: the pages, with bbolt's own check; whether each session
// is what was written; and whether the indexes have exactly the entries of these sessions. It
// changes nothing. Damage is in the report; the error says why the database can't be read.
func verifyDatabase(path string) (*Report, error) {
	v := &verifier{report: &Report{Path: path}, seed: maphash.MakeSeed()}
	err := v.run()
	var damaged *DamagedError
	if errors.As(err, &damaged) {
		v.problem(damaged.Offset, damaged.What)
		err = nil
	}
	return v.report, err
}

func (v *verifier) run() (err error) {
	path := v.report.Path
	defer recoverDamage(path, &err)
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	f, err := openFile(path, os.O_RDONLY, 0)
	if err != nil {
		return err
	}
	defer f.Close() //nolint:errcheck // only if bbolt has panicked: db.Close closes it
	db, err := bolt.Open(path, 0, &bolt.Options{
		ReadOnly: true, PreLoadFreelist: true, Timeout: time.Second,
		OpenFile: func(string, int, os.FileMode) (*os.File, error) { return f, nil },
	})
	switch {
	case errors.Is(err, bolterrors.ErrTimeout):
		return err
	case err != nil:
		return &DamagedError{Path: path, Offset: 0, What: err.Error()}
	}
	defer db.Close() //nolint:errcheck // nothing was written
	if v.tx, err = db.Begin(false); err != nil {
		return err
	}
	defer v.tx.Rollback() //nolint:errcheck // likewise
	v.memory = db.Info().Data
	if err := v.pages(f, db.Info().PageSize); err != nil {
		return err
	}
	for _, app := range v.apps() {
		v.app(app)
	}
	return nil
}

// pages checks the structure of the database. After an error it can't be read further.
func (v *verifier) pages(f *os.File, pageSize int) error {
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if size := v.tx.Size(); info.Size() < size {
		what := fmt.Sprintf("the file ends here, but the database extends to byte %d", size)
		return &DamagedError{Path: v.report.Path, Offset: info.Size(), What: what}
	}
	w := &pageWalk{v.tx, f, pageSize, make([]bool, v.tx.Size()/int64(pageSize))}
	if err := w.run(v.tx.DB().Stats().FreePageN); err != nil {
		return &DamagedError{Path: v.report.Path, Offset: -1, What: err.Error()}
	}
	for err := range v.tx.Check(bolt.WithKVStringer(hidden{})) {
		if !strings.HasSuffix(err.Error(), "unreachable unfreed") { // such a page is only wasted
			v.problem(-1, err.Error())
		}
	}
	return nil
}

// hidden replaces keys, which contain IDs, in the messages of Tx.Check.
type hidden struct{}

func (hidden) KeyToString([]byte) string   { return "…" }
func (hidden) ValueToString([]byte) string { return "…" }

// apps checks the list of buckets and the head, and returns the names of the apps.
func (v *verifier) apps() (names []string) {
	_ = v.tx.ForEach(func(name []byte, b *bolt.Bucket) error {
		switch {
		case b == nil || len(name) == 0:
			v.problem(v.offset(name), "an entry that should be a bucket")
		case string(name) == string(metaBucket):
		case !strings.Contains("sxauc", string(name[:1])):
			v.problem(v.offset(name), "a bucket that isn't of a session store")
		case !slices.Contains(names, string(name[1:])):
			names = append(names, string(name[1:]))
		}
		return nil
	})
	v.each(metaBucket, func(k, _ []byte) {
		if string(k) != string(headKey) {
			v.problem(v.offset(k), "an entry that isn't of a session store")
		}
	})
	hd, err := readHead(v.tx)
	if err != nil {
		v.problem(-1, err.Error())
		return names
	}
	v.report.head = &hd
	return names
}

// app checks the sessions of an app, and compares the indexes with them: the hashes of the entries
// that the sessions should have, and of those that there are, must have the same sum.
func (v *verifier) app(app string) {
	names := namesOf(app)
	var sums [indexes]uint64
	var entry []byte
	before := v.report.Sessions
	v.each(names.sessions, func(key, value []byte) {
		s := stored(value)
		if what := invalid(app, key, s); what != "" {
			v.problem(v.offset(key), what)
			return
		}
		v.report.Sessions++
		at := placeOf(s.value(), s.due())
		for i := range sums {
			if entry = at.appendKey(entry[:0], i, key); len(entry) > 0 {
				sums[i] += maphash.Bytes(v.seed, entry)
			}
		}
	})
	if v.report.Sessions > before {
		v.report.Apps++
	}
	midway := v.report.head != nil && v.report.head.midway // the next Open completes the indexes
	for i, name := range names.indexes() {
		v.each(name, func(k, value []byte) {
			if value == nil || len(value) > 0 {
				v.problem(v.offset(k), "an invalid entry of the index by "+indexNames[i])
			}
			sums[i] -= maphash.Bytes(v.seed, k)
		})
		if sums[i] != 0 && !midway {
			v.problem(-1, fmt.Sprintf("the index by %s of the app %q doesn't match its sessions", indexNames[i], app))
		}
	}
}

var indexNames = [indexes]string{"expiry", "activity", "user", "client"}

// invalid returns why an entry isn't a valid session; "": it is one.
func invalid(app string, key []byte, s stored) string {
	switch {
	case s == nil || !isKey(key):
		return "an entry that isn't a session"
	case !s.valid(app, key):
		return errChecksum.Error()
	case !s.value().valid():
		return "a session whose record is invalid, or newer than this version"
	case s.due() > s.value().expiry():
		return "a session that the index by expiry has after its expiry"
	}
	return ""
}

// each calls fn with the entries of a bucket, if it exists.
func (v *verifier) each(name []byte, fn func(k, value []byte)) {
	if b := v.tx.Bucket(name); b != nil {
		_ = b.ForEach(func(k, value []byte) error {
			fn(k, value)
			return nil
		})
	}
}

// offset returns the offset in the file of memory that bbolt has returned.
func (v *verifier) offset(b []byte) int64 {
	return int64(uintptr(unsafe.Pointer(unsafe.SliceData(b))) - v.memory) //nolint:gosec // within the file
}

func (v *verifier) problem(offset int64, what string) { v.report.add(v.report.Path, offset, what) }
