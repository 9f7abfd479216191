package cli

import (
	"context"
	"fmt"
	"os"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/meshknot/meshknot/policies"
	"github.com/meshknot/meshknot/translators/input"
	"github.com/meshknot/meshknot/translators/report"
)

// checkPolicies runs the Rego rules over every object that could be read.
func checkPolicies(ctx context.Context, set *input.Set, dirs []string, shipped bool) (report.Report, error) {
	engine, err := policyEngine(dirs, shipped)
	if err != nil {
		return nil, err
	}
	return engine.Check(ctx, policyObjects(set)), nil
}
