package main

import "testing"

func BenchmarkSweep(b *testing.B) { benchmark(b, sweepGroups()) }
