package main

import "testing"

func BenchmarkFile(b *testing.B) { benchmark(b, durableGroups()) }

func BenchmarkMillion(b *testing.B) { benchmark(b, millionGroups()) }
