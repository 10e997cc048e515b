package filestore

import (
	"fmt"
	"hash/maphash"
)

// indexNames say what an index is by.
var indexNames = [indexes]string{byDue: "expiry", bySeen: "activity", byUser: "user", byClient: "client"}

// difference compares two sets, of which neither is in memory: what was added and not removed leaves a trace in one of its parts.
// The sets are in different orders; the sum of their hashes isn't.
type difference [differenceParts]uint64

const differenceParts = 1 << 10

func (d *difference) add(hash uint64)    { d[hash%differenceParts] += hash }
func (d *difference) remove(hash uint64) { d[hash%differenceParts] -= hash }
func (d *difference) zero() bool         { return *d == difference{} }

func (v *verifier) hash(key []byte) uint64 { return maphash.Bytes(v.seed, key) }

// expect notes which entries the indexes should have for a session.
func (v *verifier) expect(key []byte, s stored) {
	for i := range v.differences {
		if entry := v.indexKey(i, key, s); entry != nil {
			v.differences[i].add(v.hash(entry))
		}
	}
}

// indexKey returns the entry that an index should have for a session, nil if none. It is valid until the next.
func (v *verifier) indexKey(index int, key []byte, s stored) []byte {
	b := v.key[:0]
	switch user, client := s.value().owner(); index {
	case byDue:
		if s.due() == never {
			return nil
		}
		b = dueKey(b, s.due(), key)
	case bySeen:
		b = seenKey(b, s.granule(), key)
	case byUser:
		if len(user) == 0 {
			return nil
		}
		b = userKey(b, user, key)
	case byClient:
		if len(client) == 0 {
			return nil
		}
		b = clientKey(b, client, s.value().uuidClient(), key)
	}
	v.key = b
	return b
}

// maxCompared is how many entries are in memory at a time, about, when two sets are compared one by one.
const maxCompared = 200_000

// explain finds out which entries make the difference, and reports them: an entry for each index, so that the list says something.
func (v *verifier) explain(app string, roots *spaceRoots, index int) {
	var look difference // the parts to look at: not zero
	room := max(1, maxCompared*differenceParts/max(1, v.report.sessions))
	for i, sum := range v.differences[index] {
		if sum != 0 && room > 0 {
			look[i] = 1
			room--
		}
	}
	missing := make(map[string]int64) // where the session is
	again := v.file.walk(func(int64, string) {}, func() {})
	if roots.sessions != nil {
		again.bucket(*roots.sessions, func(e element) {
			s, wrong := openSession(app, e)
			if wrong != "" {
				return
			}
			if entry := v.indexKey(index, e.key, s); entry != nil && look[v.hash(entry)%differenceParts] != 0 {
				missing[string(entry)] = e.offset
			}
		})
	}
	var surplus, first int64
	if roots.indexes[index] != nil {
		again.bucket(*roots.indexes[index], func(e element) {
			if look[v.hash(e.key)%differenceParts] == 0 {
				return
			}
			if _, ok := missing[string(e.key)]; ok {
				delete(missing, string(e.key))
				return
			}
			if surplus == 0 {
				first = e.offset
			}
			surplus++
		})
	}
	least := ""
	if room == 0 {
		least = "at least "
	}
	if surplus == 0 && len(missing) == 0 {
		v.report.problems.add(-1, fmt.Sprintf("the index by %s isn't what the sessions say", indexNames[index]))
	}
	if surplus > 0 {
		v.report.problems.add(first, fmt.Sprintf("here is the first of %s%d entries of the index by %s that no session has", least, surplus, indexNames[index]))
	}
	if len(missing) > 0 {
		at := int64(-1)
		for _, offset := range missing {
			if at < 0 || offset < at {
				at = offset
			}
		}
		v.report.problems.add(at, fmt.Sprintf("here is the first of %s%d sessions that aren't in the index by %s", least, len(missing), indexNames[index]))
	}
}
