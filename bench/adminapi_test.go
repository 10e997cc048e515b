package main

import "testing"

func BenchmarkAdmin(b *testing.B) { benchmark(b, adminGroups()) }
