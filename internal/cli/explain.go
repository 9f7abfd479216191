package cli

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/meshknot/meshknot/internal/ask"
	"github.com/meshknot/meshknot/translators"
	"github.com/meshknot/meshknot/translators/all"
	"github.com/meshknot/meshknot/translators/input"
	"github.com/meshknot/meshknot/translators/report"
	"github.com/meshknot/meshknot/translators/semantics"
)

// viewFlags say how answers are shown.
type viewFlags struct {
	output, color string
	formats       []string
}

func (f *viewFlags) register(c *cobra.Command, formats ...string) {
	f.formats = formats
	c.Flags().StringVarP(&f.output, "output", "o", formats[0], "one of "+strings.Join(formats, ", "))
	c.Flags().StringVar(&f.color, "color", "auto", "auto, always, never")
	complete(c, "output", formats...)
	complete(c, "color", "auto", "always", "never")
}

func (f *viewFlags) check() error {
	if !slices.Contains(f.formats, f.output) {
		return cannot("--output %q: want %s", f.output, strings.Join(f.formats, ", "))
	}
	if !slices.Contains([]string{"auto", "always", "never"}, f.color) {
		return cannot("--color %q: want auto, always or never", f.color)
	}
	return nil
}

func (f *viewFlags) findings() findingFlags { return findingFlags{color: f.color} }

// program is what answers questions.
func program() ask.Program {
	return ask.Program{Pipeline: all.Pipeline(), Interpreter: all.Interpreter}
}

// theModel is the name under which the model is asked beside back ends.
const theModel = "model"

// registerBackends registers the flags of what is asked beside the model.
func (f *targetFlags) registerBackends(c *cobra.Command, flag, help string, backends ...string) {
	fl := c.Flags()
	f.flag = flag
	fl.StringSliceVar(&f.to, flag, backends, help)
	fl.StringArrayVar(&f.options, "option", nil, "BACKEND.KEY=VALUE: an option of a back end (repeatable)")
	fl.StringVar(&f.authorization, "authorization", "", "the mesh in whose form gateway-api writes who may call: istio, linkerd or consul, with @VERSION if not the newest")
	fl.StringVar(&f.trustDomain, "trust-domain", "cluster.local", "trust domain of the accounts' SPIFFE identities")
	names := []string{theModel, "all"}
	for _, b := range all.Pipeline().Backends {
		names = append(names, b.Name())
	}
	complete(c, flag, names...)
	complete(c, "authorization", authorizers()...)
}

// asked returns the back ends that are asked beside the model, none where it is
// asked alone.
func (f *targetFlags) asked() ([]translators.Target, error) {
	named := *f
	named.to = slices.DeleteFunc(slices.Clone(f.to), func(s string) bool { return s == theModel })
	if len(named.to) == 0 && len(f.to) > 0 {
		return nil, nil
	}
	if len(named.to) == 0 {
		return nil, cannot("--%s names no back end", f.flag)
	}
	return named.targets()
}

// question reads an input to be asked about. What cannot be read may be what
// decides, so then there is no answer.
func (a *app) question(in inputFlags, f findingFlags) (*input.Set, *input.Store, error) {
	set, store, found, err := in.load(a)
	if err != nil {
		return nil, nil, err
	}
	if err := a.show(set, found, f, report.Warning); err != nil {
		return nil, nil, err
	}
	if unread(found) {
		return nil, nil, status{code: exitCannot}
	}
	return set, store, nil
}

// callFlags say which request is asked about.
type callFlags struct {
	from, to string
	headers  []string
}

func (f *callFlags) register(c *cobra.Command) {
	c.Flags().StringVar(&f.from, "from", "", "who calls: sa:NS/ACCOUNT, spiffe:URI or external (nobody that the mesh knows)")
	c.Flags().StringVar(&f.to, "to", "", "who is called: svc:NS/NAME:PORT, pod:NS/ACCOUNT:PORT or gw:NS/NAME:PORT")
	c.Flags().StringArrayVarP(&f.headers, "header", "H", nil, "'NAME: VALUE': a header of the request (repeatable)")
}

// required makes the flags be demanded.
func (f *callFlags) required(c *cobra.Command) {
	_ = c.MarkFlagRequired("from")
	_ = c.MarkFlagRequired("to")
}

