package main

import "testing"

func BenchmarkStore(b *testing.B) { benchmark(b, storeGroups()) }
