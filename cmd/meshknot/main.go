// Command meshknot translates service mesh policy: one SMI policy in, correct
// and accounted-for configuration of any mesh out.
package main

import (
	"os"
	"runtime/debug"

	"github.com/meshknot/meshknot/internal/cli"
)

func main() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(400) // most runs are short: memory for time
	}
	os.Exit(cli.Main(os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}
