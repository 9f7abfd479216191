// Command bench measures meshknot beside its peers and below them the floor, all
// in one run. It prints a table, keeps the figures as JSON, and says of every
// number to reach whether it was reached. With -slice it is the small run of CI,
// which compares with a committed baseline; with -update it writes the document.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"maps"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/meshknot/meshknot/bench/measure"
	"github.com/meshknot/meshknot/bench/server"
	"github.com/meshknot/meshknot/bench/world"
)

// sizes of a run.
type sizes struct {
	clients, names, rounds, pairs int
	fleets                        []int // numbers of clients of B2
	routes                        []int // numbers of routes of B5
	edited                        []int // numbers of routes of B6
	churn                         time.Duration
	peers                         bool // egctl takes part in B5
	programs                      programs
}

// full is what "make bench" runs, slice what CI does.
var (
	full = sizes{clients: 1000, names: 1000, rounds: 6, pairs: 1, fleets: []int{100, 1000, 4000},
		routes: []int{10, 100, 1000, 10000}, edited: []int{1000, 10000, 50000}, churn: time.Minute, peers: true}
	slice = sizes{clients: 100, names: 200, rounds: 10, pairs: 1, fleets: []int{50, 100, 200},
		routes: []int{10, 100, 1000}, edited: []int{1000, 5000}}
)

// bench is one benchmark.
type bench struct {
	name, title, how string
	run              func(context.Context, sizes, *Result) error
	// slice: it is part of CI's run.
	slice bool
}

var benches = []bench{
	{"B1", "one endpoint changes, until the last client has accepted it",
		"Clients hold all endpoints by name. The time runs from the order to the server until the last client has written its ACK.", b1, true},
	{"B2", "the same with ten times the names, and with more clients",
		"As B1.", b2, true},
	{"B3", "clients connect and get the full state",
		"All clients connect at once, ask for all clusters and then for the endpoints of each.", b3, false},
	{"B4", "the server restarts, and all clients come back with what they have",
		"All clients connect at once with the versions of all they have. One endpoint changed meanwhile: they are to get it and nothing else.", b4, false},
	{"B5", "a file of Gateway API routes is translated to xDS",
		"Each command line reads the same file: HTTPRoutes of two rules, each with a hostname, a Service and an EndpointSlice of its own. What leads where is compared.", b5, true},
	{"B6", "one HTTPRoute among many is edited",
		"From its objects, read before, to the changed resources, in one process; every edit moves a path. Every route has a Service and an EndpointSlice.", b6, true},
	{"B10", "steady churn of 20 changes a second",
		"Routes and endpoints change in turn; every client has all of them.", b10, false},
	{"B11", "memory of an idle client",
		"In use after garbage was collected, with the clients connected and without.", b11, false},
	{"B16", "as many clients as a server can take",
		"Clients are added until the 99th percentile of their waits for a change exceeds a second, or the server takes 4 GiB; one change a second.", b16, false},
	{"B17", "bytes on the wire",
		"Counted at the clients' sockets, all framing included.", b17, false},
	{"B18", "starting the command line",
		"Twenty starts each.", b18, false},
}

func main() {
	if len(os.Args) == 4 && os.Args[1] == server.Command {
		exit(child(os.Args[2], os.Args[3]))
	}
	if len(os.Args) > 2 && os.Args[1] == runCommand {
		exit(runProgram(os.Args[2:]))
	}
	exit(run())
}

func exit(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
	os.Exit(0)
}

func child(name, text string) error {
	var w world.World
	if err := json.Unmarshal([]byte(text), &w); err != nil {
		return fmt.Errorf("reading the world: %w", err)
	}
	return server.Child(name, w, os.Stdin, os.Stdout)
}

var profileDir string

// profile has a server write its processor profile, where that was asked for.
func profile(p *server.Process, of string) error {
	if profileDir == "" {
		return nil
	}
	return p.Profile(fmt.Sprintf("%s/%s-%d.prof", profileDir, of, time.Now().UnixNano()))
}

// options of a run.
type options struct {
	only                   string
	slice, document, renew bool
	json                   string
	meshknot               string
	sizes
}

