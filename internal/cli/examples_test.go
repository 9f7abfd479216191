package cli

import (
	"bytes"
	"context"
	"errors"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

// commands lists the commands that do something, with what follows "meshknot".
func commands(c *cobra.Command) []*cobra.Command {
	var out []*cobra.Command
	if !c.HasSubCommands() {
		out = append(out, c)
	}
	for _, sub := range c.Commands() {
		if sub.Name() != "help" {
			out = append(out, commands(sub)...)
		}
	}
	return out
}

// TestExamplesRun runs every example of every command from the root of the
// repository. Those that serve for ever are interrupted before they begin.
func TestExamplesRun(t *testing.T) {
	atRoot(t)
	want := map[string]int{
		// The page that shows refusals shows one.
		"meshknot losses -f examples/bookstore --to istio": exitNo,
		// The plan that exchanges a mesh changes something.
		"meshknot plan -f examples/bindings/linkerd.yaml --against examples/bookstore --binding examples/bindings/istio.yaml": exitNo,
	}
	// Nobody is there: an example that asks a cluster or a controller cannot answer.
	t.Setenv("KUBECONFIG", filepath.Join(t.TempDir(), "absent"))
	t.Setenv("KUBERNETES_SERVICE_HOST", "")
	files := bundleFiles(t)
	forever := map[string]bool{"meshknot serve": true}
	for _, c := range commands(Root(nil, nil, nil)) {
		if c.Example == "" {
			t.Errorf("%s has no example", c.CommandPath())
		}
		for _, line := range strings.Split(strings.TrimSpace(c.Example), "\n") {
			line = strings.TrimSpace(line)
			if !strings.HasPrefix(line, c.CommandPath()) {
				t.Errorf("%s has the example %q", c.CommandPath(), line)
				continue
			}
			t.Run(line, func(t *testing.T) {
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				args := strings.Fields(files.Replace(line))[1:]
				if forever[c.CommandPath()] {
					cancel()
					args = append(args, "--xds-listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0")
				}
				if asksCluster(line) {
					want[line] = exitCannot
				}
				runExample(ctx, t, args, want[line])
			})
		}
	}
}

// asksCluster reports whether an example asks a cluster or a controller. Those of
// check and status are played against a real API server by TestFleet.
func asksCluster(line string) bool {
	return slices.ContainsFunc([]string{"meshknot check", "meshknot status --cluster", "meshknot status proxies", "meshknot controller", "meshknot webhook"},
		func(verb string) bool { return strings.HasPrefix(line, verb) })
}

func runExample(ctx context.Context, t *testing.T, args []string, want int) {
	t.Helper()
	var talk bytes.Buffer
	root := Root(strings.NewReader(""), &talk, &talk)
	root.SetArgs(args)
	code := exitOK
	if err := root.ExecuteContext(ctx); err != nil {
		var s status
		if code = exitCannot; errors.As(err, &s) {
			code = s.code
		}
		talk.WriteString(err.Error())
	}
	if code != want {
		t.Errorf("exit status %d, want %d:\n%s", code, want, talk.String())
	}
}
