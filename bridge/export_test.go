package bridge

// Deadlines returns how many deadlines wait, for tests.
func (b *Bridge) Deadlines() int {
	return b.clock.Len()
}
