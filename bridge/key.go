package bridge

import "encoding/json"

// Key is a key of sessions whose values are of type T. Make it with NewKey, as a global; the zero
// Key is not usable.
type Key[T any] struct{ name string }

// NewKey returns the key with the name. Keys of the same name share one value.
func NewKey[T any](name string) Key[T] { return Key[T]{name} }

// Name returns the key's name.
func (k Key[T]) Name() string { return k.name }

// Get returns the value, or false if there is none or it is not a T.
func (k Key[T]) Get(s *Session) (T, bool) {
	var v T
	raw := s.raw(k.name)
	if raw == nil || json.Unmarshal(raw, &v) != nil {
		var none T
		return none, false
	}
	return v, true
}

// Set gives the key a value: see Session.Set.
func (k Key[T]) Set(s *Session, v T) { s.Set(k.name, v) }

// Delete removes the key.
func (k Key[T]) Delete(s *Session) { s.Delete(k.name) }
