//go:build !unix

package main

import "time"

// cpuTime returns 0: the CPU time isn't measured here.
func cpuTime() time.Duration { return 0 }
