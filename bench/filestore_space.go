package main

import (
	"context"
	"os"
	"path/filepath"
	"time"
)

// space overwrites random sessions, so many times, and measures what all files take then, and when
// they have been tidied up.
func (m *million) space(sets int) (sample, error) {
	got := sample{}
	sessions := m.sessions()
	if m.quick {
		sets = 2 * sessions
	}
	files := make(map[string]int64)
	err := m.opened(func(o *oursOnDisk) error {
		start := time.Now()
		if err := m.overwrite(sets); err != nil {
			return err
		}
		got[perSecond] = float64(sets) / time.Since(start).Seconds()
		return sizes(o.path, files)
	})
	if err != nil {
		return nil, err
	}
	// The close has brought the last of them into the database; the log was there before it.
	if err := sizes(m.engine().path, files); err != nil {
		return nil, err
	}
	got[bytesPerEntry] = total(files) / float64(sessions)
	tidied := make(map[string]int64)
	err = m.opened(func(o *oursOnDisk) error {
		start := time.Now()
		if err := o.store.Optimize(context.Background()); err != nil {
			return err
		}
		got[totalNs] = float64(time.Since(start))
		return sizes(o.path, tidied)
	})
	got[bytesTidied] = total(tidied) / float64(sessions)
	return got, err
}

// overwrite stores random sessions, so many times, by many goroutines.
func (m *million) overwrite(sets int) error {
	all := &crew{width: many}
	progress := counted(sets, tenths(sets, m.progress))
	counts := m.ours.counts
	return inParallel(sets, func(worker, i int) error {
		defer progress(1)
		n := all.ownNth(worker, len(counts), scatter(uint64(i))) //nolint:gosec // not negative
		counts[n]++
		return m.engine().set(n, counts[n])
	})
}

// sizes notes how large the store's files are, if they were smaller before.
func sizes(path string, files map[string]int64) error {
	names, err := filepath.Glob(path + "*")
	if err != nil {
		return err
	}
	for _, name := range names {
		info, err := os.Stat(name)
		if err != nil {
			return err
		}
		files[name] = max(files[name], info.Size())
	}
	return nil
}

func total(files map[string]int64) (sum float64) {
	for _, size := range files {
		sum += float64(size)
	}
	return sum
}
