package filestore_test

import (
	"encoding/binary"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/filestore"
	"github.com/sessionbridge/sessionbridge/store"
)

func TestRepairOfAWholeStoreKeepsEverything(t *testing.T) {
	t.Parallel()
	path, want := used(t)
	report, got := repair(t, path)
	require.Equal(t, want, got)
	require.Empty(t, report.Problems)
	require.Empty(t, report.Warnings)
	require.Zero(t, report.Lost)
	require.EqualValues(t, len(want), report.Sessions)
	require.Contains(t, report.String(), fmt.Sprintf("%d sessions saved into %s", len(want), report.To))
}

// What a crash has left in the log only is brought in.
func TestRepairBringsTheLogIn(t *testing.T) {
	t.Parallel()
	path := crashed(t, 100, 40)
	before := filesOf(t, path)
	report, got := repair(t, path)
	require.Empty(t, report.Problems)
	require.Empty(t, report.Warnings)
	require.EqualValues(t, 41, report.Changes)
	require.Len(t, got, 139)
	require.NotContains(t, got, "/"+sessionID(0))
	require.Equal(t, before, filesOf(t, path), "the old store stays as it was")
}

// Each kind of damage costs what it hit, and nothing else.
func TestRepairSavesWhatIsNotDamaged(t *testing.T) {
	t.Parallel()
	for _, damage := range []struct {
		name  string
		do    func(t *testing.T, path string)
		loses int // sessions, at most
	}{
		{"a bit of a session", func(t *testing.T, path string) { flip(t, path, lastIn(t, path, "agent of session 117")) }, 1},
		{"a bit of an ID", func(t *testing.T, path string) { flip(t, path, keyIn(t, path, 117)) }, 1},
		{"a leaf", func(t *testing.T, path string) {
			overwrite(t, path, pageOf(lastIn(t, path, "agent of session 117")), pageSize)
		}, 40},
		{"a branch", func(t *testing.T, path string) {
			for _, page := range pagesOf(t, path, 1) {
				overwrite(t, path, page*pageSize, pageSize)
			}
		}, 0},
		{"a pointer in every branch", func(t *testing.T, path string) {
			for _, page := range pagesOf(t, path, 1) {
				flip(t, path, page*pageSize+16+8)
			}
		}, 80},
		{"a pointer in a branch", func(t *testing.T, path string) {
			flip(t, path, pagesOf(t, path, 1)[0]*pageSize+16+8)
		}, 80},
		{"the list of free pages", func(t *testing.T, path string) { overwrite(t, path, metaOf(t, path).freelist*pageSize, pageSize) }, 0},
		{"an entry of the list of free pages", func(t *testing.T, path string) { flip(t, path, metaOf(t, path).freelist*pageSize+16) }, 40},
		{"the list of buckets", func(t *testing.T, path string) { overwrite(t, path, metaOf(t, path).root*pageSize, pageSize) }, 40},
		{"the name of a bucket", func(t *testing.T, path string) { flip(t, path, bucketNameIn(t, path, "sshop")) }, 0},
		{"the name of an app", func(t *testing.T, path string) { flip(t, path, bucketNameIn(t, path, "sshop")+2) }, 0},
		{"the first meta", func(t *testing.T, path string) { overwrite(t, path, 0, pageSize) }, 0},
		{"the second meta", func(t *testing.T, path string) { overwrite(t, path, pageSize, pageSize) }, 0},
		{"a bit of both metas", func(t *testing.T, path string) {
			flip(t, path, 16+33)
			flip(t, path, pageSize+16+49)
		}, 0},
		{"the log", func(t *testing.T, path string) { require.NoError(t, os.Remove(path+".wal.0")) }, 0},
	} {
		t.Run(damage.name, func(t *testing.T) {
			t.Parallel()
			path, want := used(t)
			damage.do(t, path)
			report, got := repair(t, path)
			for id, rec := range got {
				require.Equal(t, want[id], rec)
			}
			require.GreaterOrEqual(t, len(got), len(want)-damage.loses, report)
			require.EqualValues(t, len(got), report.Sessions)
			if len(got) < len(want) {
				require.Positive(t, report.Lost+report.Unread, report)
			}
			requireNoIDs(t, report.String(), want)
		})
	}
}

