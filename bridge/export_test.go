package bridge

// Deadlines returns how many deadlines wait, for tests.
func (b *Bridge) Deadlines() int {
	b.clock.mu.Lock()
	defer b.clock.mu.Unlock()
	return len(b.clock.heap[0]) + len(b.clock.heap[1])
}

// TicketsInMemory returns how many tickets the Bridge remembers itself, redeemed ones too, for tests.
func (b *Bridge) TicketsInMemory() int {
	m, ok := b.tickets.st.(*ticketMemory)
	if !ok {
		return 0
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.order)
}

// MaxTicketsInMemory is how many it remembers at most.
const MaxTicketsInMemory = maxTicketsInMemory
