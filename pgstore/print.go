package pgstore

import "fmt"

// Format implements fmt.Formatter. A store prints as its type for every verb, so that its contents
// are never logged.
func (s *Store) Format(f fmt.State, _ rune) { _, _ = fmt.Fprint(f, "pgstore.Store") }
