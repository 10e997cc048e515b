package main

import "testing"

func BenchmarkSealed(b *testing.B) { benchmark(b, sealedGroups()) }
