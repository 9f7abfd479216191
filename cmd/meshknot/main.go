// Command meshknot translates service mesh policy: one SMI policy in, correct
// and accounted-for configuration of any mesh out.
package main

import (
	"os"

	"github.com/meshknot/meshknot/internal/cli"
)

func main() { os.Exit(cli.Main(os.Args[1:], os.Stdin, os.Stdout, os.Stderr)) }
