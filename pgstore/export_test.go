package pgstore

// NewConnections returns how many connections the pool has made.
func NewConnections(s *Store) int64 { return s.backend.Pool.Stat().NewConnsCount() }
