//go:build !unix

package pgtest

import "testing"

// SmallDisk skips the test.
func (s *Server) SmallDisk(t testing.TB) (path string) {
	t.Helper()
	t.Skip("a small disk can't be mounted here")
	return ""
}
