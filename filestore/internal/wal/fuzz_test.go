package wal

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// FuzzGroup: parsing any bytes ends, and returns a group only if its checksum is right.
func FuzzGroup(f *testing.F) {
	g := group{at: 8, entries: 1}
	f.Add(g.seal(append(make([]byte, groupHeader), "entry"...), 7))
	f.Add([]byte("sbg1"))
	f.Fuzz(func(t *testing.T, b []byte) {
		var id ID
		if len(b) >= groupHeader {
			id = ID(binary.LittleEndian.Uint64(b[8:]))
		}
		if g, ok := parseGroup(b, id); ok {
			require.LessOrEqual(t, g.size(), aligned(int64(len(b))))
			require.Equal(t, g.sum, groupSum(b[:groupHeader+len(g.payload)]))
		}
	})
}

const forgedID = ID(7)

// forge returns a file of groups with valid checksums. The script has a byte for each group: what
// is wrong with it, and how many bytes its entry has. A group with a wrong number is followed by 8
// bytes more, the difference from the right one. It also returns the position and the checksum with
// which the log goes on.
func forge(script []byte, at Position, chain uint32, kind uint32) ([]byte, Position, uint32) {
	var file []byte
	synced := at
	for len(script) > 0 && len(file) < limit {
		what, size := script[0]>>5, int(script[0]&31)
		script = script[1:]
		g := group{at: at, synced: synced, chain: chain, kind: kind, entries: 1}
		var difference uint64
		if what != 0 && len(script) >= 8 {
			difference, script = binary.LittleEndian.Uint64(script), script[8:]
		}
		payload := strings.Repeat("x", size) + "\n"
		if kind == startGroup {
			payload, g.entries = "", 0
		}
		switch what {
		case 1:
			g.at += Position(difference) //nolint:gosec // any position
		case 2:
			g.synced += Position(difference) //nolint:gosec // likewise
		case 3:
			g.chain += uint32(difference) //nolint:gosec // likewise
		case 4:
			g.kind += uint32(difference) //nolint:gosec // likewise
		case 5:
			g.entries += uint32(difference) //nolint:gosec // likewise
		case 6: // nothing follows the header
			payload = ""
		case 7: // the group is overwritten later
			g.at -= 8
		}
		b := g.seal(append(make([]byte, groupHeader), payload...), forgedID)
		file, chain, kind = append(file, b...), g.sum, changesGroup
		synced, at = g.at, g.at+Position(len(b))
	}
	return file, at, chain
}

// FuzzReplay: whatever groups with valid checksums are in the two files of a log, and wherever it
// is read from, replaying doesn't panic. If it fails, it changes nothing; otherwise the log has the
// same entries when it is replayed again, and those that are appended to it follow.
func FuzzReplay(f *testing.F) {
	whole := []byte{0, 5, 9, 30}
	f.Add(whole, whole, int64(0))
	f.Add(whole, []byte{}, int64(48))
	f.Add([]byte{}, whole, int64(1))
	for what := range byte(8) {
		for _, difference := range []uint64{8, ^uint64(7), 1 << 20, 1 << 63} {
			wrong := append([]byte{what<<5 | 5}, binary.LittleEndian.AppendUint64(nil, difference)...)
			f.Add(append(append(bytes.Clone(whole), wrong...), whole...), whole, int64(0))
			f.Add(whole, append(append(bytes.Clone(whole), wrong...), whole...), int64(0))
			f.Add(whole, append(bytes.Clone(whole), wrong...), int64(0))
			f.Add(append(wrong, whole...), whole, int64(0))
		}
	}
	f.Fuzz(func(t *testing.T, one, two []byte, from int64) {
		d := newDisk()
		first, at, chain := forge(one, 0, 0, startGroup)
		second, _, _ := forge(two, at, chain, startGroup)
		for i, content := range [][]byte{first, second} {
			d.files[names[i]] = &memFile{disk: d, durable: content, current: bytes.Clone(content)}
		}
		l := openLog(t, d)
		entries, _, err := replayed(l, forgedID, Position(from))
		if err != nil {
			require.ErrorAs(t, err, new(*DamagedError))
			require.Equal(t, first, d.files[names[0]].current)
			require.Equal(t, second, d.files[names[1]].current)
			return
		}
		after := d.kill()
		again := openLog(t, after)
		same, torn, err := replayed(again, forgedID, Position(from))
		require.NoError(t, err)
		require.Zero(t, torn, "the unfinished tail is gone")
		require.Equal(t, entries, same)
		require.NoError(t, appendGroup(again, "more"))
		require.NoError(t, again.Sync())
		more, _, err := replayed(openLog(t, after.kill()), forgedID, Position(from))
		require.NoError(t, err)
		require.Equal(t, append(entries, "more"), more)
	})
}

// FuzzDamage: whatever bytes of a log are overwritten, it is replayed up to some group; or replaying
// fails and changes nothing. Each byte of work is one operation on the log; damage has five bytes
// for each byte that is overwritten.
func FuzzDamage(f *testing.F) {
	f.Add([]byte{1, 2, 0, 3}, []byte{})
	f.Add([]byte{255, 254, 253, 0, 252, 1, 0, 251}, []byte{0, 0, 0, 48, 1})
	f.Add(bytes.Repeat([]byte{250, 0}, 20), []byte{1, 0, 0, 48, 1, 0, 0, 1, 0, 9})
	f.Fuzz(func(t *testing.T, work, damage []byte) {
		d := newDisk()
		l := openLog(t, d)
		require.NoError(t, l.Create(0))
		h := history{id: l.ID()}
		atBase := 0
		for _, op := range work {
			size := 8 * int(op)
			if !l.Fits(size + 20) {
				if l.Base() > 0 {
					h.applied, h.skipped = l.Base(), atBase
				}
				require.NoError(t, l.Rotate())
				atBase = len(h.begun)
			}
			if op == 0 {
				require.NoError(t, l.Sync())
				continue
			}
			h.begun = append(h.begun, fmt.Sprintf("%d %s", len(h.begun), strings.Repeat("x", size)))
			require.NoError(t, appendGroup(l, h.begun[len(h.begun)-1]))
		}
		after, damaged := d.kill(), false
		for ; len(damage) >= 5; damage = damage[5:] {
			file := after.files[names[damage[0]%2]]
			offset := int(binary.BigEndian.Uint16(damage[1:])) //nolint:gosec // it has that many
			if offset < len(file.current) {
				damaged = damaged || file.current[offset] != damage[3]^damage[4]
				file.current[offset] = damage[3] ^ damage[4]
			}
		}
		before := [2][]byte{bytes.Clone(after.files[names[0]].current), bytes.Clone(after.files[names[1]].current)}
		l = openLog(t, after)
		entries, _, err := replayed(l, h.id, h.applied)
		if !damaged {
			h.synced = len(h.begun)
		}
		if err != nil {
			require.True(t, damaged, "%v", err)
			require.ErrorAs(t, err, new(*DamagedError))
			require.Equal(t, before[0], after.files[names[0]].current)
			require.Equal(t, before[1], after.files[names[1]].current)
			return
		}
		require.NoError(t, h.check(entries))
		require.NoError(t, appendGroup(l, "more"))
		require.NoError(t, l.Sync())
		more, _, err := replayed(openLog(t, after.kill()), h.id, h.applied)
		require.NoError(t, err)
		require.Equal(t, append(entries, "more"), more)
	})
}
