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
	if err := e.compaction.Lock(ctx); err != nil {
		return err
	}
	defer e.compaction.Unlock()
	if err := e.compact(ctx); err != nil {
		return fmt.Errorf("filestore: optimize: %w", err)
	}
	return nil
}

func (e *engine) compact(ctx context.Context) error {
	err := e.flushed(ctx, false, func() error {
		name := e.path + newSuffix
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
	return e.flushed(ctx, true, e.log.Shrink) // the log continues in the file that was truncated
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
	if err := e.backup.Lock(ctx); err != nil {
		return 0, err
	}
	defer e.backup.Unlock()
	name := e.path + backupSuffix
	defer func() { err = errors.Join(err, e.disk.Remove(name)) }()
	if err = e.copyNow(ctx, name); err == nil {
		n, err = e.send(ctx, w, name)
	}
	if err != nil {
		err = fmt.Errorf("filestore: backup: %w", err)
	}
	return n, err
}

const (
	newSuffix    = ".new"    // of a database that is to replace the store's
	backupSuffix = ".backup" // of the copy that Backup sends
)

// copyNow makes a database of that name with all sessions.
func (e *engine) copyNow(ctx context.Context, name string) error {
	if err := e.compaction.Lock(ctx); err != nil {
		return err
	}
	defer e.compaction.Unlock()
	return e.flushed(ctx, false, func() error { return e.copyTo(ctx, name, head{}, "copying") })
}

// flushed calls fn when all changes until now are in the database, while neither it nor the log's
// unused file changes.
func (e *engine) flushed(ctx context.Context, always bool, fn func() error) error {
	if err := e.flush(ctx, always); err != nil {
		return err
	}
	if err := e.checkpointer.busy.Lock(ctx); err != nil {
		return err
	}
	defer e.checkpointer.busy.Unlock()
	if err := e.failed(); err != nil {
		return err
	}
	return fn()
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

// copier copies the database. No checkpoint is made meanwhile, so that one read transaction doesn't
// prevent the reuse of pages.
type copier struct {
	engine *engine
	db     *bolt.DB // the copy
}

const (
	copyPiece = 4 << 20 // bytes that are written with one transaction
	copyFill  = 1       // of a page
)

func (c *copier) run(ctx context.Context, hd head, doing string) error {
	c.db.NoSync = true // until the last transaction, whose sync includes all of them
	err := c.engine.database.view(func(tx *bolt.Tx) error {
		p := newProgress(c.engine.opts.Progress, doing, tx.Size())
		return tx.ForEach(func(name []byte, b *bolt.Bucket) error {
			if bytes.Equal(name, metaBucket) {
				return nil
			}
			return c.bucket(ctx, name, b.Cursor(), p)
		})
	})
	if err != nil {
		return err
	}
	c.db.NoSync = false
	return c.update(hd.put)
}

// bucket copies a bucket.
func (c *copier) bucket(ctx context.Context, name []byte, cursor *bolt.Cursor, p *progress) error {
	for k, v := cursor.First(); k != nil; {
		if err := c.engine.ready(ctx); err != nil { // Close waits for one piece at most
			return err
		}
		size := 0
		err := c.update(func(tx *bolt.Tx) error {
			to, err := tx.CreateBucketIfNotExists(name)
			if err != nil {
				return err
			}
			to.FillPercent = copyFill
			for ; k != nil && size < copyPiece && err == nil; k, v = cursor.Next() {
				err = to.Put(k, v)
				size += len(k) + len(v)
			}
			return err
		})
		if err != nil {
			return err
		}
		p.add(int64(size))
	}
	return nil
}

// update grows the file in small steps: it isn't synced then, and should stay small.
func (c *copier) update(fn func(*bolt.Tx) error) error { return update(c.engine.disk, c.db, 64, fn) }
