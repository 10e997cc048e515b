package filestore

import (
	"errors"
	"io"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
)

// image is what a disk holds, by name.
type image map[string]content

// save writes the files of the image into the folder.
func (img image) save(dir string) error {
	for name, c := range img {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, c.data, fileMode); err != nil {
			return err
		}
		if err := os.Truncate(path, c.size); err != nil {
			return err
		}
	}
	return nil
}

// sector is what a disk writes wholly or not at all.
const sector = 512

// crash returns what is found after a power cut: all that was synced, and of the rest, any part.
func (d *crashDisk) crash(random *rand.Rand) image {
	d.mu.Lock()
	defer d.mu.Unlock()
	img := image{}
	names := d.crashNames(random)
	for _, name := range slices.Sorted(maps.Keys(names)) {
		img[name] = names[name].crash(random)
	}
	return img
}

// synced returns what is durable for certain: a power cut that loses all it may.
func (d *crashDisk) synced() image {
	d.mu.Lock()
	defer d.mu.Unlock()
	img := image{}
	for name, inode := range d.durable {
		img[name] = inode.synced.clone()
	}
	return img
}

// current returns the files as the process sees them: what a kill leaves.
func (d *crashDisk) current() (image, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	img := image{}
	for name, inode := range d.names {
		f, err := os.Open(d.in(name))
		if err != nil {
			return nil, err
		}
		data, err := io.ReadAll(io.NewSectionReader(f, 0, min(inode.extent, inode.size)))
		if err := errors.Join(err, f.Close()); err != nil {
			return nil, err
		}
		img[name] = content{data, inode.size}
	}
	return img, nil
}

// crashNames returns the names after a power cut. A rename happened or not: there is no half of it.
func (d *crashDisk) crashNames(random *rand.Rand) map[string]*crashInode {
	names := maps.Clone(d.durable)
	lands := landing(random, len(d.renamed))
	for i, c := range d.renamed {
		if !lands(i) {
			continue
		}
		if c.from != "" {
			delete(names, c.from)
		}
		if c.inode == nil {
			delete(names, c.name)
			continue
		}
		names[c.name] = c.inode
	}
	return names
}

// landing returns which of n changes that weren't synced reach the disk: none, all, the first, the last, or any.
func landing(random *rand.Rand, n int) func(i int) bool {
	if n == 0 {
		return func(int) bool { return false }
	}
	at := random.IntN(n + 1)
	share := random.Float64()
	return [...]func(i int) bool{
		func(int) bool { return false },
		func(int) bool { return true },
		func(i int) bool { return i < at },
		func(i int) bool { return i >= at },
		func(i int) bool { return i == at },
		func(i int) bool { return i != at },
		func(int) bool { return random.Float64() < share },
	}[random.IntN(7)]
}

// crash returns what is left of the file. What wasn't synced lands sector by sector: the system may have written a sector
// back after any of the changes to it, or never, and in any order.
func (n *crashInode) crash(random *rand.Rand) content {
	left := n.synced.clone()
	now := n.synced.clone()
	changeLands := landing(random, len(n.pending))
	for i, c := range n.pending {
		c.apply(&now)
		if c.data == nil {
			if changeLands(i) {
				left.resize(c.off)
			}
			continue
		}
		first, last := c.off/sector, (c.off+int64(len(c.data))-1)/sector
		sectorLands := func(int) bool { return changeLands(i) }
		if random.IntN(2) == 0 { // this one was torn
			sectorLands = landing(random, int(last-first+1))
		}
		for s := first; s <= last; s++ {
			if sectorLands(int(s - first)) {
				left.write(s*sector, now.bytes(s*sector, min(sector, now.size-s*sector)))
			}
		}
		if random.IntN(8) == 0 { // the size was written, the data wasn't
			left.size = max(left.size, now.size)
		}
	}
	return left
}
