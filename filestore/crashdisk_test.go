package filestore

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
	bolt "go.etcd.io/bbolt"
)

// crashDisk is a disk that loses what wasn't synced. Its folder holds the files as the process sees them; beside it stands,
// in memory, what of them is durable, and in which order the rest was done. crash says what a power cut would leave.
//
// It counts what is done to it, and goes down at the nth: from then on everything fails and nothing changes. And it fails one
// operation, if it is told which.
type crashDisk struct {
	dir string

	mu      sync.Mutex
	names   map[string]*crashInode // as the process sees them
	durable map[string]*crashInode // as they were at the last SyncDir
	renamed []nameChange           // since then
	bolts   map[*bolt.DB]*crashInode

	onCommit func() // called before each commit, once the database is known

	lies    bool // Sync and SyncDir do nothing, and say that they did
	steps   int  // done so far
	downAt  int  // the step that doesn't happen any more; 0: all happen
	down    bool
	partial float64 // how much of a write still happens if it is the one that doesn't
	fault   *fault
	counts  [operations]int
	trace   []string // what was done, the newest last
}

// operation is what a fault can hit.
type operation int

const (
	opOpen operation = iota
	opRead
	opWrite
	opSync
	opTruncate
	opRename
	opRemove
	opSyncDir
	opCommit
	operations
)

func (o operation) String() string {
	return [...]string{"open", "read", "write", "sync", "truncate", "rename", "remove", "sync folder", "commit"}[o]
}

// fault is the one operation that fails.
type fault struct {
	op    operation
	nth   int // from 1
	err   error
	lasts bool    // all later ones fail, too
	short float64 // how much of a write is written
	fired bool
}

var errPowerCut = errors.New("the power was cut")

// nameChange is a name that was created, removed (inode nil) or, if from isn't "", renamed.
type nameChange struct {
	name, from string
	inode      *crashInode
}

// newCrashDisk returns a disk in the folder, which must be empty, with the files of the image.
func newCrashDisk(t testing.TB, dir string, img image) *crashDisk {
	t.Helper()
	d := &crashDisk{dir: dir, names: map[string]*crashInode{}, durable: map[string]*crashInode{}, bolts: map[*bolt.DB]*crashInode{}}
	require.NoError(t, img.save(dir))
	for name, c := range img {
		inode := &crashInode{synced: c.clone(), size: c.size, extent: int64(len(c.data))}
		d.names[name], d.durable[name] = inode, inode
	}
	return d
}

// path returns the path of the store that the tests make on this disk.
func (d *crashDisk) path() string { return d.in(storeName) }

func (d *crashDisk) in(name string) string { return filepath.Join(d.dir, name) }

const storeName = "sessions.db"

// step is called with mu held before anything is done. An error: it isn't done.
func (d *crashDisk) step(op operation, format string, args ...any) error {
	if d.down {
		return errPowerCut
	}
	d.counts[op]++
	d.note("%v %d: %v %s", op, d.counts[op], d.steps+1, fmt.Sprintf(format, args...))
	if op != opRead {
		d.steps++
		if d.steps == d.downAt {
			d.down = true
			d.note("power cut")
			return errPowerCut
		}
	}
	if f := d.fault; f != nil && f.op == op && (f.nth == d.counts[op] || f.lasts && f.nth < d.counts[op]) {
		f.fired = true
		d.note("fails: %v", f.err)
		return f.err
	}
	return nil
}

func (d *crashDisk) note(format string, args ...any) {
	if len(d.trace) == 400 {
		d.trace = append(d.trace[:0], d.trace[200:]...)
	}
	d.trace = append(d.trace, fmt.Sprintf(format, args...))
}

// tail returns what was done last.
func (d *crashDisk) tail(n int) string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return strings.Join(d.trace[max(len(d.trace)-n, 0):], "\n")
}

// isDown reports whether the power was cut.
func (d *crashDisk) isDown() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.down
}

// failing reports whether the disk is to blame for errors.
func (d *crashDisk) failing() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.down || d.fault != nil && d.fault.fired
}

// cutAt has the power cut so many steps from now.
func (d *crashDisk) cutAt(after int, partial float64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.downAt, d.partial = d.steps+after, partial
}

// restart is what follows when only the process was killed: the files are as it saw them.
func (d *crashDisk) restart() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.down, d.downAt = false, 0
	clear(d.bolts)
	d.note("restart")
}

// base returns the name within the folder.
func (d *crashDisk) base(name string) (string, error) {
	if filepath.Dir(name) != d.dir {
		return "", fmt.Errorf("%s is outside of the crash disk %s", name, d.dir)
	}
	return filepath.Base(name), nil
}

func (d *crashDisk) Open(name string) (file, error) {
	base, err := d.base(name)
	if err != nil {
		return nil, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.step(opOpen, "%s", base); err != nil {
		return nil, &os.PathError{Op: "open", Path: name, Err: err}
	}
	f, err := osDisk{}.Open(name)
	if err != nil {
		return nil, err
	}
	return &crashFile{disk: d, inode: d.create(base), file: f, name: base}, nil
}

// create returns the file of the name, and makes it if there is none.
func (d *crashDisk) create(base string) *crashInode {
	inode := d.names[base]
	if inode == nil {
		inode = &crashInode{}
		d.names[base] = inode
		d.renamed = append(d.renamed, nameChange{name: base, inode: inode})
	}
	return inode
}

func (d *crashDisk) Rename(from, to string) error {
	baseFrom, err := d.base(from)
	if err != nil {
		return err
	}
	baseTo, err := d.base(to)
	if err != nil {
		return err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.step(opRename, "%s to %s", baseFrom, baseTo); err != nil {
		return &os.LinkError{Op: "rename", Old: from, New: to, Err: err}
	}
	if err := os.Rename(from, to); err != nil {
		return err
	}
	inode := d.names[baseFrom]
	d.names[baseTo] = inode
	delete(d.names, baseFrom)
	d.renamed = append(d.renamed, nameChange{name: baseTo, from: baseFrom, inode: inode})
	return nil
}

func (d *crashDisk) Remove(name string) error {
	base, err := d.base(name)
	if err != nil {
		return err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.step(opRemove, "%s", base); err != nil {
		return &os.PathError{Op: "remove", Path: name, Err: err}
	}
	if err := (osDisk{}).Remove(name); err != nil {
		return err
	}
	if d.names[base] != nil {
		delete(d.names, base)
		d.renamed = append(d.renamed, nameChange{name: base})
	}
	return nil
}

func (d *crashDisk) SyncDir(dir string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.step(opSyncDir, "%s", filepath.Base(dir)); err != nil {
		return &os.PathError{Op: "sync", Path: dir, Err: err}
	}
	if dir != d.dir || d.lies {
		return nil
	}
	clear(d.durable)
	maps.Copy(d.durable, d.names)
	d.renamed = nil
	return nil
}

// errIO and errFull are what a fault says.
var (
	errIO   error = syscall.EIO
	errFull error = syscall.ENOSPC
)
