package protocol

import (
	"fmt"
	"strconv"
	"sync"
	"testing"
	"time"
)

// servers are those of the table, the first ours.
var servers = []struct {
	name string
	make func() server
}{
	{nameOurs, func() server { return &ours{} }},
	{nameSnapshot, func() server { return &snapshotCache{} }},
	{nameLinear, func() server { return &linearCache{} }},
}

// patience is how long to wait for what has to come.
const patience = 5 * time.Second

// each calls f for every example over each of its protocols.
func each(f func(r rule, e example, on variants)) {
	for _, r := range rules() {
		for _, e := range r.cases {
			for _, v := range []variants{delta, world} {
				if e.on&v != 0 {
					f(r, e, v)
				}
			}
		}
	}
}

// TestRules holds our server against the table: every example has to hold, also
// when the server is told only of what changed.
func TestRules(t *testing.T) {
	for _, changes := range []bool{false, true} {
		each(func(r rule, e example, on variants) {
			name := fmt.Sprintf("%s/%s/%s", r.id, on, e.name)
			if changes && e.setting.age > 0 {
				return // it takes its time, and it is about connections
			}
			if changes {
				name = fmt.Sprintf("%s/%s/by changes/%s", r.id, on, e.name)
			}
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				if o := play(nameOurs, &ours{changes: changes}, e, on == delta, patience); o.fault != "" {
					t.Error(o.fault)
				}
			})
		})
	}
}

// The table is whole: 26 rules, each with something that must happen and
// something that must not, and no two examples of a rule are called the same.
func TestTableIsWhole(t *testing.T) {
	if n := len(rules()); n != 26 {
		t.Errorf("%d rules, want 26", n)
	}
	for i, r := range rules() {
		if r.id != "R"+strconv.Itoa(i+1) {
			t.Errorf("rule %d is %s", i+1, r.id)
		}
		names := map[string]bool{}
		var must, not int
		for _, e := range r.cases {
			if names[e.name] || e.on == 0 || e.run == nil {
				t.Errorf("%s: %q is twice, or about nothing", r.id, e.name)
			}
			names[e.name] = true
			if e.not {
				not++
			} else {
				must++
			}
		}
		if must == 0 || not == 0 {
			t.Errorf("%s has %d examples of what must happen and %d of what must not", r.id, must, not)
		}
	}
}

// key names an example in the record.
func key(r rule, e example, on variants) string {
	return fmt.Sprintf("%s · %s · %s", r.id, on, e.name)
}

// judge plays all examples against one of the servers, some at a time.
func judge(name string, make func() server) map[string]string {
	out := map[string]string{}
	var mu sync.Mutex
	var all sync.WaitGroup
	slots := semaphore(12)
	each(func(r rule, e example, on variants) {
		all.Go(func() {
			defer slots.take()()
			o := play(name, make(), e, on == delta, patience)
			mu.Lock()
			defer mu.Unlock()
			out[key(r, e, on)] = o.String()
		})
	})
	all.Wait()
	return out
}

// channel bounds how many do something at once.
type channel chan struct{}

func semaphore(n int) channel { return make(channel, n) }

func (c channel) take() func() {
	c <- struct{}{}
	return func() { <-c }
}
