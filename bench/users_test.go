package main

import "testing"

func BenchmarkUsers(b *testing.B) { benchmark(b, userGroups()) }
