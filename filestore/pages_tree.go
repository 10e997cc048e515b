package filestore

import (
	"bytes"
	"fmt"
	"slices"
)

// bucketRoot is where a bucket is: a tree of its own, or a leaf inside its entry.
type bucketRoot struct {
	page   uint64
	inline []byte // nil: a tree
	at     int64  // of what is inside in the file, or of what refers to the tree
}

// rootOf reads the value of a bucket's element. What is inside the entry is copied.
func rootOf(e element) (root bucketRoot, ok bool) {
	if len(e.value) < bucketHeader {
		return root, false
	}
	root.page = native.Uint64(e.value)
	if root.page == 0 {
		root.inline = bytes.Clone(e.value[bucketHeader:])
		root.at = e.offset + int64(len(e.key)) + bucketHeader
		return root, len(root.inline) >= pageHeader
	}
	root.at = e.offset
	return root, len(e.value) == bucketHeader
}

// treeWalk walks through trees, each page once.
type treeWalk struct {
	*pageFile
	taken  pageSet // visited, or no page of a tree
	unread int64   // pages that couldn't be read
	report pageProblem
	tick   func() // after each page

	levels []level // of the tree
}

// level is the page that is being read at one depth.
type level struct {
	at int64 // in the file; 0: none
	b  []byte
}

func (f *pageFile) walk(report pageProblem, tick func()) *treeWalk {
	w := &treeWalk{pageFile: f, taken: newPageSet(f.pages), report: report, tick: tick}
	w.taken.addAll(0, min(2, f.pages))
	w.taken.addAll(f.freelist, f.listSpan)
	return w
}

// bucket calls visit for each entry of a bucket, in order if there is no damage. Damage is reported, and what it makes
// unreadable is left out. A page that is in the list of free pages is never read: what it holds was deleted.
func (w *treeWalk) bucket(root bucketRoot, visit func(element)) {
	if root.inline == nil {
		w.page(root.page, root.at, 0, limits{}, visit)
		return
	}
	h := parseHeader(root.inline)
	p := treePage{b: root.inline, at: root.at, count: h.count, leaf: true}
	switch room := (len(root.inline) - pageHeader) / elementSize; {
	case h.id != 0 || h.flags != leafFlag || h.overflow != 0:
		w.report(root.at, "the beginning of a bucket isn't what it should be")
	case h.count > room:
		w.report(root.at, fmt.Sprintf("a bucket is said to have %d entries; there is room for %d", h.count, room))
	default:
		if end := p.layout(int64(len(p.b)), w.report); end != int64(len(p.b)) {
			w.report(root.at, "a bucket isn't as long as its entries are together")
		}
		w.leaf(&p, limits{}, visit)
	}
}

// page visits a page of a tree, and those below it. from is the place in the file that refers to it.
func (w *treeWalk) page(id uint64, from int64, depth int, within limits, visit func(element)) {
	if wrong := w.unfit(id, depth); wrong != "" {
		w.report(from, fmt.Sprintf("this refers to page %d, %s", id, wrong))
		return
	}
	p, ok := w.read(id, depth)
	w.tick()
	switch {
	case !ok:
	case p.leaf:
		w.leaf(&p, within, visit)
	default:
		w.branch(&p, depth, within, visit)
	}
}

// unfit says why a page isn't read.
func (w *treeWalk) unfit(id uint64, depth int) string {
	switch {
	case depth >= maxDepth:
		return "deeper than a tree can be"
	case id < 2 || id >= w.end:
		return "which can't be"
	case id >= w.pages:
		return "which is past the end of the file"
	case w.taken.has(id):
		return "which has been found in another place already"
	case w.free.has(id):
		w.freeBroken = true // or what refers to it is
		return "which is in the list of free pages"
	}
	return ""
}