func TestRepairOfAFileThatIsCutOff(t *testing.T) {
	t.Parallel()
	path, want := used(t)
	info, err := os.Stat(path)
	require.NoError(t, err)
	require.NoError(t, os.Truncate(path, min(info.Size(), metaOf(t, path).end*pageSize)*2/3))
	report, got := repair(t, path)
	require.NotEmpty(t, got)
	for id, rec := range got {
		require.Equal(t, want[id], rec)
	}
	require.Contains(t, report.String(), "the file ends here")
}

// Whatever is damaged: no panic, nothing invented, and nothing that was destroyed comes back.
func TestRepairNeverBringsBackWhatWasDestroyed(t *testing.T) {
	t.Parallel()
	original, want := used(t)
	image, err := os.ReadFile(original)
	require.NoError(t, err)
	require.Contains(t, string(image), "agent of session 396", "what was destroyed is still in the file")
	require.NotContains(t, want, "/"+sessionID(396))
	m := metaOf(t, original)
	end := min(int64(len(image)), m.end*pageSize)
	image = image[:end]
	dir := t.TempDir()
	structure := append(pagesOf(t, original, 1), m.freelist, m.root)
	for seed := range uint64(repairSeeds) {
		rng := rand.New(rand.NewPCG(seed, 3))
		damaged := append([]byte(nil), image...)
		for range 1 + rng.IntN(3) {
			at := rng.Int64N(end)
			if rng.IntN(2) == 0 {
				at = structure[rng.IntN(len(structure))]*pageSize + rng.Int64N(400)
			}
			if rng.IntN(3) == 0 {
				clear(damaged[at/pageSize*pageSize:][:pageSize])
			} else {
				damaged[at] ^= 1 << rng.IntN(8)
			}
		}
		dir := filepath.Join(dir, fmt.Sprint(seed))
		require.NoError(t, os.Mkdir(dir, 0o700))
		path := filepath.Join(dir, "sessions.db")
		require.NoError(t, os.WriteFile(path, damaged, 0o600))
		report, err := filestore.Repair(path, path+".new-store")
		if err != nil {
			require.ErrorIs(t, err, filestore.ErrDamaged)
			continue
		}
		for id, rec := range recordsOf(t, path+".new-store") {
			require.Equal(t, want[id], rec, "seed %d: %v", seed, report)
		}
		require.NoError(t, os.RemoveAll(dir))
	}
}

// What can't be read of the log is lost; what comes after it isn't, for each change says all of its session. A logout may be
// among what is lost: that is said.
func TestRepairOfALogDamagedInTheMiddle(t *testing.T) {
	t.Parallel()
	path := crashed(t, 20, 10)
	groups := logGroups(t, path)
	middle := groups[len(groups)-4]
	flip(t, middle.file, middle.offset+60)
	_, err := filestore.Open(path, nil)
	require.ErrorIs(t, err, filestore.ErrDamaged)

	report, got := repair(t, path)
	require.Len(t, got, 20+10-1-1)
	require.NotContains(t, got, "/"+sessionID(27), "what was in the damaged group")
	require.NotContains(t, got, "/"+sessionID(0), "destroyed behind it")
	require.Equal(t, middle.size, report.LostLog)
	require.Equal(t, []filestore.Problem{{File: middle.file, Offset: middle.offset, What: report.Problems[0].What}}, report.Problems)
	require.Contains(t, report.String(), "sign everybody out")
}

func TestRepairWithoutTheLogSaysWhatThatMeans(t *testing.T) {
	t.Parallel()
	path := crashed(t, 20, 10)
	require.NoError(t, os.Remove(path+".wal.0"))
	require.NoError(t, os.Remove(path+".wal.1"))
	report, got := repair(t, path)
	require.Len(t, got, 20)
	require.True(t, report.NoLog)
	require.Contains(t, report.String(), "sign everybody out")
}

