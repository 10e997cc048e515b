package main

import "testing"

func BenchmarkInProcess(b *testing.B) { benchmark(b, inProcessGroups()) }
