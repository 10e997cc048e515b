package filestore

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// damage opens stores whose files aren't as they were written.
type damage struct {
	t      *testing.T
	img    image
	random *rand.Rand

	check bool // with the command first: pages that it refuses may end this process

	exact, prefix, refused int
	unwritable             int // refused at the first change: bbolt's check ignores the sizes of buckets
}

// anyBit returns a bit to flip.
func (d *damage) anyBit() byte { return 1 << d.random.IntN(8) }

// stride is how far it is to the next place that is damaged, of a thing of that size: about places of them, many more if there is time.
func (d *damage) stride(size int64, places int) int64 {
	switch {
	case soaking() && d.check: // each in a process of its own
		places *= 40
	case soaking():
		places *= 200
	}
	return 1 + d.random.Int64N(max(1, 2*size/int64(places)))
}

// with returns the image with another content of a file.
func (d *damage) with(name string, change func(c *content)) image {
	img := image{}
	for n, c := range d.img {
		if n == name {
			c = c.clone()
			change(&c)
		}
		img[n] = c
	}
	return img
}

func (d *damage) flipped(name string, at int64, bit byte) image {
	return d.with(name, func(c *content) { c.write(at, []byte{c.bytes(at, 1)[0] ^ bit}) })
}

func (d *damage) cut(name string, size int64) image {
	return d.with(name, func(c *content) { c.resize(size) })
}

// open opens the store in the image and returns what it holds, after comparing the answers to all questions. nil: it was
// refused, as it should be: with an error that names one of the files, and with nothing changed.
func (d *damage) open(img image, format string, args ...any) contents {
	what := fmt.Sprintf(format, args...)
	dir := fastDir(d.t)
	defer os.RemoveAll(dir)
	require.NoError(d.t, img.save(dir))
	path := filepath.Join(dir, storeName)
	if d.check && !checkCommand(d.t, path) {
		d.requireUnchanged(dir, img, what)
		d.refused++
		return nil
	}
	opts := smallOptions()
	st, err := Open(path, &opts)
	if err != nil {
		var damaged *DamagedError
		require.True(d.t, errors.As(err, &damaged), "%s: %v", what, err)
		require.ErrorIs(d.t, err, ErrDamaged)
		require.True(d.t, strings.HasPrefix(damaged.Path, path), "%s: %s", what, damaged.Path)
		require.Contains(d.t, err.Error(), damaged.Path)
		if d.check {
			d.unwritable++
			return nil
		}
		d.requireUnchanged(dir, img, what)
		d.refused++
		return nil
	}
	found, problems := contentsOf(d.t.Context(), st)
	if err := st.Close(); d.check && err != nil {
		require.ErrorIs(d.t, err, ErrDamaged, what)
		d.unwritable++
		return nil
	} else {
		require.NoError(d.t, err, what)
	}
	require.Empty(d.t, problems, what)
	return found
}

func (d *damage) requireUnchanged(dir string, img image, what string) {
	for name, c := range img {
		f, err := os.Open(filepath.Join(dir, name))
		require.NoError(d.t, err)
		b := make([]byte, len(c.data))
		_, err = f.ReadAt(b, 0)
		require.NoError(d.t, err)
		info, err := f.Stat()
		require.NoError(d.t, errors.Join(err, f.Close()))
		require.Equal(d.t, c.size, info.Size(), "%s: the size of %s was changed", what, name)
		require.True(d.t, bytes.Equal(c.data, b), "%s: %s was changed", what, name)
	}
}

// equalContents reports whether both hold the same.
func equalContents(a, b contents) bool {
	if len(a) != len(b) {
		return false
	}
	for key, x := range a {
		if y, ok := b[key]; !ok || differences(&x, &y) != nil {
			return false
		}
	}
	return true
}

// TestSoakG8_FlippedDatabase: with any bit of a database changed, the store holds exactly what it did, or the command that checks it
// refuses it. 100 flips of each of two stores; with SOAK set some 4,000.
func TestSoakG8_FlippedDatabase(t *testing.T) {
	t.Parallel() // on files of its own, which it waits for
	for name, img := range map[string]image{"closed": closedImage(t), "killed": killedImage(t)} {
		t.Run(name, func(t *testing.T) {
			d := &damage{t: t, img: img, random: rand.New(rand.NewPCG(soakSeed(t), 0)), check: true}
			want := d.open(img, "as it was")
			require.Len(t, want, 30)
			end := int64(len(img[storeName].data)) + 100
			for at := int64(0); at < end; at += d.stride(end, 100) {
				bit := d.anyBit()
				if found := d.open(d.flipped(storeName, at, bit), "bit %d of byte %d is flipped", bit, at); found != nil {
					require.True(t, equalContents(want, found), "bit %d of byte %d is flipped, and the store holds something else", bit, at)
					d.exact++
				}
			}
			t.Logf("%d bytes: %d flips are harmless, %d are refused at a change, %d before", end, d.exact, d.unwritable, d.refused)
			require.Positive(t, min(d.exact, d.refused))
		})
	}
}

// TestSoakG8_CutDatabase: a database that was cut off holds exactly what it did, or is refused.
func TestSoakG8_CutDatabase(t *testing.T) {
	for name, img := range map[string]image{"closed": closedImage(t), "killed": killedImage(t)} {
		t.Run(name, func(t *testing.T) {
			d := &damage{t: t, img: img, random: rand.New(rand.NewPCG(soakSeed(t), 0))}
			want := d.open(img, "as it was")
			end := int64(len(img[storeName].data)) + 5000
			for size := int64(0); size < end; size += d.stride(end, 40) {
				if found := d.open(d.cut(storeName, size), "cut at %d", size); found != nil {
					require.True(t, equalContents(want, found), "cut at %d, and the store holds something else", size)
					d.exact++
				}
			}
			t.Logf("%d bytes: %d cuts are harmless, %d are refused", end, d.exact, d.refused)
			require.Positive(t, d.refused)
		})
	}
}