// The end of the log that a crash has torn was never acknowledged: nothing of it is taken, and nobody is warned.
func TestRepairOfATornTail(t *testing.T) {
	t.Parallel()
	path := crashed(t, 20, 10)
	groups := logGroups(t, path)
	last := groups[len(groups)-1]
	flip(t, last.file, last.offset+50)
	report, got := repair(t, path)
	require.Len(t, got, 30)
	require.Empty(t, report.Problems)
	require.Empty(t, report.Warnings)
}

// Without a meta it can't be told what is free, and so what was destroyed.
func TestRepairGivesUpWithoutAMeta(t *testing.T) {
	t.Parallel()
	path, _ := used(t)
	overwrite(t, path, 0, 2*pageSize)
	_, err := filestore.Repair(path, path+".new-store")
	require.ErrorIs(t, err, filestore.ErrDamaged)
	require.ErrorContains(t, err, "it can't be told which sessions were destroyed")
	require.NoFileExists(t, path+".new-store")
}

func TestRepairWritesOverNothing(t *testing.T) {
	t.Parallel()
	path, _ := used(t)
	before := filesOf(t, path)
	for _, to := range []string{path, filepath.Join(t.TempDir(), "other.db")} {
		name := to
		if to != path {
			name = to + ".wal.0"
			require.NoError(t, os.WriteFile(name, []byte("x"), 0o600))
		}
		_, err := filestore.Repair(path, to)
		require.ErrorContains(t, err, name+" is there already")
	}
	require.Equal(t, before, filesOf(t, path))

	_, err := filestore.Repair(filepath.Join(t.TempDir(), "missing.db"), path+".new-store")
	require.ErrorIs(t, err, fs.ErrNotExist)

	inUse := filepath.Join(t.TempDir(), "in-use.db")
	open(t, inUse, nil)
	_, err = filestore.Repair(inUse, path+".new-store")
	require.ErrorIs(t, err, filestore.ErrLocked)
}

const (
	pageSize    = int64(4096)
	repairSeeds = 25
)

// used returns a store that was closed, in which sessions were changed, touched and destroyed, and what it has.
func used(t testing.TB) (path string, want map[string]store.Record) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "sessions.db")
	st, err := filestore.Open(path, nil)
	require.NoError(t, err)
	flush := func() {
		t.Helper()
		require.NoError(t, st.Close())
		st, err = filestore.Open(path, nil)
		require.NoError(t, err)
	}
	ctx := t.Context()
	for i := range 400 {
		set(t, st, record(i))
		if i%10 == 0 {
			set(t, st.App("shop"), record(i))
		}
	}
	flush()
	for i := range 400 {
		switch i % 4 {
		case 0:
			_, err := st.Destroy(ctx, sessionID(i))
			require.NoError(t, err)
		case 1:
			rec := record(i)
			rec.Revision, rec.UserID = 1, "another user"
			set(t, st, rec)
		case 2:
			require.NoError(t, st.Touch(ctx, sessionID(i), record(i).Seen.Add(time.Hour)))
		}
		if i%100 == 0 {
			flush()
		}
	}
	require.NoError(t, st.Close())
	return path, recordsOf(t, path)
}

// repair repairs the store, looks at the new one and returns what it has.
func repair(t testing.TB, path string) (*filestore.RepairReport, map[string]store.Record) {
	t.Helper()
	to := filepath.Join(t.TempDir(), "new", "sessions.db")
	report, err := filestore.Repair(path, to)
	require.NoError(t, err)
	checked, err := filestore.Check(to)
	require.NoError(t, err)
	require.True(t, checked.OK(), checked)
	require.True(t, checked.Clean)
	require.NoFileExists(t, to+".new")
	return report, recordsOf(t, to)
}

