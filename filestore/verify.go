package filestore

import (
	"bytes"
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
	used     []bool // by page: it was seen, with its overflow pages
	seed     maphash.Seed
	progress *progress
}

// verifyDatabase reads whether each session is what was written, whether the indexes have exactly
// the entries of these sessions, and whether reads find each of them. With pages, bbolt checks the
// pages before, which may end the process when they are damaged. Nothing is changed. Damage is in
// the report; the error says why the database can't be read.
func verifyDatabase(path string, pages bool, progress func(Progress)) (*Report, error) {
	v := &verifier{report: &Report{Path: path}, seed: maphash.MakeSeed()}
	err := v.run(pages, progress)
	var damaged *DamagedError
	if errors.As(err, &damaged) {
		v.problem(damaged.Offset, damaged.What)
		err = nil
	}
	return v.report, err
}

func (v *verifier) run(pages bool, progress func(Progress)) (err error) {
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
	if size := v.tx.Size(); info.Size() < size {
		what := fmt.Sprintf("the file ends here, but the database extends to byte %d", size)
		return &DamagedError{Path: path, Offset: info.Size(), What: what}
	}
	v.memory, v.pageSize = db.Info().Data, int64(db.Info().PageSize)
	v.progress = newProgress(progress, "checking the database", v.tx.Size())
	if pages && !v.pages() {
		return nil // reading further may not end
	}
	v.used = make([]bool, v.tx.Size()/v.pageSize)
	free := 0
	for page := range v.used {
		if v.free(page) {
			free++
		}
	}
	if free != db.Stats().FreePageN {
		v.problem(-1, "the list of free pages is invalid")
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
			v.each(v.tx.Bucket(name), func(k, _ []byte) {
				if string(k) != string(headKey) {
					v.problem(v.offset(k), "an entry that isn't of a session store")
				}
			})
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

// each calls fn with the entries of a bucket; nil: it has none. Damage of the pages above them, and
// of the list of free pages, is noticed at each leaf page: reads don't find its first or last entry,
// or it isn't in use by this bucket alone.
func (v *verifier) each(b *bolt.Bucket, fn func(k, value []byte)) {
	if b == nil {
		return
	}
	root, top := int64(b.Root()), b.Root() == v.tx.Cursor().Bucket().Root() //nolint:gosec // a small number
	c, read := b.Cursor(), b.Cursor()
	found := func(key []byte) bool {
		k, _ := read.Seek(key)
		return bytes.Equal(k, key)
	}
	var first, last []byte // entries of the leaf page
	var end int64          // of the last
	leaf := func() bool {
		return first == nil || found(first) && found(last) &&
			(root == 0 || top || v.use(v.offset(first)/v.pageSize, (end-1)/v.pageSize))
	}
	info, err := v.tx.Page(int(root))
	sound := err == nil && info != nil
	if sound && (top || info.Type == "branch") {
		sound = v.use(root, root+int64(info.OverflowCount))
	}
	for k, value := c.First(); k != nil && sound; k, value = c.Next() {
		at := v.offset(k)
		if at < 0 || at != end { // bbolt writes the entries of a page without gaps
			sound = leaf()
			first = k
		}
		sound = sound && (last == nil || bytes.Compare(last, k) < 0)
		last, end = k, at+int64(len(k)+len(value))
		v.progress.add(int64(len(k) + len(value)))
		fn(k, value)
	}
	if !sound || !leaf() {
		v.problem(-1, "pages that are free, out of order or used twice")
	}
}

// use reports whether a page with its overflow pages ends there, and none of them is free or in use.
func (v *verifier) use(page, end int64) bool {
	if info, err := v.tx.Page(int(page)); err != nil || info == nil || int64(info.OverflowCount) != end-page {
		return false
	}
	for ; page <= end; page++ {
		if page >= int64(len(v.used)) || v.used[page] || v.free(int(page)) {
			return false
		}
		v.used[page] = true
	}
	return true
}

func (v *verifier) free(page int) bool {
	info, err := v.tx.Page(page)
	return err == nil && info != nil && info.Type == "free"
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
