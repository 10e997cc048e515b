// Command checkdb checks a session store of package filestore that no process has open, and changes
// nothing.
//
//	go run github.com/sessionbridge/sessionbridge/filestore/cmd/checkdb PATH
//
// PATH is the database. The report is written to standard output, the progress to standard error.
// The exit code is 0 if no damage was found, 1 if the store is damaged, and 2 if it can't be read:
// also if it is so badly damaged that reading it ends the command.
package main

import (
	"fmt"
	"os"
	"runtime"
	"time"

	"github.com/sessionbridge/sessionbridge/filestore"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: checkdb PATH")
		os.Exit(2)
	}
	fmt.Fprintln(os.Stderr, "if the pages are badly damaged, this command ends with a fatal error")
	go limitMemory(os.Args[1])
	report, err := filestore.Check(os.Args[1], func(p filestore.Progress) {
		fmt.Fprintf(os.Stderr, "%s: %d of %d MiB\n", p.Doing, p.Done>>20, p.Total>>20)
	})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
	fmt.Print(report)
	if !report.OK() {
		os.Exit(1)
	}
}

// limitMemory ends the command when it takes more memory than the pages of a sound database need: on
// a damaged page, bbolt's check may go on until it has all memory of the machine.
func limitMemory(path string) {
	limit := uint64(128 << 20)
	if info, err := os.Stat(path); err == nil {
		limit += uint64(info.Size())
	}
	for range time.Tick(20 * time.Millisecond) {
		var m runtime.MemStats
		if runtime.ReadMemStats(&m); m.Sys > limit {
			fmt.Fprintln(os.Stderr, "the check needs too much memory: the database is damaged")
			os.Exit(1)
		}
	}
}
