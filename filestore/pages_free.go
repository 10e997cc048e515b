package filestore

import "fmt"

// allInFirst, as the count of a freelist's header, says that the first number is the count.
const allInFirst = 0xFFFF

// readFreelist fills in the set of free pages. Its list is in ascending order.
func (f *pageFile) readFreelist(report pageProblem) {
	if f.freelist == noFreelist {
		f.freeBroken = true
		return
	}
	broken := func(offset int64, format string, args ...any) {
		f.freeBroken = true
		report(offset, "the list of free pages: "+fmt.Sprintf(format, args...))
	}
	at := f.offset(f.freelist)
	if f.freelist >= f.pages {
		broken(at, "page %d is past the end of the file", f.freelist)
		return
	}
	var b [pageHeader + 8]byte
	if err := readAll(f.r, b[:], at); err != nil {
		broken(at, "page %d can't be read: %v", f.freelist, err)
		return
	}
	h := parseHeader(b[:])
	if h.id != f.freelist || h.flags != freelistFlag {
		broken(at, "page %d is something else: it says that it is page %d of kind %#x", f.freelist, h.id, h.flags)
		return
	}
	span, wrong := f.span(f.freelist, h)
	if wrong != "" {
		broken(at, "%s", wrong)
		return
	}
	begin, count := int64(pageHeader), uint64(h.count)
	if h.count == allInFirst {
		begin, count = pageHeader+8, native.Uint64(b[pageHeader:])
	}
	room := uint64(int64(span)*f.pageSize-begin) / 8
	if count > room {
		broken(at, "it is said to have %d entries; there is room for %d", count, room)
		return
	}
	f.listSpan = span
	f.readFree(at+begin, count, broken)
	if count == room {
		return
	}
	end := at + begin + int64(count)*8 // there, a list that is longer than it says would go on
	if err := readAll(f.r, b[:8], end); err != nil || native.Uint64(b[:]) != 0 {
		broken(end, "it goes on after its end")
	}
}

// readFree reads the numbers of the free pages, in pieces.
func (f *pageFile) readFree(at int64, count uint64, broken func(int64, string, ...any)) {
	buf := make([]byte, min(count*8, 32<<10))
	last := uint64(1)
	for count > 0 {
		piece := buf[:min(count*8, uint64(len(buf)))]
		if err := readAll(f.r, piece, at); err != nil {
			broken(at, "it can't be read: %v", err)
			return
		}
		for i := 0; i < len(piece); i += 8 {
			page := native.Uint64(piece[i:])
			switch {
			case page < 2 || page >= f.end:
				broken(at+int64(i), "there is no page %d", page)
				continue
			case page <= last:
				broken(at+int64(i), "page %d isn't in its place in the order", page)
			case page >= f.freelist && page < f.freelist+f.listSpan:
				broken(at+int64(i), "page %d is the list itself", page)
			default:
				f.freePages++
			}
			if page < f.pages {
				f.free.add(page)
			}
			last = max(last, page)
		}
		at += int64(len(piece))
		count -= uint64(len(piece)) / 8
	}
}
