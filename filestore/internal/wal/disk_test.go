package wal

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// disk is a disk in memory, on which a power cut loses any part of what wasn't synced. Files are
// durable from their creation on.
type disk struct {
	files  map[string]*memFile
	lies   bool  // Sync does nothing and reports success
	downAt int   // the number of the operation that doesn't happen any more; 0: all happen
	fail   error // the next sync fails with it
	steps  int
}

// memFile is a file: its durable content, and the writes since the last sync.
type memFile struct {
	disk    *disk
	durable []byte
	current []byte
	pending []write
}

type write struct {
	offset int64
	data   []byte // nil: the file is truncated at the offset
}

var errDown = errors.New("the power was cut")

func newDisk() *disk { return &disk{files: make(map[string]*memFile)} }

func (d *disk) open(name string) (File, error) {
	if d.files[name] == nil {
		d.files[name] = &memFile{disk: d}
	}
	return d.files[name], nil
}

// step reports whether an operation still happens.
func (d *disk) step() error {
	if d.downAt > 0 && d.steps+1 >= d.downAt {
		return errDown
	}
	d.steps++
	return nil
}

func (f *memFile) ReadAt(b []byte, offset int64) (int, error) {
	return bytes.NewReader(f.current).ReadAt(b, offset)
}

func (f *memFile) WriteAt(b []byte, offset int64) (int, error) {
	err := f.disk.step()
	if err != nil {
		b = b[:len(b)/2] // the write is torn
	}
	w := write{offset, bytes.Clone(b)}
	f.pending = append(f.pending, w)
	f.current = w.apply(f.current)
	return len(b), err
}

func (f *memFile) Truncate(size int64) error {
	if err := f.disk.step(); err != nil {
		return err
	}
	f.pending = append(f.pending, write{size, nil})
	f.current = f.current[:size]
	return nil
}

func (f *memFile) Sync() error {
	if err := f.disk.step(); err != nil {
		return err
	}
	if err := f.disk.fail; err != nil {
		f.disk.fail, f.pending = nil, nil // no later sync writes what this one hasn't
		return err
	}
	if !f.disk.lies {
		f.durable, f.pending = bytes.Clone(f.current), nil
	}
	return nil
}

func (f *memFile) Size() (int64, error) { return int64(len(f.current)), nil }
func (f *memFile) Close() error         { return nil }

func (w write) apply(to []byte) []byte {
	if w.data == nil {
		return to[:min(w.offset, int64(len(to)))]
	}
	if missing := w.offset + int64(len(w.data)) - int64(len(to)); missing > 0 {
		to = append(to, make([]byte, missing)...)
	}
	copy(to[w.offset:], w.data)
	return to
}

// kill returns the disk as a process that was killed leaves it.
func (d *disk) kill() *disk {
	after := newDisk()
	for name, f := range d.files {
		after.files[name] = &memFile{
			disk: after, durable: bytes.Clone(f.durable), current: bytes.Clone(f.current), pending: slices.Clone(f.pending),
		}
	}
	return after
}

// crash returns the disk after a power cut: each sector that wasn't synced is there or not.
func (d *disk) crash(random *rand.Rand) *disk {
	const sector = 512
	after := newDisk()
	for _, name := range slices.Sorted(maps.Keys(d.files)) {
		f := d.files[name]
		left := bytes.Clone(f.durable)
		share := []float64{0, 1, random.Float64()}[random.IntN(3)]
		for _, w := range f.pending {
			if w.data == nil {
				if random.Float64() < share {
					left = w.apply(left)
				}
				continue
			}
			for at := int64(0); at < int64(len(w.data)); {
				end := min(int64(len(w.data)), (w.offset+at)/sector*sector+sector-w.offset)
				if random.Float64() < share {
					left = write{w.offset + at, w.data[at:end]}.apply(left)
				}
				at = end
			}
		}
		after.files[name] = &memFile{disk: after, durable: left, current: bytes.Clone(left)}
	}
	return after
}

var names = [2]string{"0", "1"}

const limit = 16 << 10

func openLog(t *testing.T, d *disk) *Log {
	t.Helper()
	l, err := Open(Config{Names: names, Open: d.open, Limit: limit})
	require.NoError(t, err)
	return l
}

// appendGroup writes a group of these entries.
func appendGroup(l *Log, entries ...string) error {
	l.Begin()
	for _, e := range entries {
		l.Append(func(b []byte) []byte { return append(append(b, e...), '\n') })
	}
	return l.Write()
}

// replayed returns the entries that a log has from the position on.
func replayed(l *Log, id ID, from Position) (entries []string, torn int64, err error) {
	torn, err = l.Replay(id, from, collect(&entries))
	return entries, torn, err
}

func collect(into *[]string) func(payload []byte, n int) error {
	return func(payload []byte, n int) error {
		lines := bytes.Split(bytes.TrimSuffix(payload, []byte("\n")), []byte("\n"))
		if len(lines) != n {
			return fmt.Errorf("%d entries instead of %d", len(lines), n)
		}
		for _, line := range lines {
			*into = append(*into, string(line))
		}
		return nil
	}
}

var _ io.ReaderAt = (*memFile)(nil)
