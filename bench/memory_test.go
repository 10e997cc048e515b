package main

import "testing"

func BenchmarkMemory(b *testing.B) { benchmark(b, memoryGroups()) }