func parseOptions() options {
	o := options{sizes: full}
	if slices.Contains(os.Args, "-slice") {
		o.sizes = slice
	}
	flag.StringVar(&o.only, "only", "", "names of benchmarks, separated by commas; all if empty")
	flag.BoolVar(&o.slice, "slice", false, "the small run of CI, compared with "+baselineFile)
	flag.BoolVar(&o.renew, "baseline", false, "write "+baselineFile+" after -slice")
	flag.BoolVar(&o.document, "document", false, "measure nothing, and write the document from "+resultsFile)
	flag.StringVar(&o.json, "json", "", "write the figures to this file instead of "+resultsFile)
	flag.StringVar(&o.meshknot, "meshknot", "../bin/meshknot", "the command line that is measured")
	flag.StringVar(&profileDir, "profiles", "", "write the servers' processor profiles to this directory")
	flag.IntVar(&o.clients, "clients", o.clients, "clients of B1, B3, B4 and B11")
	flag.IntVar(&o.names, "names", o.names, "names that each has")
	flag.IntVar(&o.rounds, "rounds", o.rounds, "rounds of a block")
	flag.IntVar(&o.pairs, "pairs", o.pairs, "pairs of blocks, A-B-B-A")
	flag.DurationVar(&o.churn, "churn", o.churn, "how long B10 churns")
	routes := flag.Int("routes", slices.Max(o.routes), "the most routes of B5")
	flag.Parse()
	o.routes = slices.DeleteFunc(slices.Clone(o.routes), func(n int) bool { return n > *routes })
	return o
}

const (
	resultsFile  = "results.json"
	baselineFile = "baseline.json"
	documentFile = "../docs/performance.md"
)

func run() error {
	o := parseOptions()
	if o.document {
		return writeDocument()
	}
	var err error
	if o.programs, err = find(o.meshknot); err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	results, failed := measureAll(ctx, o)
	if o.slice {
		return errors.Join(failed, judge(ctx, o, results))
	}
	return errors.Join(failed, keep(o, results))
}

// measureAll runs the benchmarks that were asked for. One that fails does not keep
// the others from being run.
func measureAll(ctx context.Context, o options) ([]*Result, error) {
	var results []*Result
	var failed error
	for _, b := range benches {
		if o.only != "" && !slices.Contains(strings.Split(o.only, ","), b.name) || o.slice && !b.slice {
			continue
		}
		r, err := one(ctx, b, o.sizes)
		r.print(os.Stdout)
		if err != nil {
			failed = errors.Join(failed, fmt.Errorf("%s: %w", b.name, err))
			continue
		}
		results = append(results, r)
	}
	return results, failed
}

func one(ctx context.Context, b bench, s sizes) (*Result, error) {
	r := &Result{Bench: b.name, Title: b.title, How: b.how, Figures: map[string]float64{}}
	began := time.Now()
	r.Load[0] = measure.Load()
	err := b.run(ctx, s, r)
	r.Load[1], r.Seconds = measure.Load(), time.Since(began).Seconds()
	return r, err
}

// keep adds results to the file, and writes the document where that is the file.
func keep(o options, results []*Result) error {
	all := newReport()
	file := o.json
	if file == "" {
		file = resultsFile
		if before, err := readReport(); err == nil && o.only != "" {
			all.Results = before.Results
		}
	}
	all.keep(results)
	if err := writeJSON(file, all); err != nil || o.json != "" {
		return err
	}
	return writeDocument()
}

func writeDocument() error {
	r, err := readReport()
	if err != nil {
		return err
	}
	if err := os.WriteFile(documentFile, document(r), 0o644); err != nil {
		return fmt.Errorf("writing the document: %w", err)
	}
	return nil
}

// judge compares a small run with the baseline, or makes it the baseline. What has
// grown is measured once more: a neighbour on the machine goes away, a change for
// the worse stays.
func judge(ctx context.Context, o options, results []*Result) error {
	now := guarded(results)
	if o.renew {
		return writeJSON(baselineFile, now)
	}
	committed, err := readBaseline(baselineFile)
	if err != nil {
		return err
	}
	grown := compare(committed, now)
	if len(grown) == 0 {
		return nil
	}
	fmt.Printf("\nonce more, for this has grown:\n%v\n", joined(grown))
	o.only = strings.Join(slices.Sorted(maps.Keys(grown)), ",")
	again, failed := measureAll(ctx, o)
	maps.Copy(now, guarded(again))
	return errors.Join(failed, joined(compare(committed, now)))
}
