package main

import (
	"encoding/json"
	"sync"
)

// byHand keeps sessions as an application does that has no library: JSON in a map, behind a mutex.
type byHand struct {
	mu  sync.Mutex
	all map[string][]byte
}

// byHandIncrements does what socketIncrements does.
func byHandIncrements() (*subject, error) {
	const id = "00000001-0000-4000-8000-000000000001"
	h := &byHand{all: map[string][]byte{id: []byte(`{"n":41,"theme":"dark","lang":"en"}`)}}
	return &subject{
		run: func(n int) error {
			for range n {
				if err := h.increment(id); err != nil {
					return err
				}
			}
			return nil
		},
		check: func(n int) error {
			var values map[string]any
			if err := json.Unmarshal(h.all[id], &values); err != nil {
				return err
			}
			count, _ := values["n"].(float64)
			return same("stored increments", int(count)-planted, n)
		},
		close: func() error { return nil },
	}, nil
}

func (h *byHand) increment(id string) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	var values map[string]any
	if err := json.Unmarshal(h.all[id], &values); err != nil {
		return err
	}
	n, ok := values["n"].(float64)
	if !ok {
		return errAbsent
	}
	values["n"] = n + 1
	text, err := json.Marshal(values)
	if err == nil {
		h.all[id] = text
	}
	return err
}
