package filestore

import (
	"io"
	"slices"
)

// salvage reads the sessions of a damaged store.
type salvage struct {
	report   *RepairReport
	problems problems // of the database
	tell     func(Progress)
	file     *pageFile
	head     *head    // nil: it can't be read
	names    []string // of the apps
	log      *logChanges
	writer   repairWriter

	failed   int64      // sessions that aren't what was written
	read     int64      // that are
	listed   [256]int64 // entries of the buckets with that letter: an index has a session once, or not at all
	unproven int64      // sessions that may have been destroyed
	err      error      // of writing
}

// open reads the metas, the freelist, the list of buckets and the head.
func (s *salvage) open(r io.ReaderAt, size int64) error {
	r = s.mendMetas(r)
	var err error
	if s.file, err = openPages(r, size, s.problems.add); err != nil {
		return &DamagedError{Path: s.report.From, Offset: 0, What: err.Error() + ", so that it can't be told which sessions were destroyed"}
	}
	if s.file.spare != nil {
		s.problems.add(s.file.spareOffset(), "this meta page can't be used: "+s.file.spare.Error())
	}
	quiet := s.file.walk(func(int64, string) {}, func() {})
	var meta *bucketRoot
	quiet.bucket(bucketRoot{page: s.file.root}, func(e element) {
		s.learnName(e)
		if root, ok := rootOf(e); ok && e.bucket && string(e.key) == string(metaBucket) {
			meta = &root
		}
	})
	if meta != nil {
		quiet.bucket(*meta, func(e element) {
			if hd, err := decodeHead(e.value); err == nil && string(e.key) == string(headKey) {
				s.head = &hd
			}
		})
	}
	if s.head == nil {
		s.problems.add(-1, "the database doesn't say where it goes on in the log")
	}
	return nil
}

// learnName takes the name of an app from that of a bucket.
func (s *salvage) learnName(e element) {
	if name := string(e.key[1:]); e.bucket && string(e.key) != string(metaBucket) && !slices.Contains(s.names, name) {
		s.names = append(s.names, name)
	}
}

// foundBucket is a bucket of the list.
type foundBucket struct {
	name  string
	root  bucketRoot
	whole bool // nothing of it is damaged
}

// sessions reads all sessions of the database: those that the tree leads to, and those on pages that it would lead to if it
// weren't damaged.
func (s *salvage) sessions() error {
	p := newProgress(s.tell, "reading the database", int64(s.file.pages-s.file.freePages))
	w := s.file.walk(s.problems.add, func() { p.add(1) })
	var buckets []foundBucket
	w.bucket(bucketRoot{page: s.file.root}, func(e element) {
		root, ok := rootOf(e)
		if !e.bucket || !ok {
			s.problems.add(e.offset, "this should be a bucket")
			return
		}
		buckets = append(buckets, foundBucket{name: string(e.key), root: root})
	})
	for i, b := range buckets {
		before := s.problems.count()
		w.bucket(b.root, func(e element) { s.session(b.name, e) })
		buckets[i].whole = s.problems.count() == before
	}
	if !w.freeBroken && w.wasted() > 0 {
		s.takeOrphans(w, buckets)
	}
	s.report.Unread = w.unread + w.wasted()
	return s.err
}

// session looks at an entry of a bucket and keeps it if it is a session.
func (s *salvage) session(bucket string, e element) {
	letter, name := bucket[0], bucket[1:]
	s.listed[letter]++
	v, app, wrong := s.identify(name, e)
	switch {
	case wrong == "":
		s.keep(app, e.key, v)
	case letter == sessionsBucket:
		if !s.log.knows(name, e.key) {
			s.failed++
		}
		s.problems.add(e.offset, wrong)
	}
}

// identify returns the session that an entry is, and of which app: its checksum says that, even if the name of the bucket is
// damaged.
func (s *salvage) identify(name string, e element) (v value, app, wrong string) {
	in := stored(e.value)
	if e.bucket || len(in) < storedSum+atVariable || !isKey(e.key) {
		return nil, "", "this isn't a session"
	}
	if !in.valid(name, e.key) {
		i := slices.IndexFunc(s.names, func(other string) bool { return in.valid(other, e.key) })
		if i < 0 {
			return nil, "", errChecksum.Error()
		}
		name = s.names[i]
	}
	if !in.value().whole() {
		return nil, "", "a session isn't a record that this version can read"
	}
	return in.value(), name, ""
}

// keep writes a session as the log has made it.
func (s *salvage) keep(app string, key []byte, v value) {
	s.read++
	if now := s.log.outcome(app, key, v); now != nil && s.err == nil {
		s.err = s.writer.add(app, key, now)
	}
}
