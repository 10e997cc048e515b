package bridge

// Deadlines returns how many deadlines wait, for tests.
func (b *Bridge) Deadlines() int {
	return b.clock.Len()
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
