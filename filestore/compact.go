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

// Optimize implements store.Optimizer: it writes the database anew, without the space that it doesn't need, puts that in its
// place, and gives the log's space back. It needs as much disk space again as the sessions take. The store stays usable; changes wait
// if they fill the log meanwhile.
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
	err := e.quietly(ctx, func() error {
		name := newName(e.path)
		hd, err := e.home.head()
		if err == nil {
			err = e.copyTo(ctx, name, hd, "compacting")
		}
		if err != nil {
			return errors.Join(err, e.disk.Remove(name))
		}
		if err := e.home.swap(name); err != nil {
			return e.fail(err) // nobody knows which of the two a crash would leave
		}
		return e.committer.log.other().shrink()
	})
	if err != nil {
		return err
	}
	if err := e.flush(ctx, true); err != nil { // the log goes on in the segment that is small now
		return err
	}
	return e.quietly(ctx, func() error { return e.committer.log.other().shrink() })
}

// quietly calls fn while no checkpoint is being made: the database doesn't change, nor which segment the log is in.
func (e *engine) quietly(ctx context.Context, fn func() error) error {
	release, err := e.checkpointer.busy.enter(ctx)
	if err != nil {
		return err
	}
	defer release()
	if err := e.failed(); err != nil {
		return err
	}
	return fn()
}

// Backup writes a database to w that has every session that was stored before the call, and can be opened as it is. It needs as
// much disk space, beside the database, as the sessions take, because w may be slow and the database can't wait for it. The
// store stays usable. It returns how many bytes it has written.
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
	if err := e.copyFor(ctx, name); err != nil {
		return 0, fmt.Errorf("filestore: backup: %w", err)
	}
	if n, err = e.send(ctx, w, name); err != nil {
		return n, fmt.Errorf("filestore: backup: %w", err)
	}
	return n, nil
}

// copyFor makes a database of that name with all that is stored now.
func (e *engine) copyFor(ctx context.Context, name string) error {
	leave, err := e.compaction.enter(ctx)
	if err != nil {
		return err
	}
	defer leave()
	if err := e.flush(ctx, false); err != nil {
		return err
	}
	return e.quietly(ctx, func() error { return e.copyTo(ctx, name, head{}, "copying") })
}

// send writes the file to w.
func (e *engine) send(ctx context.Context, w io.Writer, name string) (n int64, err error) {
	f, err := openFile(name, os.O_RDONLY, 0)
	if err != nil {
		return 0, err
	}
	defer f.Close() //nolint:errcheck // nothing was written
	info, err := f.Stat()
	if err != nil {
		return 0, err
	}
	p := e.progress("writing", info.Size())
	for {
		if ctx.Err() != nil {
			return n, context.Cause(ctx)
		}
		piece, err := io.CopyN(w, f, 1<<20)
		n += piece
		p.at(n)
		if errors.Is(err, io.EOF) {
			return n, nil
		}
		if err != nil {
			return n, err
		}
	}
}

// copyTo makes a database of that name with what the store's has and a head of its own. When it returns nil it is durable, but
// for its name.
func (e *engine) copyTo(ctx context.Context, name string, hd head, doing string) error {
	if err := e.disk.Remove(name); err != nil {
		return err
	}
	db, err := openDatabase(e.disk, name)
	if err != nil {
		return err
	}
	c := copier{engine: e, db: db}
	return errors.Join(c.run(ctx, hd, doing), db.Close())
}

type copier struct {
	engine *engine
	db     *bolt.DB
}

// pair is an entry of a bucket.
type pair struct{ key, value []byte }

const (
	copyPiece = 4 << 20 // bytes that are read, and written, at a time
	copyFill  = 1       // of a page
)

func (c *copier) run(ctx context.Context, hd head, doing string) error {
	var names [][]byte
	var total int64
	err := c.engine.home.view(func(tx *bolt.Tx) error {
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
	p := c.engine.progress(doing, total)
	c.db.NoSync = true // until the last transaction, whose sync is for all of them
	for _, name := range names {
		for key := []byte(nil); ; {
			if err := c.engine.ready(ctx); err != nil { // Close doesn't wait for more than a piece
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

// read returns the entries of a bucket from the key on, as many as a piece has room for, and where to go on.
func (c *copier) read(name, from []byte) (pairs []pair, next []byte, size int64, err error) {
	var arena []byte
	err = c.engine.home.view(func(tx *bolt.Tx) error {
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
	c.db.AllocSize = growthOf(tx.Size() / 8) // it isn't synced, and is to be small
	defer tx.Rollback()                      //nolint:errcheck // an error if it has been committed, and no other
	if err := fn(tx); err != nil {
		return err
	}
	return c.engine.disk.Commit(tx)
}
