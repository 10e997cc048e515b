package gateway

// Later is what is to be done once no lock is held any more, in the order in which it came: what runs an application's code, as a log line does. The zero value is empty. It is
// not safe for concurrent use: who holds the lock under which it is filled empties it when that is given back.
type Later struct{ do func() }

// Add has do done after all that came before.
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

// Run does it, and leaves l empty.
func (l *Later) Run() {
	if do := l.do; do != nil {
		l.do = nil
		do()
	}
}
