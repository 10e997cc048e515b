package livestore

// merge merges sorted sequences. It holds the sequences as a heap, which is ordered by the function
// before.
type merge[T any] struct {
	items  []T
	before func(a, b *T) bool
}

func newMerge[T any](items []T, before func(a, b *T) bool) *merge[T] {
	m := &merge[T]{items, before}
	for i := len(items)/2 - 1; i >= 0; i-- {
		m.down(i)
	}
	return m
}

// top returns the sequence that comes first, nil if there is none. After changing it, call fix or
// drop.
func (m *merge[T]) top() *T {
	if len(m.items) == 0 {
		return nil
	}
	return &m.items[0]
}

func (m *merge[T]) fix() { m.down(0) }

func (m *merge[T]) drop() {
	last := len(m.items) - 1
	m.items[0] = m.items[last]
	m.items = m.items[:last]
	m.down(0)
}

func (m *merge[T]) down(i int) {
	for {
		child := 2*i + 1
		if child >= len(m.items) {
			return
		}
		if right := child + 1; right < len(m.items) && m.before(&m.items[right], &m.items[child]) {
			child = right
		}
		if !m.before(&m.items[child], &m.items[i]) {
			return
		}
		m.items[i], m.items[child] = m.items[child], m.items[i]
		i = child
	}
}
