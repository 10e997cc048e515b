package filestore

// pageSet is a set of pages: a bit for each, so that it stays small for the largest of files.
type pageSet []uint64

func newPageSet(pages uint64) pageSet { return make(pageSet, (pages+63)/64) }

func (s pageSet) has(page uint64) bool { return s[page/64]&(1<<(page%64)) != 0 }

func (s pageSet) add(page uint64) { s[page/64] |= 1 << (page % 64) }

func (s pageSet) addAll(first, n uint64) {
	for page := first; page < first+n; page++ {
		s.add(page)
	}
}
