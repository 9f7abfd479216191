package cli

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/meshknot/meshknot/internal/fleet"
	"github.com/meshknot/meshknot/internal/xds"
	"github.com/meshknot/meshknot/translators/report"
)

// fleetFlags ask for the state of a cluster in place of that of files.
type fleetFlags struct {
	cluster        clusterFlags
	inCluster      bool
	watch, proxies bool
	admin          string
}

func (f *fleetFlags) register(c *cobra.Command) {
	f.cluster.register(c)
	c.Flags().BoolVar(&f.inCluster, "cluster", false, "show what the cluster says of bindings and objects")
	c.Flags().BoolVar(&f.watch, "watch", false, "show it again after every change, until interrupted")
	c.Flags().StringVar(&f.admin, "admin", "127.0.0.1:18001", "HOST:PORT of the admin listener that is asked for proxies")
}

// showFleet shows the state of a cluster, or of the proxies of a controller.
func (a *app) showFleet(ctx context.Context, f fleetFlags, output string) error {
	if output == "yaml" {
		return cannot("--output yaml: want text, json")
	}
	ctx, stop := untilInterrupted(ctx)
	defer stop()
	switch {
	case f.proxies && f.watch:
		return a.watchProxies(ctx, f.admin, output)
	case f.proxies:
		now, err := fleet.Proxies(ctx, f.admin)
		if err != nil {
			return status{exitCannot, err}
		}
		text, err := proxiesText(now, output)
		if err != nil {
			return err
		}
		if _, err := a.out.Write(text); err != nil {
			return err
		}
		return answer(!slices.ContainsFunc(now.Nodes, func(n xds.NodeStatus) bool { return !n.InSync }))
	case f.watch:
		return a.watchFleet(ctx, f, output)
	}
	at, err := f.cluster.connect()
	if err != nil {
		return err
	}
	now, err := at.State(ctx)
	if err != nil {
		return status{exitCannot, err}
	}
	text, err := fleetText(now, output)
	if err != nil {
		return err
	}
	if _, err := a.out.Write(text); err != nil {
		return err
	}
	return answer(now.Good())
}

// answer is the exit status of yes and of no.
func answer(good bool) error {
	if good {
		return nil
	}
	return status{code: exitNo}
}

func (a *app) watchFleet(ctx context.Context, f fleetFlags, output string) error {
	config, err := f.cluster.config()
	if err != nil {
		return err
	}
	if _, err := fleet.Connect(config); err != nil {
		return status{exitCannot, err} // at once, where nobody is there
	}
	redraw := a.redraw()
	if err := fleet.Watch(ctx, config, func(now fleet.State) error {
		text, err := fleetText(now, output)
		if err != nil {
			return err
		}
		return redraw(text)
	}); err != nil {
		return status{exitCannot, err}
	}
	return nil
}

