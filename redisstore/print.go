package redisstore

import "fmt"

// Format implements fmt.Formatter: a store prints as its type, whatever the verb, and not as what it holds.
func (s *Store) Format(f fmt.State, _ rune) { _, _ = fmt.Fprint(f, "redisstore.Store") }
