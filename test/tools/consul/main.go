// Command consul is the part of Consul that the tests need: its agent, and the bootstrap that it writes for a sidecar.
package main

import (
	"fmt"
	"os"

	"github.com/hashicorp/consul/command/agent"
	"github.com/hashicorp/consul/command/cli"
	"github.com/hashicorp/consul/command/connect/envoy"
	mcli "github.com/mitchellh/cli"
)

func main() {
	ui := &cli.BasicUI{BasicUi: mcli.BasicUi{Writer: os.Stdout, ErrorWriter: os.Stderr}}
	switch {
	case len(os.Args) > 1 && os.Args[1] == "agent":
		os.Exit(agent.New(ui).Run(os.Args[2:]))
	case len(os.Args) > 2 && os.Args[1] == "connect" && os.Args[2] == "envoy":
		os.Exit(envoy.New(ui).Run(os.Args[3:]))
	}
	fmt.Fprintln(os.Stderr, "usage: consul agent|connect envoy ...")
	os.Exit(2)
}
