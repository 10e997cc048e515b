package main

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"regexp"
	"runtime/debug"
	"runtime/pprof"
	"slices"
	"time"
)

func main() {
	if !asChild() {
		exit(compare(os.Args[1:], os.Stdout, os.Stderr))
	}
}

// asChild does what this process is wanted for, if another has started it for its measurements.
func asChild() bool {
	switch {
	case clientsWanted():
		exit(clients(os.Stdin, os.Stdout))
	case crashWanted():
		exit(crashing(os.Stdin, os.Stdout))
	default:
		return false
	}
	return true
}

func exit(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// compare is the program: it measures what the arguments ask for and prints the table.
func compare(args []string, out, progress io.Writer) error {
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	flags.SetOutput(progress)
	match := flags.String("run", "", "only the rows whose name matches the `regexp`")
	rounds := flags.Int("rounds", 9, "turns that each side of a row gets")
	profile := flags.String("cpuprofile", "", "write a CPU profile of this process to the `file`")
	quick := flags.Bool("quick", false, "a look at whether everything works; the figures mean little")
	asJSON := flags.String("json", "", "write all figures to the `file`, as JSON")
	asBenchmarks := flags.String("benchstat", "", "write all rounds to the `file`, as benchstat reads them")
	docs := flags.String("docs", "", "put the results into performance.md of that `folder`, with charts")
	from := flags.String("from", "", "measure nothing: take the figures from the `file` that -json wrote")
	if err := flags.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return nil
		}
		return err
	}
	wanted, err := regexp.Compile(*match)
	if err != nil {
		return fmt.Errorf("-run: %w", err)
	}
	if *rounds < 1 {
		return fmt.Errorf("-rounds: %d, at least 1 is needed", *rounds)
	}
	p := plan{rounds: *rounds, piece: 60 * time.Millisecond, quick: *quick, progress: progress}
	if p.quick {
		p.rounds, p.piece = min(p.rounds, 3), 3*time.Millisecond
	}
	rep := newReport(p.rounds)
	if *from != "" {
		rep, err = readReport(*from)
	} else {
		err = profiled(*profile, func() error {
			return inTurn(groups(), func(g *group) error { return p.addTo(rep, g, wanted) })
		})
	}
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "%s %s, %s, %d processors, %d rounds. Only ratios within one run count.\n\n",
		rep.Go, rep.OS, rep.CPU, rep.Processors, rep.Rounds)
	printTable(out, rep.Rows)
	return rep.write(*asJSON, *asBenchmarks, *docs)
}

// write writes the report to the files whose names aren't empty, and into the documentation.
func (rep *report) write(asJSON, asBenchmarks, docs string) (err error) {
	if asJSON != "" {
		err = rep.writeJSON(asJSON)
	}
	if asBenchmarks != "" {
		var b bytes.Buffer
		rep.printBenchmarks(&b)
		err = errors.Join(err, publish(asBenchmarks, b.String()))
	}
	if docs != "" {
		err = errors.Join(err, rep.document(docs))
	}
	return err
}

// profiled calls do, and writes a CPU profile of it to the file; "" is none.
func profiled(path string, do func() error) (err error) {
	if path == "" {
		return do()
	}
	f, err := os.Create(path)
	if err != nil {
		return fmt.Errorf("-cpuprofile: %w", err)
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	if err := pprof.StartCPUProfile(f); err != nil {
		return fmt.Errorf("-cpuprofile: %w", err)
	}
	defer pprof.StopCPUProfile()
	return do()
}

// addTo measures the group if one of its rows is wanted: ours, and the peers of those rows.
func (p plan) addTo(rep *report, g *group, wanted *regexp.Regexp) error {
	some := *g
	some.peer, some.rows, some.rivals = side{}, nil, nil
	for i, v := range g.rivalries() {
		v.rows = slices.DeleteFunc(slices.Clone(v.rows), func(r row) bool { return !wanted.MatchString(g.title(r)) })
		switch {
		case len(v.rows) == 0:
		case i == 0:
			some.peer, some.rows = v.peer, v.rows
		default:
			some.rivals = append(some.rivals, v)
		}
	}
	if len(some.rows)+len(some.rivals) == 0 || g.onRequest && wanted.String() == "" {
		return nil
	}
	res, err := p.play(&some)
	if err != nil {
		return err
	}
	for i, v := range some.rivalries() {
		for _, r := range v.rows {
			rep.Rows = append(rep.Rows, newResult(&some, i, r, &res))
		}
	}
	debug.FreeOSMemory() // the next group begins with none of this one's heap
	return nil
}
