package main

import (
	_ "embed"
	"fmt"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"time"
)

// slowDisk is by how much longer a disk takes to sync that is reached over a network, as those of cloud
// providers are.
const slowDisk = 900 * time.Microsecond

//go:embed slowdisk/fdatasync.c
var slowDiskSource string

// buildSlowDisk compiles a library into the folder, for LD_PRELOAD, with which each fdatasync of a program
// takes so much longer.
func buildSlowDisk(dir string, by time.Duration) (library string, err error) {
	if runtime.GOOS != "linux" {
		return "", absent("a slow disk on Linux only")
	}
	compiler, err := exec.LookPath("cc")
	if err != nil {
		return "", absent("no C compiler for a slow disk here")
	}
	library = filepath.Join(dir, "slowdisk.so")
	cmd := exec.Command(compiler, "-shared", "-fPIC", "-O", "-DDELAY_NS="+strconv.FormatInt(by.Nanoseconds(), 10),
		"-x", "c", "-o", library, "-")
	cmd.Stdin = strings.NewReader(slowDiskSource)
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("cc: %w: %s", err, out)
	}
	return library, nil
}
