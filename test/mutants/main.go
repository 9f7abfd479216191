// Command mutants breaks the translators on purpose, one place at a time, and
// runs the tests: a change that no test notices survives. It flips rows of the
// support tables, makes conditions false and empties functions. The checkout is
// not touched: each mutant is an overlay for the go command.
//
//	go run ./test/mutants [-sample N] [-seed N] [-only SUBSTRING]
//
// It exits 1 when fewer than 95 % are caught, or when a survivor is not explained in
// test/mutants/survivors.txt ("FILE:FUNCTION:KIND<tab>reason").
package main

import (
	"bufio"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"sync"
)

const wanted = 0.95

func main() {
	sample := flag.Int("sample", 0, "number of mutants to try; 0 means all")
	seed := flag.Uint64("seed", 1, "seed of the sample")
	only := flag.String("only", "", "only mutants whose name contains this")
	workers := flag.Int("workers", 2, "mutants tried at once")
	flag.Parse()
	mutants, err := find([]string{"envoy", "grpc", "istio", "linkerd", "consul", "gamma", "xds", "smi", "gatewayapi", "kube", "passes", "feature"})
	if err != nil {
		fmt.Fprintln(os.Stderr, "mutants:", err)
		os.Exit(2)
	}
	mutants = slices.DeleteFunc(mutants, func(m mutant) bool { return !strings.Contains(m.name(), *only) })
	if *sample > 0 && *sample < len(mutants) {
		r := rand.New(rand.NewPCG(*seed, 0))
		r.Shuffle(len(mutants), func(i, j int) { mutants[i], mutants[j] = mutants[j], mutants[i] })
		mutants = mutants[:*sample]
	}
	results := tryAll(mutants, *workers)
	os.Exit(conclude(mutants, results, explained()))
}

func tryAll(mutants []mutant, workers int) []outcome {
	results := make([]outcome, len(mutants))
	next := make(chan int)
	var wg sync.WaitGroup
	for range workers {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for i := range next {
				results[i] = try(mutants[i])
				fmt.Printf("%4d/%d %-9s %s\n", i+1, len(mutants), results[i], mutants[i].name())
			}
		}()
	}
	for i := range mutants {
		next <- i
	}
	close(next)
	wg.Wait()
	return results
}

// conclude prints the balance and returns the exit status.
func conclude(mutants []mutant, results []outcome, reasons map[string]string) int {
	caught, tried := 0, 0
	unexplained := 0
	for i, m := range mutants {
		switch results[i] {
		case invalid:
			continue
		case caughtByTests:
			caught++
		case survived:
			reason, ok := reasons[m.key()]
			if !ok {
				unexplained++
				reason = "NOT EXPLAINED in test/mutants/survivors.txt"
			}
			fmt.Printf("survivor %s: %s\n", m.name(), reason)
		}
		tried++
	}
	if tried == 0 {
		fmt.Println("no mutant was tried")
		return 1
	}
	share := float64(caught) / float64(tried)
	fmt.Printf("%d of %d mutants caught (%.1f %%), %d survivors not explained\n", caught, tried, 100*share, unexplained)
	if share < wanted || unexplained > 0 {
		return 1
	}
	return 0
}

func explained() map[string]string {
	out := map[string]string{}
	f, err := os.Open("test/mutants/survivors.txt")
	if err != nil {
		return out
	}
	defer f.Close()
	for s := bufio.NewScanner(f); s.Scan(); {
		if key, reason, ok := strings.Cut(s.Text(), "\t"); ok {
			out[key] = reason
		}
	}
	return out
}
