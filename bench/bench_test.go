package main

import (
	"os"
	"testing"
)

// TestMain lets the test binary be the process of the clients, too.
func TestMain(m *testing.M) {
	if clientsWanted() {
		exit(clients(os.Stdin, os.Stdout))
		return
	}
	os.Exit(m.Run())
}

// benchmark runs both sides of the groups as Go benchmarks.
func benchmark(b *testing.B, groups []group) {
	for _, g := range groups {
		for _, s := range []side{g.ours, g.peer} {
			if s.open != nil {
				b.Run(g.name+"/"+s.name, func(b *testing.B) { benchmarkSide(b, s) })
			}
		}
	}
}

func benchmarkSide(b *testing.B, s side) {
	subject, err := s.open()
	if err != nil {
		b.Fatal(err)
	}
	defer func() {
		if err := subject.close(); err != nil {
			b.Error(err)
		}
	}()
	if subject.run == nil {
		for range b.N {
			got, err := subject.measure(testing.Short())
			if err != nil {
				b.Fatal(err)
			}
			for m, v := range got {
				b.ReportMetric(v, string(m))
			}
		}
		return
	}
	b.ReportAllocs()
	b.ResetTimer()
	err = subject.run(b.N)
	b.StopTimer()
	if err == nil && subject.check != nil {
		err = subject.check(b.N)
	}
	if err != nil {
		b.Fatal(err)
	}
}
