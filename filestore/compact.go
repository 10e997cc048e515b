package filestore

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"

	bolt "go.etcd.io/bbolt"
)

// Optimize implements store.Optimizer. It replaces the database by a copy without unused space, and
// truncates the log files. It needs as much free disk space as the sessions take. The store stays
// usable; changes wait if they fill the log meanwhile.
func (s *Store) Optimize(ctx context.Context) error {
	e := s.engine
	if err := e.compaction.Lock(ctx); err != nil {
		return err
	}
	defer e.compaction.Unlock()
	err := e.flushed(ctx, false, func() error { return e.compact(ctx) })
	if err == nil {
		err = e.flushed(ctx, true, e.log.Shrink) // the log continues in the file that was truncated
	}
	return wrap("optimize", err)
}

func (e *engine) compact(ctx context.Context) error {
	name := e.path + newSuffix
	hd, err := e.database.head()
	if err == nil {
		err = e.copyTo(ctx, name, hd)
	}
	if err != nil {
		return errors.Join(err, e.disk.Remove(name))
	}
	if err := e.database.swap(name); err != nil {
		return e.fail(err) // a crash might leave either file
	}
	return e.log.Shrink()
}

// Backup writes a database to w that contains every session that was stored before the call, and
// can be opened as it is. It returns the number of bytes written. The store stays usable. It needs
// as much free disk space as the sessions take, because w may be slow.
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
	if err = e.compaction.Lock(ctx); err == nil {
		err = e.flushed(ctx, false, func() error { return e.copyTo(ctx, name, head{}) })
		e.compaction.Unlock()
	}
	if err == nil {
		n, err = e.send(ctx, w, name)
	}
	return n, wrap("backup", err)
}

const (
	newSuffix    = ".new"    // of a database that is to replace the store's
	backupSuffix = ".backup" // of the copy that Backup sends

	copyPiece  = 4 << 20 // bytes that are copied with one transaction
	copyFill   = 1       // of a page
	copyGrowth = 64      // the part of its size by which a copy grows: it should stay small
)

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
	for err == nil {
		if ctx.Err() != nil {
			return n, context.Cause(ctx)
		}
		var piece int64
		piece, err = io.CopyN(w, f, 1<<20)
		n += piece
	}
	if errors.Is(err, io.EOF) {
		err = nil
	}
	return n, err
}

// copyTo makes a database of that name with the content of the store's and another head. No
// checkpoint may be made meanwhile: a read transaction prevents the reuse of pages. When it returns
// nil the content is durable, and the name isn't.
func (e *engine) copyTo(ctx context.Context, name string, hd head) (err error) {
	if err := e.disk.Remove(name); err != nil {
		return err
	}
	db, err := openBolt(e.disk, name)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	db.NoSync = true // until the last transaction, whose sync includes all of them
	err = e.database.view(func(tx *bolt.Tx) error {
		return tx.ForEach(func(name []byte, b *bolt.Bucket) error {
			if bytes.Equal(name, metaBucket) {
				return nil
			}
			return e.copyBucket(ctx, db, name, b.Cursor())
		})
	})
	if err != nil {
		return err
	}
	db.NoSync = false
	return update(e.disk, db, copyGrowth, hd.put)
}

func (e *engine) copyBucket(ctx context.Context, db *bolt.DB, name []byte, from *bolt.Cursor) error {
	for k, v := from.First(); k != nil; {
		if err := e.ready(ctx); err != nil { // Close waits for one piece at most
			return err
		}
		size := 0
		err := update(e.disk, db, copyGrowth, func(tx *bolt.Tx) error {
			to, err := tx.CreateBucketIfNotExists(name)
			if err != nil {
				return err
			}
			to.FillPercent = copyFill
			for ; k != nil && size < copyPiece && err == nil; k, v = from.Next() {
				err = to.Put(k, v)
				size += len(k) + len(v)
			}
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}