// watchProxies asks once a second. Where nobody answers the last state stays.
func (a *app) watchProxies(ctx context.Context, admin, output string) error {
	redraw, tick := a.redraw(), time.NewTicker(time.Second)
	defer tick.Stop()
	for first := true; ; first = false {
		now, err := fleet.Proxies(ctx, admin)
		if first && err != nil && ctx.Err() == nil {
			return status{exitCannot, err}
		}
		if err == nil {
			text, err := proxiesText(now, output)
			if err == nil {
				err = redraw(text)
			}
			if err != nil {
				return err
			}
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// redraw returns what shows a text in place of the one before, where they differ: on
// a terminal over it, else below it.
func (a *app) redraw() func([]byte) error {
	var last []byte
	file, ok := a.out.(*os.File)
	terminal := ok && term.IsTerminal(int(file.Fd()))
	return func(text []byte) error {
		if bytes.Equal(text, last) {
			return nil
		}
		if last = bytes.Clone(text); terminal {
			text = append([]byte("\x1b[H\x1b[2J"), text...)
		}
		_, err := a.out.Write(text)
		return err
	}
}

// fleetDocument is what "status --cluster -o json" prints.
type fleetDocument struct {
	APIVersion string `json:"apiVersion"`
	Kind       string `json:"kind"`
	fleet.State
}

func fleetText(s fleet.State, output string) ([]byte, error) {
	var b bytes.Buffer
	if output == "json" {
		err := report.WriteJSON(&b, fleetDocument{"meshknot.io/v1alpha1", "Fleet", s})
		return b.Bytes(), err
	}
	table(&b, "BINDING\tBACKEND\tACCESS\tNAMESPACES\tOBJECTS\tACCEPTED\tPROGRAMMED\tMESSAGE", s.Bindings, func(one fleet.Binding) []any {
		message := one.Message
		if one.Paused {
			message = strings.TrimSuffix("paused; "+message, "; ")
		}
		return []any{one.Name, strings.TrimSuffix(one.Backend+"@"+one.Version, "@"), one.Access, one.Namespaces, one.Objects, one.Accepted, one.Programmed, message}
	})
	if len(s.Namespaces) > 0 {
		b.WriteByte('\n')
		table(&b, "NAMESPACE\tBINDINGS\tOBJECTS\tPROGRAMMED\tWITH LOSSES", s.Namespaces, func(one fleet.Namespace) []any {
			return []any{one.Name, cmp.Or(strings.Join(one.Bindings, ","), "-"), one.Objects, one.Programmed, one.Lossy}
		})
		b.WriteByte('\n')
		table(&b, "CONDITION\tTRUE\tFALSE\tUNKNOWN", slices.Sorted(maps.Keys(s.Conditions)), func(one string) []any {
			n := s.Conditions[one]
			return []any{one, n["True"], n["False"], n["Unknown"]}
		})
	}
	if len(s.Troubles) > 0 {
		b.WriteByte('\n')
		table(&b, "NOT IN FORCE\tBINDING\tCONDITION\tREASON\tMESSAGE", s.Troubles, func(one fleet.Trouble) []any {
			return []any{one.Kind + " " + one.Namespace + "/" + one.Name, one.Binding, one.Condition, one.Reason, one.Message}
		})
	}
	if s.More > 0 {
		fmt.Fprintf(&b, "and %d more\n", s.More)
	}
	return b.Bytes(), nil
}

func proxiesText(s xds.Status, output string) ([]byte, error) {
	var b bytes.Buffer
	if output == "json" {
		err := report.WriteJSON(&b, s)
		return b.Bytes(), err
	}
	table(&b, "PROXY\tBACKEND\tNAMESPACE\tACCOUNT\tIN SYNC\tACKS\tNACKS\tLAST NACK", s.Nodes, func(n xds.NodeStatus) []any {
		sync, nack := "yes", ""
		if !n.InSync {
			sync = "no"
		}
		if n.LastNack != nil {
			nack = n.LastNack.Time.UTC().Format(time.RFC3339) + " " + strings.TrimPrefix(n.LastNack.Resource+": ", ": ") + n.LastNack.Text
		}
		return []any{n.Node, n.Backend, n.Namespace, n.Account, sync, n.Acks, n.Nacks, nack}
	})
	return b.Bytes(), nil
}

// table writes rows under a head. What is in a cluster comes from whoever wrote it: no
// control characters in a terminal.
func table[T any](to *bytes.Buffer, head string, rows []T, cells func(T) []any) {
	var b bytes.Buffer
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, head)
	for _, row := range rows {
		for i, cell := range cells(row) {
			if i > 0 {
				fmt.Fprint(w, "\t")
			}
			fmt.Fprint(w, printable(fmt.Sprint(cell)))
		}
		fmt.Fprintln(w)
	}
	_ = w.Flush() // into memory
	for line := range strings.Lines(b.String()) {
		to.WriteString(strings.TrimRight(line, " \n") + "\n")
	}
}
