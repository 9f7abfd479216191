package cli

import (
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/meshknot/meshknot/translators"
	"github.com/meshknot/meshknot/translators/all"
	"github.com/meshknot/meshknot/translators/feature"
	"github.com/meshknot/meshknot/translators/input"
	"github.com/meshknot/meshknot/translators/report"
)

// inputFlags say what is read and how it is understood.
type inputFlags struct {
	files     []string
	access    string
	dialect   string
	complete  bool
	workloads []string
}

func (f *inputFlags) register(c *cobra.Command) {
	fl := c.Flags()
	fl.StringArrayVarP(&f.files, "filename", "f", nil, "file, directory, glob, kustomize directory, or - for standard input (repeatable)")
	fl.StringVar(&f.access, "access", "selected", "what is denied by default: selected (workloads that a policy names), strict (all), off")
	fl.StringVar(&f.dialect, "smi-dialect", "spec", "how ambiguous SMI is read: spec, osm, traefik")
	fl.BoolVar(&f.complete, "complete", false, "everything was given: what is absent does not exist")
	fl.StringArrayVar(&f.workloads, "workload", nil, "NS/ACCOUNT=k=v,...: the labels of an account's pods (repeatable)")
	_ = c.MarkFlagRequired("filename")
	complete(c, "access", "selected", "strict", "off")
	complete(c, "smi-dialect", "spec", "osm", "traefik")
}

func complete(c *cobra.Command, flag string, values ...string) {
	_ = c.RegisterFlagCompletionFunc(flag, cobra.FixedCompletions(values, cobra.ShellCompDirectiveNoFileComp))
}

func (f *inputFlags) settings() (input.Settings, error) {
	s := input.Settings{Access: f.access, Dialect: f.dialect, Complete: f.complete, Workloads: map[string]map[string]string{}}
	if !slices.Contains([]string{"selected", "strict", "off"}, f.access) {
		return s, cannot("--access %q: want selected, strict or off", f.access)
	}
	if !slices.Contains([]string{"spec", "osm", "traefik"}, f.dialect) {
		return s, cannot("--smi-dialect %q: want spec, osm or traefik", f.dialect)
	}
	for _, w := range f.workloads {
		name, labels, err := input.ParseWorkload(w)
		if err != nil {
			return s, cannot("--workload: %w", err)
		}
		s.Workloads[name] = labels
	}
	return s, nil
}

// load reads the input.
func (f *inputFlags) load(a *app) (*input.Set, *input.Store, report.Report, error) {
	settings, err := f.settings()
	if err != nil {
		return nil, nil, nil, err
	}
	set, found := input.Read(f.files, input.Options{Schemas: all.Pipeline().Schemas(), Stdin: a.in})
	return set, input.NewStore(set, settings), found, nil
}

// findingFlags say how findings are shown, and which end with status 1.
type findingFlags struct {
	output string
	failOn string
	color  string
}

func (f *findingFlags) register(c *cobra.Command, formats ...string) {
	fl := c.Flags()
	fl.StringVarP(&f.output, "output", "o", formats[0], "one of "+strings.Join(formats, ", "))
	fl.StringVar(&f.failOn, "fail-on", "error", "the mildest finding that ends with status 1: error, warning, info")
	fl.StringVar(&f.color, "color", "auto", "auto, always, never")
	complete(c, "output", formats...)
	complete(c, "fail-on", "error", "warning", "info")
	complete(c, "color", "auto", "always", "never")
}

func (f *findingFlags) check(c *cobra.Command) error {
	if !slices.Contains([]string{"error", "warning", "info"}, f.failOn) {
		return cannot("--fail-on %q: want error, warning or info", f.failOn)
	}
	if !slices.Contains([]string{"auto", "always", "never"}, f.color) {
		return cannot("--color %q: want auto, always or never", f.color)
	}
	formats := strings.TrimPrefix(c.Flags().Lookup("output").Usage, "one of ")
	if !slices.Contains(strings.Split(formats, ", "), f.output) {
		return cannot("--output %q: want %s", f.output, formats)
	}
	return nil
}

// colored reports whether text to w may be coloured.
func (f *findingFlags) colored(w any) bool {
	if f.color != "auto" {
		return f.color == "always"
	}
	file, ok := w.(*os.File)
	return ok && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb" && term.IsTerminal(int(file.Fd()))
}

// targetFlags say what is translated to.
type targetFlags struct {
	to          []string
	options     []string
	trustDomain string
	allow       []string
	// authorization is an option of one back end that is asked for often.
	authorization string
	// flag is what names them, where it is not --to.
	flag string
}

