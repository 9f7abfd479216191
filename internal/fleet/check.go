package fleet

import (
	"context"
	"fmt"
	"strconv"
	"strings"
)

// Result is what a check came to.
type Result string

// The results. A warning is about what may be meant.
const (
	OK      Result = "ok"
	Warning Result = "warning"
	Failed  Result = "failed"
)

// Check is one thing that was looked at.
type Check struct {
	// Name says what should hold.
	Name   string `json:"name"`
	Result Result `json:"result"`
	// Message says what is the case where that is more than the name says, and Hint
	// what can be done about it.
	Message string `json:"message,omitempty"`
	Hint    string `json:"hint,omitempty"`
}

// Section is checks of one thing, in order.
type Section struct {
	Name   string  `json:"name"`
	Checks []Check `json:"checks"`
}

func (s *Section) ok(name, message string) { s.add(name, OK, message, "") }

func (s *Section) add(name string, r Result, message, hint string) {
	s.Checks = append(s.Checks, Check{name, r, message, hint})
}

// unknown says that something could not be looked at.
func (s *Section) unknown(name string, err error) {
	s.add(name, Warning, "cannot tell: "+err.Error(), "look with an account that may read it")
}

// Options say what is checked.
type Options struct {
	// Pre: whether meshknot can be installed, not whether it works.
	Pre bool
	// Namespace that the controller is installed in.
	Namespace string
	// Admin is the address of a controller's admin listener, "host:port"; empty where
	// it is not to be asked.
	Admin string
}

// oldest is the oldest minor version of Kubernetes that has everything that is used:
// ValidatingAdmissionPolicy and the rules in our definitions.
const oldest = 30

// Check looks at everything there is to be looked at.
func (c *Cluster) Check(ctx context.Context, o Options) []Section {
	all := []Section{c.server()}
	if o.Pre {
		return append(all, c.inTheWay(ctx), c.installing(ctx, o.Namespace))
	}
	definitions := c.definitions(ctx)
	all = append(all, definitions, c.rights(ctx, o.Namespace), c.hooks(ctx, o.Namespace), c.rules(ctx, o.Namespace), c.controller(ctx, o))
	for _, d := range definitions.Checks {
		if d.Result == Failed {
			return all // there is nothing to be read of what it defines
		}
	}
	now, err := c.State(ctx)
	if err != nil {
		s := Section{Name: "bindings"}
		s.unknown("bindings and reports can be read", err)
		return append(all, s)
	}
	return append(all, now.bindings(), now.reports())
}

func (c *Cluster) server() Section {
	s := Section{Name: "cluster"}
	s.ok("the API server answers", c.Version.GitVersion)
	name := fmt.Sprintf("it is of version 1.%d or newer", oldest)
	minor, err := strconv.Atoi(strings.TrimRight(c.Version.Minor, "+"))
	switch {
	case err != nil:
		s.add(name, Warning, fmt.Sprintf("its minor version is %q", c.Version.Minor), "")
	case c.Version.Major == "1" && minor < oldest:
		s.add(name, Failed, "it is "+c.Version.GitVersion, "upgrade the cluster")
	default:
		s.ok(name, "")
	}
	return s
}

// few joins the first of some texts and says how many more there are, those beyond
// the texts included.
func few(texts []string, beyond int) string {
	const most = 5
	if beyond += max(0, len(texts)-most); beyond == 0 {
		return strings.Join(texts, "; ")
	}
	return fmt.Sprintf("%s; and %d more", strings.Join(texts[:min(len(texts), most)], "; "), beyond)
}
