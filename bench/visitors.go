package main

import (
	"errors"
	"fmt"
	"net/http"
)

// visitorsInTurn is how many browsers take turns: the next request finds nothing of its own in the
// processor's caches, nor in a library's, which one browser alone would.
const visitorsInTurn = 4000

func visitorGroups() []group {
	of := func(name string, open func() (*site, error), op func(*circle) (*subject, error)) side {
		return side{name, func() (*subject, error) {
			s, err := open()
			if err != nil {
				return nil, err
			}
			return newCircle(s, op)
		}}
	}
	ours := func() (*site, error) {
		s, _, err := openOurs()
		return s, err
	}
	compare := func(name string, op func(*circle) (*subject, error), reach target) group {
		return group{
			name: fmt.Sprintf("middleware/%s, %d visitors in turn", name, visitorsInTurn),
			ours: of("ours", ours, op), peer: of("scs", openSCS, op), rows: []row{{"", nsPerOp, reach}},
		}
	}
	return []group{
		compare("untouched", (*circle).untouched, target{}), // scs loads the session of every request
		compare("read", (*circle).reading, timesBetter(5)),
		compare("write", (*circle).writing, timesBetter(5)),
	}
}

// circle is browsers with a session each, which take turns.
type circle struct {
	site  *site
	all   []*visitor
	turns int // requests so far
}

func newCircle(s *site, op func(*circle) (*subject, error)) (*subject, error) {
	c := &circle{site: s}
	for range visitorsInTurn {
		v, err := s.plant()
		if err != nil {
			return nil, errors.Join(err, s.close())
		}
		c.all = append(c.all, v)
	}
	return op(c)
}

// repeat returns a run that sends n requests, each of the next browser.
func (c *circle) repeat(h http.Handler) func(n int) error {
	return func(n int) error {
		for range n {
			v := c.all[c.turns%len(c.all)]
			c.turns++
			if err := v.visit(h); err != nil {
				return err
			}
		}
		return nil
	}
}

func (c *circle) untouched() (*subject, error) {
	calls := 0
	return &subject{
		run:   c.repeat(c.site.wrap(counting(&calls))),
		check: func(n int) error { return same("handled requests", calls, n) },
		close: c.site.close,
	}, nil
}

func (c *circle) reading() (*subject, error) {
	seen := 0
	return &subject{
		run:   c.repeat(c.site.seeing(&seen)),
		check: func(n int) error { return same("values read", seen, n) },
		close: c.site.close,
	}, nil
}

// writing changes one key at each request, to how many there have been.
func (c *circle) writing() (*subject, error) {
	last := make([]int, len(c.all)) // values of the browsers' sessions
	for i := range last {
		last[i] = planted
	}
	h := c.site.setting(func() int {
		last[(c.turns-1)%len(last)] = c.turns
		return c.turns
	})
	check := func(n int) error {
		err := same("handled requests", c.turns, n)
		for i, v := range c.all {
			err = errors.Join(err, c.site.visitOnce(v, func(_ http.ResponseWriter, r *http.Request) error {
				got, err := c.site.get(r, "n")
				return errors.Join(err, same(fmt.Sprintf("the value of visitor %d", i), got, last[i]))
			}))
		}
		return err
	}
	return &subject{run: c.repeat(h), check: check, close: c.site.close}, nil
}
