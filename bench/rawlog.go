package main

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"os"
	"path/filepath"
	"time"
)

// rawLog is as fast as a disk lets anybody be who syncs what is appended: one goroutine writes what
// waits with one write and one sync, into files that were there before, full of zeros, and are used
// over and over. It has no index and can't find anything again.
type rawLog struct {
	dir       string
	files     [2]*os.File
	current   int   // file
	end       int64 // of what was written to it
	buf       []byte
	committer *committer[[]byte]
}

const (
	rawLogFile  = 64 << 20
	groupHeader = 8 // length of what follows, and its checksum
	entryHeader = 4 // length
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func newRawLog(dir string) engine { return &rawLog{dir: dir} }

func (l *rawLog) name(i int) string { return filepath.Join(l.dir, fmt.Sprint("log", i)) }

// fill only makes the files: there is nothing that it could look up.
func (l *rawLog) fill(int, func(int)) error {
	zeros := make([]byte, rawLogFile)
	for i := range l.files {
		f, err := os.Create(l.name(i))
		if err != nil {
			return err
		}
		_, err = f.Write(zeros)
		if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
			return err
		}
	}
	return nil
}

func (l *rawLog) open() (err error) {
	for i := range l.files {
		if l.files[i], err = os.OpenFile(l.name(i), os.O_RDWR, 0); err != nil {
			return err
		}
	}
	l.current, l.end = 0, 0
	l.committer = newCommitter(l.append)
	return nil
}

func (l *rawLog) set(n int, count uint64) error {
	rec, id := fileSession(n, count, time.Now()), keyOf(n)
	entry := append(make([]byte, 0, 1024), id[:]...)
	return l.committer.do(append(entry, encode(&rec)...))
}

func (l *rawLog) append(entries [][]byte) error {
	l.buf = append(l.buf[:0], make([]byte, groupHeader)...)
	for _, e := range entries {
		l.buf = binary.LittleEndian.AppendUint32(l.buf, uint32(len(e))) //nolint:gosec // small
		l.buf = append(l.buf, e...)
	}
	payload := l.buf[groupHeader:]
	binary.LittleEndian.PutUint32(l.buf, uint32(len(payload))) //nolint:gosec // small
	binary.LittleEndian.PutUint32(l.buf[4:], crc32.Checksum(payload, castagnoli))
	if l.end+int64(len(l.buf)) > rawLogFile {
		l.current, l.end = 1-l.current, 0
	}
	if _, err := l.files[l.current].WriteAt(l.buf, l.end); err != nil {
		return err
	}
	l.end += int64(len(l.buf))
	return syncData(l.files[l.current])
}

// verify reads the current file: the last entry that a session has in it is of the last time that
// it was stored.
func (l *rawLog) verify(counts []uint64) error {
	text := make([]byte, l.end)
	if _, err := l.files[l.current].ReadAt(text, 0); err != nil {
		return err
	}
	numbers := make(map[key]int, len(counts))
	for n := range counts {
		numbers[keyOf(n)] = n
	}
	last := make(map[int]uint64)
	for len(text) > 0 {
		size := binary.LittleEndian.Uint32(text)
		payload := text[groupHeader : groupHeader+size]
		if crc32.Checksum(payload, castagnoli) != binary.LittleEndian.Uint32(text[4:]) {
			return errors.New("a group isn't what was written")
		}
		text = text[groupHeader+size:]
		for len(payload) > 0 {
			size := binary.LittleEndian.Uint32(payload)
			id := key(payload[entryHeader:])
			rec, err := peerValue(payload[entryHeader+len(id) : entryHeader+size]).decode(id)
			if err != nil {
				return err
			}
			last[numbers[id]] = rec.Writes
			payload = payload[entryHeader+size:]
		}
	}
	for n, count := range last {
		if err := same(
			fmt.Sprintf("times that session %d was stored", n),
			int(count),
			int(counts[n]),
		); err != nil { //nolint:gosec // few
			return err
		}
	}
	return nil
}

func (l *rawLog) close() error {
	l.committer.close()
	return errors.Join(l.files[0].Close(), l.files[1].Close())
}
