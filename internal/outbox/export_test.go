package outbox

// Workers returns how many workers there are.
func (s *Sender) Workers() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.workers)
}
