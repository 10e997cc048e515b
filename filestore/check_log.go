package filestore

import (
	"errors"
	"fmt"
	"io/fs"
)

// checkLog looks at the log as recovery would.
func (r *Report) checkLog(hd *head) (err error) {
	segments, err := openLogToRead(r.Path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, closeAll(segments)) }()
	for _, s := range segments {
		r.LogBytes += s.size
	}
	switch {
	case hd == nil:
		r.note("the log wasn't looked at, because the database doesn't say where it goes on in it")
		return nil
	case !hd.open:
		r.Clean = true
		return nil
	}
	var damaged *DamagedError
	if err := r.checkChanges(*hd, segments); errors.As(err, &damaged) {
		r.Problems = append(r.Problems, Problem{damaged.Path, damaged.Offset, damaged.What})
		return nil
	} else {
		return err
	}
}

// checkChanges counts the changes that the database doesn't have. A *DamagedError says that recovery would fail.
func (r *Report) checkChanges(hd head, segments [2]*segment) error {
	var scans [2]*scan
	for i, s := range segments {
		if s.file == nil {
			scans[i] = &scan{segment: s}
			continue
		}
		sc, err := readSegment(s, hd.id)
		if err != nil {
			return err
		}
		scans[i] = sc
	}
	order, err := arrange(hd, scans)
	if err != nil {
		return err
	}
	for _, sc := range order {
		for i := range sc.groups {
			g := &sc.groups[i]
			if g.at < hd.log {
				continue
			}
			entries, wrong := changesOf(g)
			if wrong != nil {
				return &DamagedError{Path: sc.segment.name, Offset: int64(g.at - sc.segment.base), What: wrong.Error()}
			}
			r.LogChanges += int64(len(entries))
		}
	}
	rec := new(recovery)
	err = rec.checkTail(scans, order[len(order)-1], hd.id)
	r.TornTail = rec.cut
	return err
}

// changesOf returns the changes of a group, all of them or none.
func changesOf(g *group) ([]entry, error) {
	if g.kind != changesGroup {
		return nil, nil
	}
	r := reader{rest: g.payload}
	var entries []entry
	for range g.entries {
		en, ok := r.next()
		if !ok || !isKey(en.key) || en.kind == putEntry && !en.value.whole() {
			return nil, errors.New("a change isn't one that this version knows")
		}
		entries = append(entries, en)
	}
	if len(r.rest) > 0 {
		return nil, errors.New("a group has more than its changes")
	}
	return entries, nil
}

// openLogToRead opens the segments. One that isn't there is an empty one.
func openLogToRead(path string) (segments [2]*segment, err error) {
	for i, name := range logNames(path) {
		f, size, err := openToRead(name)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return segments, errors.Join(fmt.Errorf("open the log: %w", err), closeAll(segments))
		}
		segments[i] = &segment{name: name, file: f, size: size}
	}
	return segments, nil
}

func closeAll(segments [2]*segment) error {
	var errs []error
	for _, s := range segments {
		if s != nil && s.file != nil {
			errs = append(errs, s.file.Close())
		}
	}
	return errors.Join(errs...)
}
