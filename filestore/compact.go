package filestore

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	bolt "go.etcd.io/bbolt"
)

// Optimize implements store.Optimizer. It writes a copy of the database without unused space,
// replaces the database by it, and truncates the log files. It needs as much free disk space as the
// sessions take. The store stays usable; changes wait if they fill the log meanwhile.
func (s *Store) Optimize(ctx context.Context) error {
	if err := s.ready(ctx); err != nil {
		return err
	}
	e := s.engine
	leave, err := e.compaction.enter(ctx)
	if err != nil {
		return err
	}
	defer leave()
	if err := e.compact(ctx); err != nil {
		return fmt.Errorf("filestore: optimize: %w", err)
	}
	return nil
}

func (e *engine) compact(ctx context.Context) error {
	if err := e.flush(ctx, false); err != nil {
		return err
	}
	err := e.withoutCheckpoint(ctx, func() error {
		name := newName(e.path)
		hd, err := e.database.head()
		if err == nil {
			err = e.copyTo(ctx, name, hd, "compacting")
		}
		if err != nil {
			return errors.Join(err, e.disk.Remove(name))
		}
		if err := e.database.swap(name); err != nil {
			return e.fail(err) // a crash might leave either file
		}
		return e.log.Shrink()
	})
	if err != nil {
		return err
	}
	if err := e.flush(ctx, true); err != nil { // the log continues in the file that was truncated
		return err
	}
	return e.withoutCheckpoint(ctx, e.log.Shrink)
}

// Backup writes a database to w that contains every session that was stored before the call, and
// can be opened as it is. It returns the number of bytes written. The store stays usable. Backup
// needs as much free disk space as the sessions take: w may be slow, and the database can't wait
// for it.
func (s *Store) Backup(ctx context.Context, w io.Writer) (n int64, err error) {
	if err := s.ready(ctx); err != nil {
		return 0, err
	}
	e := s.engine
	leave, err := e.backup.enter(ctx)
	if err != nil {
		return 0, err
	}
	defer leave()
	name := backupName(e.path)
	defer func() { err = errors.Join(err, e.disk.Remove(name)) }()
	if err := e.copyNow(ctx, name); err != nil {
		return 0, fmt.Errorf("filestore: backup: %w", err)
	}
	if n, err = e.send(ctx, w, name); err != nil {
		return n, fmt.Errorf("filestore: backup: %w", err)
	}
	return n, nil
}

// newName returns the name of a database that is to replace the store's.
func newName(path string) string { return path + ".new" }

// backupName returns the name of the copy that Backup sends.
func backupName(path string) string { return path + ".backup" }

// copyNow makes a database of that name with all sessions.
func (e *engine) copyNow(ctx context.Context, name string) error {
	leave, err := e.compaction.enter(ctx)
	if err != nil {
		return err
	}
	defer leave()
	if err := e.flush(ctx, false); err != nil {
		return err
	}
	return e.withoutCheckpoint(ctx, func() error { return e.copyTo(ctx, name, head{}, "copying") })
}

// send writes the file to w.
func (e *engine) send(ctx context.Context, w io.Writer, name string) (n int64, err error) {
	f, err := openFile(name, os.O_RDONLY, 0)
	if err != nil {
		return 0, err
	}
	defer f.Close() //nolint:errcheck // it was only read
	info, err := f.Stat()
	if err != nil {
		return 0, err
	}
	p := newProgress(e.opts.Progress, "writing", info.Size())
	for {
		if ctx.Err() != nil {
			return n, context.Cause(ctx)
		}
		piece, err := io.CopyN(w, f, 1<<20)
		n += piece
		p.add(piece)
		if errors.Is(err, io.EOF) {
			return n, nil
		}
		if err != nil {
			return n, err
		}
	}
}

// copyTo makes a database of that name with the content of the store's and another head. When it
// returns nil the content is durable, and the name isn't.
func (e *engine) copyTo(ctx context.Context, name string, hd head, doing string) error {
	if err := e.disk.Remove(name); err != nil {
		return err
	}
	db, err := openBolt(e.disk, name)
	if err != nil {
		return err
	}
	c := copier{engine: e, db: db}
	return errors.Join(c.run(ctx, hd, doing), db.Close())
}

// copier copies the database, a piece at a time.
type copier struct {
	engine *engine
	db     *bolt.DB
}

// pair is an entry of a bucket.
type pair struct{ key, value []byte }

const (
	copyPiece = 4 << 20 // bytes that are read and written with one transaction each
	copyFill  = 1       // of a page
)

func (c *copier) run(ctx context.Context, hd head, doing string) error {
	var names [][]byte
	var total int64
	err := c.engine.database.view(func(tx *bolt.Tx) error {
		total = tx.Size()
		return tx.ForEach(func(name []byte, _ *bolt.Bucket) error {
			if !bytes.Equal(name, metaBucket) {
				names = append(names, bytes.Clone(name))
			}
			return nil
		})
	})
	if err != nil {
		return err
	}
	p := newProgress(c.engine.opts.Progress, doing, total)
	c.db.NoSync = true // until the last transaction, whose sync includes all of them
	for _, name := range names {
		for key := []byte(nil); ; {
			if err := c.engine.ready(ctx); err != nil { // Close waits for one piece at most
				return err
			}
			pairs, next, size, err := c.read(name, key)
			if err == nil {
				err = c.write(name, pairs)
			}
			if err != nil {
				return err
			}
			p.add(size)
			if key = next; key == nil {
				break
			}
		}
	}
	c.db.NoSync = false
	return c.update(hd.put)
}

// read returns a piece of a bucket, beginning with the key, and the next key; nil: there are no
// more.
func (c *copier) read(name, from []byte) (pairs []pair, next []byte, size int64, err error) {
	var arena []byte
	err = c.engine.database.view(func(tx *bolt.Tx) error {
		cursor := tx.Bucket(name).Cursor()
		for k, v := cursor.Seek(from); k != nil; k, v = cursor.Next() {
			if size > copyPiece {
				next = bytes.Clone(k)
				return nil
			}
			at := len(arena)
			arena = append(append(arena, k...), v...)
			pairs = append(pairs, pair{arena[at : at+len(k) : at+len(k)], arena[at+len(k):]})
			size += int64(len(k) + len(v))
		}
		return nil
	})
	return pairs, next, size, err
}

func (c *copier) write(name []byte, pairs []pair) error {
	return c.update(func(tx *bolt.Tx) error {
		bucket, err := tx.CreateBucketIfNotExists(name)
		if err != nil {
			return err
		}
		bucket.FillPercent = copyFill
		for _, p := range pairs {
			if err := bucket.Put(p.key, p.value); err != nil {
				return err
			}
		}
		return nil
	})
}

func (c *copier) update(fn func(*bolt.Tx) error) error {
	tx, err := c.db.Begin(true)
	if err != nil {
		return err
	}
	c.db.AllocSize = growthOf(tx.Size() / 8) // the file should stay small, and isn't synced when it grows
	defer tx.Rollback()                      //nolint:errcheck // fails if it was committed, and only then
	if err := fn(tx); err != nil {
		return err
	}
	return c.engine.disk.Commit(tx)
}