func (f *targetFlags) register(c *cobra.Command, required bool) {
	fl := c.Flags()
	fl.StringSliceVar(&f.to, "to", nil, "back ends, such as envoy,istio@1.26, or all")
	fl.StringArrayVar(&f.options, "option", nil, "BACKEND.KEY=VALUE: an option of a back end, such as istio.root-namespace=istio-config (repeatable)")
	fl.StringVar(&f.authorization, "authorization", "", "the mesh in whose form gateway-api writes who may call: istio, linkerd or consul, with @VERSION if not the newest")
	fl.StringVar(&f.trustDomain, "trust-domain", "cluster.local", "trust domain of the accounts' SPIFFE identities")
	fl.StringArrayVar(&f.allow, "allow", nil, "CODE=Kind/ns/name[:reason]: accept one refusal (repeatable)")
	if required {
		_ = c.MarkFlagRequired("to")
	}
	var names []string
	for _, b := range all.Pipeline().Backends {
		names = append(names, b.Name())
	}
	complete(c, "to", append(names, "all")...)
	complete(c, "authorization", authorizers()...)
}

func (f *targetFlags) targets() ([]translators.Target, error) {
	p := all.Pipeline()
	var out []translators.Target
	for _, name := range f.to {
		if name == "all" {
			for _, b := range p.Backends {
				out = append(out, translators.Target{Backend: b.Name()})
			}
			continue
		}
		name, version, _ := strings.Cut(name, "@")
		b, ok := p.Backend(name)
		if !ok {
			return nil, cannot("no back end %q%s: meshknot backends ls shows those there are", name, meant("", name, backendNames(p)))
		}
		if version != "" && !slices.Contains(b.Versions(), version) {
			return nil, cannot("%s has no version %q: it has %s", name, version, strings.Join(b.Versions(), ", "))
		}
		out = append(out, translators.Target{Backend: name, Version: version})
	}
	if len(out) == 0 {
		return nil, cannot("--to names no back end")
	}
	out = once(out)
	return out, f.fill(out)
}

// once keeps the first of targets that are the same.
func once(targets []translators.Target) []translators.Target {
	var out []translators.Target
	for _, t := range targets {
		if !slices.ContainsFunc(out, func(o translators.Target) bool { return name(o) == name(t) }) {
			out = append(out, t)
		}
	}
	return out
}

func (f *targetFlags) fill(targets []translators.Target) error {
	for i := range targets {
		targets[i].TrustDomain = f.trustDomain
		targets[i].Options = map[string]string{}
	}
	for _, o := range f.withAuthorization() {
		key, value, ok := strings.Cut(o, "=")
		backend, key, dotted := strings.Cut(key, ".")
		if !ok || !dotted {
			return cannot("--option %q: want BACKEND.KEY=VALUE", o)
		}
		used := false
		for i := range targets {
			if targets[i].Backend == backend {
				targets[i].Options[key], used = value, true
			}
		}
		if !used {
			return cannot("--option %q: not translated to %s", o, backend)
		}
		if b, _ := all.Pipeline().Backend(backend); !slices.ContainsFunc(options(b), func(o translators.Option) bool { return takes(o, key) }) {
			return cannot("--option %q: %s has no such option: meshknot backends show %s lists them", o, backend, backend)
		}
	}
	for _, t := range targets {
		if err := checkAuthorization(t); err != nil {
			return err
		}
	}
	return nil
}

func (f *targetFlags) waivers() ([]feature.Waiver, error) {
	var out []feature.Waiver
	for _, s := range f.allow {
		w, err := feature.ParseWaiver(s)
		if err != nil {
			return nil, cannot("--allow: %w", err)
		}
		out = append(out, w)
	}
	return out, nil
}

// show renders findings as text to standard error.
func (a *app) show(set *input.Set, found report.Report, f findingFlags, least report.Severity) error {
	var shown report.Report
	for _, one := range found.Sorted() {
		if one.Severity.AtLeast(least) {
			shown = append(shown, one)
		}
	}
	return a.render(a.err, "text", set, shown, f.colored(a.err))
}

func (a *app) render(w any, format string, set *input.Set, found report.Report, color bool) error {
	out, ok := w.(interface{ Write([]byte) (int, error) })
	if !ok {
		return fmt.Errorf("%T is no writer", w)
	}
	o := report.RenderOptions{Color: color, Version: Version}
	if set != nil {
		o.Locator = set
	}
	return report.Render(out, format, found, o)
}
