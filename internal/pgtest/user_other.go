//go:build !unix

package pgtest

import (
	"os/exec"
	"testing"
)

// id is a user; these systems run the server as the current one.
type id struct{ Uid, Gid uint32 }

func credential(testing.TB) *id { return nil }

func runAs(*exec.Cmd, *id) {}
