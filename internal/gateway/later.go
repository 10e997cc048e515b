package gateway

// Later collects calls of an application's code, such as log lines, that must wait until no lock
// is held. They run in the order in which they were added. The zero value is empty. It is not
// safe for concurrent use: the holder of the lock under which it is filled runs it after giving
// the lock back.
type Later struct{ do func() }

// Add adds a call, to be made after all earlier ones.
func (l *Later) Add(do func()) {
	if before := l.do; before != nil && do != nil {
		after := do
		do = func() {
			defer after() // also if the first one panics
			before()
		}
	}
	if do != nil {
		l.do = do
	}
}

// Move adds what from holds to l, and leaves from empty.
func (l *Later) Move(from *Later) {
	do := from.do
	from.do = nil
	l.Add(do)
}

// Run makes the calls, and leaves l empty.
func (l *Later) Run() {
	if do := l.do; do != nil {
		l.do = nil
		do()
	}
}
