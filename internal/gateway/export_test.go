package gateway

// ParseFields returns the keys and raw values of a JSON object, for tests.
func ParseFields(data []byte) (map[string]string, error) {
	o, err := parseObject(data)
	if err != nil {
		return nil, err
	}
	fields := make(map[string]string)
	for i := range o.fields {
		fields[string(o.key(i))] = string(o.raw(i))
	}
	return fields, nil
}

// Locks returns how many sessions have a Lock, for tests.
func (g *Gateway) Locks() int {
	n := 0
	for i := range g.locks.shards {
		s := &g.locks.shards[i]
		s.mu.Lock()
		n += len(s.byID)
		s.mu.Unlock()
	}
	return n
}

// AddFlash is AddFlashRaw with the message itself.
func (d *Draft) AddFlash(v any) { d.AddFlashRaw(EncodeValue(v)) }

// SharedLoads returns how many sessions have a shared load under way, for tests.
func (g *Gateway) SharedLoads() int {
	g.shared.mu.Lock()
	defer g.shared.mu.Unlock()
	return len(g.shared.byID)
}

// LeaveAtItsTurn makes the only caller of a shared load leave when its turn has come, and returns
// how many sessions have a load under way then.
func LeaveAtItsTurn() int {
	var s sharedLoads
	s.join("s") // under way
	next := s.join("s")
	s.finish("s")
	s.leave("s", next)
	return len(s.byID)
}
