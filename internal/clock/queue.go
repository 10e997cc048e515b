package clock

import "container/heap"

// queue has deadlines of one kind of time, the earliest first.
type queue []*Deadline

// put plans d, or gives it its new place; it reports whether d is now the first.
func (q *queue) put(d *Deadline) (first bool) {
	if d.index == 0 {
		heap.Push(q, d)
	} else {
		heap.Fix(q, int(d.index)-1)
	}
	return d.index == 1
}

func (q *queue) remove(d *Deadline) { heap.Remove(q, int(d.index)-1) }

// Len implements heap.Interface.
func (q *queue) Len() int { return len(*q) }

// Less implements heap.Interface.
func (q *queue) Less(i, j int) bool { return (*q)[i].at < (*q)[j].at }

// Swap implements heap.Interface.
func (q *queue) Swap(i, j int) {
	h := *q
	h[i], h[j] = h[j], h[i]
	h[i].index, h[j].index = int32(i)+1, int32(j)+1 //nolint:gosec // no process has two billion
}

// Push implements heap.Interface.
func (q *queue) Push(x any) {
	d := x.(*Deadline)
	*q = append(*q, d)
	d.index = int32(len(*q)) //nolint:gosec // likewise
}

// Pop implements heap.Interface.
func (q *queue) Pop() any {
	h := *q
	d := h[len(h)-1]
	h[len(h)-1] = nil
	*q = h[:len(h)-1]
	d.index = 0
	return d
}