// read reads a page of a tree, as far as its elements go, and marks it.
func (w *treeWalk) read(id uint64, depth int) (p treePage, ok bool) {
	w.taken.add(id)
	at := w.offset(id)
	failed := func(format string, args ...any) (treePage, bool) {
		w.unread++
		w.report(at, fmt.Sprintf("page %d ", id)+fmt.Sprintf(format, args...))
		return p, false
	}
	b, err := w.fetch(at, w.pageSize, depth)
	if err != nil {
		return failed("can't be read: %v", err)
	}
	h := parseHeader(b)
	if h.id != id || h.flags != leafFlag && h.flags != branchFlag {
		return failed("is something else: it says that it is page %d of kind %#x", h.id, h.flags)
	}
	span, wrong := w.span(id, h)
	if wrong != "" {
		span = w.pages - id // the elements know better
	}
	room := int64(span) * w.pageSize
	p = treePage{b: b, at: at, count: h.count, leaf: h.flags == leafFlag}
	table := int64(pageHeader + p.count*elementSize)
	if table > room || p.count == 0 && (id != w.root || !p.leaf) { // only the list of buckets is kept as a page when it is empty
		return failed("is said to have %d elements, which can't be", p.count)
	}
	if p.b, err = w.fetch(at, table, depth); err != nil {
		return failed("can't be read: %v", err)
	}
	end := p.layout(room, w.report)
	if p.b, err = w.fetch(at, end, depth); err != nil {
		return failed("can't be read: %v", err)
	}
	need := uint64((end + w.pageSize - 1) / w.pageSize)
	if wrong == "" && span != need {
		wrong = fmt.Sprintf("page %d is said to take %d pages, and needs %d", id, span, need)
	}
	if wrong != "" {
		w.report(at, wrong)
	}
	for other := id + 1; other < id+need; other++ {
		if w.taken.has(other) || w.free.has(other) {
			w.freeBroken = w.freeBroken || w.free.has(other)
			return failed("is said to take page %d too, which is something else", other)
		}
		w.taken.add(other)
	}
	return p, true
}

// fetch returns the first n bytes of a page. They stay until the next page of this depth is read.
func (w *treeWalk) fetch(at, n int64, depth int) ([]byte, error) {
	for len(w.levels) <= depth {
		w.levels = append(w.levels, level{})
	}
	l := &w.levels[depth]
	if l.at != at {
		l.at, l.b = at, l.b[:0]
	}
	have := int64(len(l.b))
	if n <= have {
		return l.b[:n], nil
	}
	l.b = slices.Grow(l.b, int(n-have))[:n]
	if err := readAll(w.r, l.b[have:], at+have); err != nil {
		l.at = 0
		return nil, err
	}
	return l.b, nil
}

func (w *treeWalk) leaf(p *treePage, within limits, visit func(element)) {
	keys := order{limits: within}
	for i := range p.count {
		e, ok := p.element(i)
		if !ok {
			continue
		}
		// A page that isn't where it should be may be one that was freed, if that can't be told by the list.
		if keys.next(e.key) || !w.freeBroken {
			visit(e)
		}
	}
	if keys.wrong != "" {
		w.report(p.at, keys.wrong)
	}
}

func (w *treeWalk) branch(p *treePage, depth int, within limits, visit func(element)) {
	keys := order{limits: within}
	for i := range p.count {
		if e, ok := p.element(i); ok {
			keys.next(e.key)
		}
	}
	if keys.wrong != "" {
		w.report(p.at, keys.wrong)
	}
	for i := range p.count {
		e, ok := p.element(i)
		if !ok {
			continue
		}
		below := limits{e.key, within.end}
		if i+1 < p.count {
			if next, ok := p.element(i + 1); ok {
				below.end = next.key
			}
		}
		w.page(e.child, e.offset, depth+1, below, visit)
	}
}

// wasted returns how many pages are neither free nor in use. bbolt never uses them again; else they do no harm.
func (w *treeWalk) wasted() (n int64) {
	for page := range w.pages {
		if !w.taken.has(page) && !w.free.has(page) {
			n++
		}
	}
	return n
}
