package main

import (
	"os"
	"testing"
)

// TestMain lets the test binary be the process of the clients, and the one that is killed, too.
func TestMain(m *testing.M) {
	if !asChild() {
		os.Exit(m.Run())
	}
}

// benchmark runs every side of the groups as a Go benchmark.
func benchmark(b *testing.B, groups []group) {
	err := inTurn(groups, func(g *group) error {
		g.prepare(testing.Short(), b.Output())
		for _, s := range g.sides() {
			b.Run(g.name+"/"+s.name, func(b *testing.B) { benchmarkSide(b, s) })
		}
		return nil
	})
	if err != nil {
		b.Error(err)
	}
}

func benchmarkSide(b *testing.B, s side) {
	subject, err := s.open()
	if why := absence(err); why != "" {
		b.Log(why)
		return
	}
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
