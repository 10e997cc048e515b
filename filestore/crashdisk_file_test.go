package filestore

import (
	"bytes"
	"io"
	"os"
)

// content is what a file holds; behind data, zeros.
type content struct {
	data []byte
	size int64
}

func (c *content) clone() content { return content{bytes.Clone(c.data), c.size} }

// write puts b at the offset, and makes the content longer if it must.
func (c *content) write(off int64, b []byte) {
	end := off + int64(len(b))
	if missing := end - int64(len(c.data)); missing > 0 {
		c.data = append(c.data, make([]byte, missing)...)
	}
	copy(c.data[off:], b)
	c.size = max(c.size, end)
}

func (c *content) resize(size int64) {
	c.size = size
	if int64(len(c.data)) > size {
		c.data = c.data[:size:size]
	}
}

// bytes returns n bytes at the offset.
func (c *content) bytes(off, n int64) []byte {
	b := make([]byte, n)
	if off < int64(len(c.data)) {
		copy(b, c.data[off:])
	}
	return b
}

// change is one write, or, with data nil, a change of the size to off.
type change struct {
	off  int64
	data []byte
}

func (c change) apply(to *content) {
	if c.data == nil {
		to.resize(c.off)
		return
	}
	to.write(c.off, c.data)
}

// crashInode is a file, whatever its name is now.
type crashInode struct {
	synced  content
	pending []change // since then
	size    int64    // as the process sees it
	extent  int64    // behind it the process has never written
}

// write records a write.
func (n *crashInode) write(off int64, b []byte) {
	if len(b) == 0 {
		return
	}
	n.pending = append(n.pending, change{off, bytes.Clone(b)})
	n.size = max(n.size, off+int64(len(b)))
	n.extent = max(n.extent, off+int64(len(b)))
}

func (n *crashInode) truncate(size int64) {
	n.pending = append(n.pending, change{off: size})
	n.size = size
}

func (n *crashInode) sync() {
	for _, c := range n.pending {
		c.apply(&n.synced)
	}
	n.pending = nil
}

// failSync is a sync that failed: the system may have marked as written what wasn't, so that no later sync writes it.
func (n *crashInode) failSync() { n.pending = nil }

// crashFile is an open file of a crashDisk.
type crashFile struct {
	disk  *crashDisk
	inode *crashInode
	file  file
	name  string
}

func (f *crashFile) ReadAt(b []byte, off int64) (int, error) {
	f.disk.mu.Lock()
	defer f.disk.mu.Unlock()
	if f.disk.down { // whoever is dead reads nothing, and it changes nothing
		return f.file.ReadAt(b, off)
	}
	if err := f.disk.step(opRead, "%s %d+%d", f.name, off, len(b)); err != nil {
		return 0, &os.PathError{Op: "read", Path: f.disk.in(f.name), Err: err}
	}
	return f.file.ReadAt(b, off)
}

func (f *crashFile) WriteAt(b []byte, off int64) (int, error) {
	return f.disk.write(f.inode, f.file, f.name, b, off)
}

// write writes to the file, and records it.
func (d *crashDisk) write(inode *crashInode, to io.WriterAt, name string, b []byte, off int64) (int, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	wasDown := d.down
	err := d.step(opWrite, "%s %d+%d", name, off, len(b))
	switch {
	case wasDown:
		return 0, &os.PathError{Op: "write", Path: d.in(name), Err: err}
	case err != nil:
		share := d.partial
		if !d.down {
			share = d.fault.short
		}
		some := b[:int(share*float64(len(b)))]
		if _, failed := to.WriteAt(some, off); failed != nil {
			return 0, failed
		}
		inode.write(off, some)
		return len(some), &os.PathError{Op: "write", Path: d.in(name), Err: err}
	}
	if n, err := to.WriteAt(b, off); err != nil {
		return n, err
	}
	inode.write(off, b)
	return len(b), nil
}

func (f *crashFile) Sync() error {
	f.disk.mu.Lock()
	defer f.disk.mu.Unlock()
	return f.disk.sync(f.inode, f.name)
}

// sync is called with mu held.
func (d *crashDisk) sync(inode *crashInode, name string) error {
	wasDown := d.down
	if err := d.step(opSync, "%s", name); err != nil {
		if !d.down && !wasDown {
			inode.failSync()
		}
		return &os.PathError{Op: "sync", Path: d.in(name), Err: err}
	}
	if !d.lies {
		inode.sync()
	}
	return nil
}

func (f *crashFile) Truncate(size int64) error {
	f.disk.mu.Lock()
	defer f.disk.mu.Unlock()
	if err := f.disk.step(opTruncate, "%s to %d", f.name, size); err != nil {
		return &os.PathError{Op: "truncate", Path: f.disk.in(f.name), Err: err}
	}
	if err := f.file.Truncate(size); err != nil {
		return err
	}
	f.inode.truncate(size)
	return nil
}

func (f *crashFile) Size() (int64, error) { return f.file.Size() }

func (f *crashFile) Close() error { return f.file.Close() }
