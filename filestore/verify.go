package filestore

import (
	"fmt"
	"hash/maphash"
	"io"
	"slices"

	"github.com/sessionbridge/sessionbridge/internal/uuidtext"
)

// databaseReport is what verifyDatabase has found.
type databaseReport struct {
	head     *head // nil: there is none
	meta     int   // the meta page that counts
	spare    error // what is wrong with the other one: it does no harm, but may have been the newer; nil: nothing
	apps     int64 // that have sessions
	sessions int64
	pages    int64 // of the database; the file may have more
	free     int64
	wasted   int64 // neither free nor in use
	bytes    int64 // of the file
	problems problems
}

// verifyDatabase reads the whole database and looks at everything in it: that each page is what it should be, that each session
// can be read and is what was written, and that the indexes have all sessions, where they should, and nothing else. It changes
// nothing. The error is a *DamagedError, of the first problem; the report has all of them.
func verifyDatabase(r io.ReaderAt, size int64, path string, progress func(Progress)) (*databaseReport, error) {
	v := verifier{
		report: databaseReport{bytes: size, problems: problems{file: path}},
		spaces: make(map[string]*spaceRoots),
		seed:   maphash.MakeSeed(),
		tell:   progress,
	}
	v.run(r, size)
	return &v.report, v.report.problems.err()
}

type verifier struct {
	report      databaseReport
	file        *pageFile
	walk        *treeWalk
	spaces      map[string]*spaceRoots
	seed        maphash.Seed
	differences [indexes]difference
	tell        func(Progress)
	key         []byte // that is being made
}

// spaceRoots are the buckets of a space.
type spaceRoots struct {
	sessions *bucketRoot
	indexes  [indexes]*bucketRoot
}

const indexes = byClient + 1

func (v *verifier) run(r io.ReaderAt, size int64) {
	var err error
	if v.file, err = openPages(r, size, v.report.problems.add); err != nil {
		v.report.problems.add(0, err.Error())
		return
	}
	v.report.meta, v.report.spare = v.file.meta, v.file.spare
	v.report.pages, v.report.free = int64(v.file.end), int64(v.file.freePages)
	p := newProgress(v.tell, "checking the database", int64(v.file.pages))
	p.at(int64(v.file.freePages))
	v.walk = v.file.walk(v.report.problems.add, func() { p.add(1) })
	v.readRoot()
	for _, name := range inOrder(v.spaces) {
		v.verifySpace(name, v.spaces[name])
	}
	v.report.wasted = v.walk.wasted()
	p.tell(Progress{p.now.Doing, p.now.Total, p.now.Total})
}

// readRoot reads which buckets there are.
func (v *verifier) readRoot() {
	var meta *bucketRoot
	v.walk.bucket(bucketRoot{page: v.file.root}, func(e element) {
		root, ok := rootOf(e)
		switch {
		case !e.bucket || !ok:
			v.report.problems.add(e.offset, "this should be a bucket")
		case string(e.key) == string(metaBucket):
			meta = &root
		default:
			if slot := v.slot(e.key); slot != nil {
				*slot = &root
			} else {
				v.report.problems.add(e.offset, "this is a bucket that a session store doesn't have")
			}
		}
	})
	if meta == nil {
		v.report.problems.add(-1, errHead.Error())
		return
	}
	found := false
	v.walk.bucket(*meta, func(e element) {
		if string(e.key) != string(headKey) || e.bucket {
			v.report.problems.add(e.offset, "this is something that a session store doesn't have")
			return
		}
		hd, err := decodeHead(e.value)
		if found = true; err != nil {
			v.report.problems.add(e.offset, err.Error())
			return
		}
		v.report.head = &hd
	})
	if !found {
		v.report.problems.add(meta.at, errHead.Error())
	}
}

// slot is where the bucket of that name belongs; nil: nowhere.
func (v *verifier) slot(name []byte) **bucketRoot {
	letter, app := name[0], string(name[1:])
	index := slices.Index([]byte{byDue: dueBucket, bySeen: seenBucket, byUser: usersBucket, byClient: clientsBucket}, letter)
	if index < 0 && letter != sessionsBucket {
		return nil
	}
	roots := v.spaces[app]
	if roots == nil {
		roots = new(spaceRoots)
		v.spaces[app] = roots
	}
	if index < 0 {
		return &roots.sessions
	}
	return &roots.indexes[index]
}

func (v *verifier) verifySpace(name string, roots *spaceRoots) {
	before := v.report.sessions
	if roots.sessions != nil {
		v.walk.bucket(*roots.sessions, func(e element) {
			s, wrong := openSession(name, e)
			if wrong != "" {
				v.report.problems.add(e.offset, wrong)
				return
			}
			v.report.sessions++
			v.expect(e.key, s)
		})
	}
	if v.report.sessions > before {
		v.report.apps++
	}
	for i, root := range roots.indexes {
		if root != nil {
			v.walk.bucket(*root, func(e element) {
				if e.bucket || len(e.value) > 0 {
					v.report.problems.add(e.offset, fmt.Sprintf("this isn't an entry of the index by %s", indexNames[i]))
				}
				v.differences[i].remove(v.hash(e.key))
			})
		}
		// While a checkpoint is under way the indexes are ahead of the sessions; replaying the log brings them together.
		midway := v.report.head != nil && v.report.head.midway
		if !v.differences[i].zero() && !midway {
			v.explain(name, roots, i)
		}
		v.differences[i] = difference{}
	}
}

// openSession returns what is stored in an entry of the sessions, or what is wrong with it.
func openSession(app string, e element) (s stored, wrong string) {
	s = stored(e.value)
	switch {
	case e.bucket:
		return nil, "this is a bucket where a session should be"
	case !isKey(e.key):
		return nil, "this isn't the ID of a session"
	case !s.valid(app, e.key):
		return nil, errChecksum.Error()
	case !s.value().whole():
		return nil, "a session isn't a record that this version can read"
	case s.due() > s.value().expiry():
		return nil, "a session is to be looked for by its expiry when it has already expired"
	}
	return s, ""
}

// whole reports whether record could decode the value.
func (v value) whole() bool {
	r, err := v.variable()
	if err != nil {
		return false
	}
	r.owner(v[atFlags])
	r.text() // address
	r.text() // user agent
	return !r.failed
}

// isKey reports whether key is what appendID makes of an ID: there is one key for each.
func isKey(key []byte) bool {
	if len(key) == 17 && key[0] == uuidID {
		return true
	}
	id, err := decodeID(key)
	_, isUUID := uuidtext.Parse(id)
	return err == nil && !isUUID
}