// recordsOf returns the records of a store by app and ID.
func recordsOf(t testing.TB, path string) map[string]store.Record {
	t.Helper()
	st, err := filestore.Open(path, nil)
	require.NoError(t, err)
	records := make(map[string]store.Record)
	for _, app := range []string{"", "shop"} {
		for rec, err := range st.App(app).(store.Lister).List(t.Context()) {
			require.NoError(t, err)
			records[app+"/"+rec.ID] = rec
		}
	}
	require.NoError(t, st.Close())
	return records
}

func requireNoIDs(t testing.TB, text string, records map[string]store.Record) {
	t.Helper()
	for _, rec := range records {
		require.NotContains(t, text, rec.ID)
	}
}

func overwrite(t testing.TB, name string, at, n int64) {
	t.Helper()
	f, err := os.OpenFile(name, os.O_RDWR, 0)
	require.NoError(t, err)
	defer f.Close()
	_, err = f.WriteAt(make([]byte, n), at)
	require.NoError(t, err)
}

type meta struct{ root, freelist, end int64 }

// metaOf returns what the newer meta says.
func metaOf(t testing.TB, path string) (m meta) {
	t.Helper()
	b, err := os.ReadFile(path)
	require.NoError(t, err)
	le := binary.LittleEndian
	at := b[16:]
	if other := b[pageSize+16:]; le.Uint64(other[48:]) > le.Uint64(at[48:]) {
		at = other
	}
	return meta{int64(le.Uint64(at[16:])), int64(le.Uint64(at[32:])), int64(le.Uint64(at[40:]))}
}

// freePages returns the pages that are in the list.
func freePages(b []byte, m meta) map[int64]bool {
	free := make(map[int64]bool)
	list := b[m.freelist*pageSize:]
	for i := range int(binary.LittleEndian.Uint16(list[10:])) {
		free[int64(binary.LittleEndian.Uint64(list[16+8*i:]))] = true
	}
	return free
}

// pagesOf returns the pages in use of the kind: 1 are branches, 2 leaves.
func pagesOf(t testing.TB, path string, kind uint16) (pages []int64) {
	t.Helper()
	b, err := os.ReadFile(path)
	require.NoError(t, err)
	m := metaOf(t, path)
	free := freePages(b, m)
	for page := int64(2); page < m.end; page++ {
		if !free[page] && binary.LittleEndian.Uint16(b[page*pageSize+8:]) == kind {
			pages = append(pages, page)
		}
	}
	require.NotEmpty(t, pages)
	return pages
}

func pageOf(at int64) int64 { return at / pageSize * pageSize }

// lastIn returns where the text is on a page in use.
func lastIn(t testing.TB, path, text string) int64 {
	t.Helper()
	return placeOf(t, path, []byte(text))
}

// keyIn returns where the key of a session is: in the bucket of the sessions it comes before its record.
func keyIn(t testing.TB, path string, i int) int64 {
	t.Helper()
	at := lastIn(t, path, fmt.Sprintf("agent of session %d", i))
	b, err := os.ReadFile(path)
	require.NoError(t, err)
	id := make([]byte, 4)
	binary.BigEndian.PutUint32(id, uint32(i)*2654435761)
	for ; string(b[at:at+4]) != string(id); at-- {
		require.Greater(t, at, pageSize)
	}
	return at
}

func bucketNameIn(t testing.TB, path, name string) int64 {
	t.Helper()
	return placeOf(t, path, []byte(name))
}

func placeOf(t testing.TB, path string, text []byte) int64 {
	t.Helper()
	b, err := os.ReadFile(path)
	require.NoError(t, err)
	for _, page := range pagesOf(t, path, 2) {
		at := page * pageSize
		for i := int64(16); i+int64(len(text)) <= pageSize; i++ {
			if string(b[at+i:at+i+int64(len(text))]) == string(text) {
				return at + i
			}
		}
	}
	require.Fail(t, "not there")
	return 0
}
