package pgtest

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// initialize makes the server's folder a new database. PostgreSQL takes more than a second of processor
// time for that, so the first one of each version is kept in the user's cache, and others are copies.
func (s *Server) initialize(t testing.TB) {
	t.Helper()
	cached := templatePath(s.programs)
	if cached != "" && os.CopyFS(s.dir, os.DirFS(cached)) == nil {
		s.handOver(t)
		return
	}
	require.NoError(t, os.RemoveAll(s.dir)) // a part of a copy
	require.NoError(t, os.Mkdir(s.dir, 0o700))
	s.handOver(t)
	out, err := s.command(t, "initdb", "--pgdata="+s.dir, "--username="+superuser, "--auth=trust", "--no-sync",
		"--locale=C", "--encoding=UTF8").CombinedOutput()
	require.NoError(t, err, "%s", out)
	if cached != "" {
		s.keepTemplate(cached)
	}
}

// templatePath returns where the template of that PostgreSQL is, or is to be; "" if the user has no cache.
func templatePath(programs string) string {
	cache, err := os.UserCacheDir()
	if err != nil {
		return ""
	}
	name := strings.Map(func(r rune) rune {
		if r == filepath.Separator || r == filepath.ListSeparator {
			return '-'
		}
		return r
	}, programs)
	return filepath.Join(cache, "sessionbridge-pgtest", name)
}

// keepTemplate copies the folder for later servers. Another process may do so at the same time. Without a
// copy later servers take longer.
func (s *Server) keepTemplate(path string) {
	if os.MkdirAll(filepath.Dir(path), 0o700) != nil {
		return
	}
	part, err := os.MkdirTemp(filepath.Dir(path), "part-")
	if err != nil {
		return
	}
	if os.CopyFS(part, os.DirFS(s.dir)) != nil || os.Rename(part, path) != nil {
		_ = os.RemoveAll(part)
	}
}

// handOver gives the folder to the user that the server runs as.
func (s *Server) handOver(t testing.TB) {
	t.Helper()
	require.NoError(t, os.Chmod(s.dir, 0o700)) //nolint:gosec // a folder
	id := credential(t)
	if id == nil {
		return
	}
	require.NoError(t, filepath.WalkDir(s.dir, func(path string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return os.Chown(path, int(id.Uid), int(id.Gid))
	}))
}
