package bridge

// Deadlines returns how many deadlines wait, for tests.
func (b *Bridge) Deadlines() int {
	return b.clock.Len()
}

// KeptMemory returns how many bytes messages take that are kept in this process, for tests.
func (b *Bridge) KeptMemory() int { return b.keptHere.Size() }
