package deploy_test

import (
	"testing"

	"github.com/meshknot/meshknot/deploy"
	"github.com/meshknot/meshknot/internal/cli"
)

// TestArguments: every argument is a flag of the controller.
func TestArguments(t *testing.T) {
	for name, args := range deploy.Arguments(t) {
		command, rest, err := cli.Root(nil, nil, nil).Find(args)
		if err != nil || command.Name() != "controller" {
			t.Fatalf("%s: %v %v", name, command, err)
		}
		if err := command.ParseFlags(rest); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if more := command.Flags().Args(); len(more) > 0 {
			t.Errorf("%s: %q is no flag", name, more)
		}
	}
}
