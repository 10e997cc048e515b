package main

import "testing"

func BenchmarkRoundTrip(b *testing.B) { benchmark(b, roundTripGroups()) }

func BenchmarkServer(b *testing.B) { benchmark(b, serverGroups()) }