// request reads the request that flags and arguments describe.
func (f *callFlags) request(args []string) (semantics.Request, error) {
	q := semantics.Request{Headers: map[string][]string{}}
	var err error
	if q.From, err = semantics.ParseCaller(f.from); err != nil {
		return q, cannot("--from: %w", err)
	}
	if err := q.ParseCallee(f.to); err != nil {
		return q, cannot("--to: %w", err)
	}
	for _, h := range f.headers {
		if err := q.AddHeader(h); err != nil {
			return q, cannot("--header: %w", err)
		}
	}
	switch {
	case len(args) == 0, len(args) == 1 && (args[0] == "TCP" || args[0] == "UDP"):
		q.Raw = true
		return q, wellFormed(q)
	case len(args) == 1:
		return q, cannot("%q: want METHOD PATH, or TCP or UDP for a connection on which no request is made", args[0])
	}
	q.Method, q.Path = args[0], args[1]
	return q, wellFormed(q)
}

// wellFormed turns what no client would send into an exit status.
func wellFormed(q semantics.Request) error {
	if err := ask.WellFormed(q); err != nil {
		return status{exitCannot, err}
	}
	return nil
}

func explainCommand(a *app) *cobra.Command {
	var in inputFlags
	var to targetFlags
	var call callFlags
	var view viewFlags
	c := &cobra.Command{
		Use:   "explain -f FILE --from CALLER --to CALLEE [METHOD PATH]",
		Short: "Say what becomes of one request, and which lines decide",
		Long: `Explain decides one request by what the policies mean: whether it is allowed,
where it goes and as what, the lines that decide, and those that were considered
and did not. Beside it stands what each back end makes of it and by which
artifact, decided by the rules of that mesh. Only the part of the mesh that the
request has to do with is compiled.

Without METHOD and PATH it is a connection on which no request is made.

Exit status 0 when the request is allowed; 1 when it is denied, wholly or for
some of the back ends it may go to, or answered with an error by the proxy; 2
when nothing can be said. What back ends make of it does not change the status.`,
		Example: "  meshknot explain -f examples/bookstore --from sa:shop/web --to svc:shop/reviews:9080 GET /reviews/7\n" +
			"  meshknot explain -f examples/gateway --from external --to gw:storefront/edge:80 -H host:www.shop.example GET /reviews --backend envoy,istio -o json",
		Args: cobra.MaximumNArgs(2),
		RunE: func(_ *cobra.Command, args []string) error {
			if err := view.check(); err != nil {
				return err
			}
			q, err := call.request(args)
			if err != nil {
				return err
			}
			targets, err := to.asked()
			if err != nil {
				return err
			}
			set, store, err := a.question(in, view.findings())
			if err != nil {
				return err
			}
			answer, err := ask.New(program(), store, targets).Explain(q)
			if err != nil {
				return unknown(err)
			}
			if err := a.show(set, answer.Findings, view.findings(), report.Warning); err != nil {
				return err
			}
			a.doubt(answer.Doubts)
			if view.output == "json" {
				err = report.WriteJSON(a.out, explainedJSON(answer, set))
			} else {
				err = explained(a.screen(set, view), answer)
			}
			return errors.Join(err, allowed(answer.Decision))
		},
	}
	in.register(c)
	call.register(c)
	call.required(c)
	to.registerBackends(c, "backend", "back ends that are asked too, such as envoy,istio@1.26, all, or model for none", "all")
	view.register(c, "text", "json")
	return c
}

// unknown turns an error of asking into an exit status.
func unknown(err error) error { return status{exitCannot, err} }

// doubt tells what is odd about a request, without which it could be decided.
func (a *app) doubt(doubts []string) {
	for _, d := range doubts {
		fmt.Fprintf(a.err, "meshknot: warning: %s\n", printable(d))
	}
}

// allowed turns a decision into an exit status.
func allowed(d semantics.Decision) error {
	switch {
	case d.Verdict == semantics.UnknownPort:
		return status{code: exitCannot}
	case d.Verdict == semantics.Deny, d.Verdict == semantics.Mixed, d.Status >= 400:
		return status{code: exitNo}
	}
	return nil
}
