package bridge

// Deadlines returns how many deadlines wait, for tests.
func (b *Bridge) Deadlines() int {
	b.clock.mu.Lock()
	defer b.clock.mu.Unlock()
	return len(b.clock.heap)
}
