package gateway

// Room is memory for the usual work on one session: its load, a few values, and a commit. What
// doesn't fit takes allocations, as everything does with a nil Room. The zero value is ready. It is
// for one session and one goroutine at a time, and must not be copied.
type Room struct {
	ops    [2]opContext
	opened int // of ops
	fields [8]field
	parsed bool // fields are in use
	edits  [2]edit
	edited bool // edits are in use
}

// op returns a zero opContext.
func (r *Room) op() *opContext {
	if r == nil || r.opened == len(r.ops) {
		return new(opContext)
	}
	r.opened++
	return &r.ops[r.opened-1]
}

// takeFields returns memory for the fields of an object, nil if there is none.
func (r *Room) takeFields() []field {
	if r == nil || r.parsed {
		return nil
	}
	r.parsed = true
	return r.fields[:0]
}

// takeEdits returns memory for edits, nil if there is none.
func (r *Room) takeEdits() []edit {
	if r == nil || r.edited {
		return nil
	}
	r.edited = true
	return r.edits[:0]
}
