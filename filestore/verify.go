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

// verifier reads a database.
type verifier struct {
	report   *Report
	tx       *bolt.Tx
	memory   uintptr // of the file
	pageSize int64
	seed     maphash.Seed
	progress *progress
}

// verifyDatabase checks the pages with bbolt, which may end the process; whether each session is what
// was written; and whether the indexes have exactly the entries of these sessions. Damage is in the
// report; the error says why the database can't be read.
func verifyDatabase(path string, progress func(Progress)) (*Report, error) {
	v := &verifier{report: &Report{Path: path}, seed: maphash.MakeSeed()}
	err := v.run(progress)
	var damaged *DamagedError
	if errors.As(err, &damaged) {
		v.problem(damaged.Offset, damaged.What)
		err = nil
	}
	return v.report, err
}

func (v *verifier) run(progress func(Progress)) (err error) {
	path := v.report.Path
	defer recoverDamage(path, &err)
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	f, err := openFile(path, os.O_RDONLY, 0)
	if err != nil {
		return err
	}
	defer f.Close() //nolint:errcheck // only if bbolt has panicked: db.Close closes it
	info, err := f.Stat()
	if err != nil {
		return err
	}
	v.report.Bytes = info.Size()
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
	if err := checkSize(path, v.tx); err != nil {
		return err
	}
	v.memory, v.pageSize = db.Info().Data, int64(db.Info().PageSize)
	v.progress = newProgress(progress, "checking the database", v.tx.Size())
	if !v.pages() {
		return nil // reading further may not end
	}
	for _, app := range v.apps() {
		v.app(app)
	}
	v.progress.complete()
	return nil
}

// pages reports whether bbolt finds no damage. Pages that are neither in use nor free do no harm.
// It stops after some problems: in a cycle of pages, bbolt doesn't come to an end.
func (v *verifier) pages() bool {
	for err := range v.tx.Check(bolt.WithKVStringer(hidden{})) {
		if !strings.HasSuffix(err.Error(), "unreachable unfreed") {
			v.problem(-1, err.Error())
		}
		if len(v.report.Problems) == maxProblems {
			break
		}
	}
	return v.report.OK()
}

// hidden replaces keys, which contain IDs, in the messages of Tx.Check.
type hidden struct{}

func (hidden) KeyToString([]byte) string   { return "…" }
func (hidden) ValueToString([]byte) string { return "…" }

// apps checks the list of buckets and the head, and returns the names of the apps.
func (v *verifier) apps() (names []string) {
	v.each(v.tx.Cursor().Bucket(), func(name, value []byte) {
		switch {
		case value != nil || len(name) == 0:
			v.problem(v.offset(name), "an entry that should be a bucket")
		case string(name) == string(metaBucket):
		case !strings.Contains("sxauc", string(name[:1])):
			v.problem(v.offset(name), "a bucket that isn't of a session store")
		case !slices.Contains(names, string(name[1:])):
			names = append(names, string(name[1:]))
		}
	})
	hd, err := readHead(v.tx)
	if err != nil {
		v.problem(-1, err.Error())
	} else {
		v.report.head = &hd
	}
	return names
}

// app checks the sessions of an app, and compares the indexes with them: the hashes of the entries
// that the sessions should have, and of those that there are, must have the same sum. During a
// checkpoint they differ, and the next Open completes the indexes.
func (v *verifier) app(app string) {
	names := namesOf(app)
	var sums [indexes]uint64
	var entry []byte
	before := v.report.Sessions
	v.each(v.tx.Bucket(names.sessions), func(key, value []byte) {
		s := stored(value)
		var what string
		switch {
		case s == nil || !isKey(key):
			what = "an entry that isn't a session"
		case !s.valid(app, key):
			what = errChecksum.Error()
		case !s.value().valid():
			what = "a session whose record is invalid, or newer than this version"
		case s.due() > s.value().expiry():
			what = "a session that the index by expiry has after its expiry"
		}
		if what != "" {
			v.problem(v.offset(key), what)
			return
		}
		v.report.Sessions++
		at := s.place()
		for i := range sums {
			if entry = at.appendKey(entry[:0], i, key); len(entry) > 0 {
				sums[i] += maphash.Bytes(v.seed, entry)
			}
		}
	})
	if v.report.Sessions > before {
		v.report.Apps++
	}
	midway := v.report.head != nil && v.report.head.midway
	for i, name := range names.indexes() {
		v.each(v.tx.Bucket(name), func(k, value []byte) {
			if value == nil || len(value) > 0 {
				v.problem(v.offset(k), fmt.Sprintf("an invalid entry of the index by %s", indexNames[i]))
			}
			sums[i] -= maphash.Bytes(v.seed, k)
		})
		if sums[i] != 0 && !midway {
			v.problem(-1, fmt.Sprintf("the index by %s of the app %q doesn't match its sessions", indexNames[i], app))
		}
	}
}

var indexNames = [indexes]string{"expiry", "activity", "user", "client"}

// each calls fn with the entries of a bucket; nil: it has none. No page that they are in may be free,
// which bbolt doesn't check of the second and later pages of a large entry.
func (v *verifier) each(b *bolt.Bucket, fn func(k, value []byte)) {
	if b == nil {
		return
	}
	_ = b.ForEach(func(k, value []byte) error {
		size := int64(len(k) + len(value))
		if at := v.offset(k); at >= 0 && b.Root() != 0 {
			for page := at / v.pageSize; page <= (at+size-1)/v.pageSize; page++ { // a value follows its key
				if info, err := v.tx.Page(int(page)); err != nil || info == nil || info.Type == "free" {
					v.problem(at, "an entry in a free page")
				}
			}
		}
		v.progress.add(size)
		fn(k, value)
		return nil
	})
}

// offset returns the offset in the file of memory that bbolt has returned; -1: it is a copy, which
// bbolt makes of small buckets.
func (v *verifier) offset(b []byte) int64 {
	at := int64(uintptr(unsafe.Pointer(unsafe.SliceData(b))) - v.memory) //nolint:gosec // a conversion of bits
	if at < 0 || at >= v.report.Bytes {
		return -1
	}
	return at
}

func (v *verifier) problem(offset int64, what string) { v.report.add(v.report.Path, offset, what) }
