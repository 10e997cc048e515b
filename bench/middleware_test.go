package main

import "testing"

func BenchmarkMiddleware(b *testing.B) { benchmark(b, middlewareGroups()) }
