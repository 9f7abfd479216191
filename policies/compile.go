package policies

import (
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/topdown"

	"github.com/meshknot/meshknot/translators/report"
)

// plan is what a set of modules comes to: made once, then only read.
type plan struct {
	problems     report.Report
	capabilities *ast.Capabilities
	// modules are those in order, as parsed.
	modules  map[string]*ast.Module
	compiler *ast.Compiler
	entries  []entry
	// ownLibrary: the library is that of this build, and not one that a bundle brought.
	ownLibrary bool
	// tracer, if any, sees what is evaluated; tests set it.
	tracer topdown.QueryTracer
}

// entry is a rule that is evaluated on objects, with its query.
type entry struct {
	rule  Rule
	query ast.Body
	// review: the rule reads Gatekeeper's form of input.
	review bool
	// parameters are the rule's, defaults included.
	parameters *ast.Term
	// inventory: the rule reads data.inventory.
	inventory bool
}

// result is the variable that a query binds to what its rule says.
const result = ast.Var("result")

// verdict matches the names of rules that are evaluated.
var verdict = regexp.MustCompile(`^(deny|violation|warn)(_[A-Za-z0-9_]+)?$`)

// compile makes a plan. A module that is not in order is reported and left out,
// and so are those that need it; the others are in force. Files of tests count
// only where tests are run.
func compile(modules []Module, tests bool) *plan {
	p := &plan{capabilities: capabilities()}
	p.modules = p.parse(withLibrary(modules), tests)
	p.compiler = p.link()
	p.entries = p.collect()
	p.ownLibrary = !slices.ContainsFunc(modules, func(m Module) bool { return isLibrary(packageOf(m)) && !ours(m) })
	if len(modules) > 0 && len(p.entries)+len(p.problems) == 0 {
		p.problems = append(p.problems, broken(report.Ref{}, "no rule is named deny, violation or warn: nothing would be checked"))
	}
	return p
}

// parse reads modules and leaves out those with errors or forbidden calls.
func (p *plan) parse(modules []Module, tests bool) map[string]*ast.Module {
	parsed := map[string]*ast.Module{}
	libraries := map[string]bool{} // those packages of the library that were read
	for _, m := range p.distinct(modules, tests) {
		module, err := p.parseModule(m)
		if err != nil {
			p.compileErrors(m.File, err)
			continue
		}
		if !p.obeys(module) {
			continue
		}
		if name := packageOf(m); isLibrary(name) {
			if libraries[name] {
				p.problem(report.PolicyBroken, module.Package.Location, "package "+name+
					" is there twice, in different versions: leave out the shipped rules, or the file")
				continue
			}
			libraries[name] = true
		}
		parsed[m.File] = module
	}
	return parsed
}

// distinct leaves out what is there twice, as in a directory and a bundle of it,
// and reports files of one name that differ: none of them is used.
func (p *plan) distinct(modules []Module, tests bool) []Module {
	var out []Module
	sources, copies, differ := map[string]string{}, map[string]bool{}, map[string]bool{}
	for _, m := range modules {
		if m.isTest() && !tests {
			continue
		}
		source, twice := sources[m.File]
		switch {
		case twice && source != string(m.Source):
			p.problem(report.PolicyBroken, &ast.Location{File: m.File}, "two files of this name differ")
			differ[m.File] = true
		case !twice && (!copies[string(m.Source)] || m.isTest()):
			out = append(out, m)
		}
		sources[m.File] = string(m.Source)
		copies[string(m.Source)] = true
	}
	return slices.DeleteFunc(out, func(m Module) bool { return differ[m.File] })
}

// obeys reports the forbidden calls of a module, and whether there are none.
func (p *plan) obeys(module *ast.Module) bool {
	calls := forbidden(module)
	for _, call := range calls {
		p.problem(report.PolicyForbidden, call.Location, call.Value.String()+" is not allowed in a rule: "+
			"a rule sees the object and data.inventory and nothing else")
	}
	return len(calls) == 0
}

// parseModule reads Rego v1 and, for the many rules that Gatekeeper users have,
// what only v0 can read.
func (p *plan) parseModule(m Module) (*ast.Module, error) {
	options := ast.ParserOptions{ProcessAnnotation: true, RegoVersion: ast.RegoV1, Capabilities: p.capabilities}
	module, err := ast.ParseModuleWithOpts(m.File, string(m.Source), options)
	if err == nil {
		return module, nil
	}
	options.RegoVersion = ast.RegoV0
	if old, oldErr := ast.ParseModuleWithOpts(m.File, string(m.Source), options); oldErr == nil && old != nil {
		return old, nil
	}
	return nil, err
}

// link compiles modules together, without those that have errors.
func (p *plan) link() *ast.Compiler {
	for {
		c := ast.NewCompiler().WithCapabilities(p.capabilities).SetErrorLimit(0)
		c.Compile(p.modules)
		errs := c.Errors
		if len(errs) == 0 {
			errs = unknownData(c)
		}
		if len(errs) == 0 {
			return c
		}
		p.compileErrors("", errs)
		if !drop(p.modules, errs) {
			p.modules = map[string]*ast.Module{} // an error without a place: trust none
		}
	}
}

// drop removes the modules that errors point into.
func drop(modules map[string]*ast.Module, errs ast.Errors) bool {
	before := len(modules)
	for _, e := range errs {
		if e.Location != nil {
			delete(modules, e.Location.File)
		}
	}
	return len(modules) < before
}

// unknownData finds references to documents that will never exist, as to the
// rules of a module that was left out: they are undefined for ever, and a rule
// that waits for them would never deny anything.
func unknownData(c *ast.Compiler) ast.Errors {
	var errs ast.Errors
	for _, name := range slices.Sorted(maps.Keys(c.Modules)) {
		if (Module{File: name}).isTest() {
			continue
		}
		for _, rule := range c.Modules[name].Rules {
			ast.WalkRefs(rule, func(r ast.Ref) bool {
				if r.HasPrefix(ast.DefaultRootRef) && !r.HasPrefix(inventoryRef) && len(c.GetRulesDynamicWithOpts(r, ast.RulesOptions{})) == 0 {
					errs = append(errs, ast.NewError(ast.CompileErr, r[0].Location,
						"%v does not exist: of data, a rule sees data.inventory and other rules", r))
				}
				return false
			})
		}
	}
	return errs
}

// inventoryRef is data.inventory.
var inventoryRef = ast.DefaultRootRef.Append(ast.StringTerm("inventory"))

func (p *plan) compileErrors(file string, err error) {
	var errs ast.Errors
	if !errors.As(err, &errs) {
		errs = ast.Errors{ast.NewError(ast.CompileErr, &ast.Location{File: file}, "%v", err)}
	}
	for _, e := range errs {
		message := e.Message
		if e.Details != nil && e.Code != ast.ParseErr { // else it is an excerpt
			message += ": " + strings.Join(e.Details.Lines(), " ")
		}
		p.problem(report.PolicyBroken, e.Location, message)
	}
}

func (p *plan) problem(code report.Code, at *ast.Location, message string) {
	f := failure(code, report.Ref{}, message)
	if at != nil {
		f.At = report.Position{File: at.File, Line: at.Row, Column: at.Col}
	}
	p.problems = append(p.problems, f)
}

// collect finds the rules to evaluate and prepares their queries.
func (p *plan) collect() []entry {
	heads := map[string][]*ast.Rule{} // by the rule's path
	for _, name := range slices.Sorted(maps.Keys(p.compiler.Modules)) {
		for _, r := range p.compiler.Modules[name].Rules {
			if len(r.Head.Args) == 0 && verdict.MatchString(entryName(r)) {
				path := entryPath(r).String()
				heads[path] = append(heads[path], r)
			}
		}
	}
	var entries []entry
	for _, path := range slices.Sorted(maps.Keys(heads)) {
		en, err := p.prepare(heads[path])
		if err != nil {
			p.problem(report.PolicyBroken, heads[path][0].Location, err.Error())
			continue
		}
		entries = append(entries, en)
	}
	return entries
}

func (p *plan) prepare(rules []*ast.Rule) (entry, error) {
	described, err := describe(p.compiler.GetAnnotationSet(), rules)
	if err != nil {
		return entry{}, err
	}
	ask := ast.Equality.Expr(ast.NewTerm(result), ast.NewTerm(entryPath(rules[0])))
	query, err := p.compiler.QueryCompiler().Compile(ast.NewBody(ask))
	if err != nil {
		return entry{}, fmt.Errorf("preparing the query: %w", err)
	}
	en := entry{rule: described, query: query, parameters: ast.ObjectTerm()}
	if en, err = en.with(nil); err != nil {
		return entry{}, err
	}
	r := p.reads(rules)
	if r.form && !r.review && r.bare != "" {
		return entry{}, fmt.Errorf("%s reads %s, but a rule with parameters or a previous object gets input.review: lib.resource is the object in either form",
			described.Name, r.bare)
	}
	en.review, en.inventory = r.review || r.form, r.inventory
	return en, nil
}

// reading is what rules look at, themselves or through others.
type reading struct {
	inventory bool
	// review: they read Gatekeeper's form of input themselves.
	review bool
	// form: they read, through the library, what only Gatekeeper's form has.
	form bool
	// bare is a field of the object that they read from the input itself, if any.
	bare string
}

// reads tells what rules look at. The library reads both forms of input, so only
// what one of them has alone counts of it.
func (p *plan) reads(rules []*ast.Rule) reading {
	var found reading
	seen := map[*ast.Rule]bool{}
	for queue := slices.Clone(rules); len(queue) > 0; queue = queue[1:] {
		r := queue[0]
		if seen[r] {
			continue
		}
		seen[r] = true
		own := !r.Module.Package.Path.HasPrefix(libraryRef)
		ast.WalkRefs(r, func(ref ast.Ref) bool {
			special := ref.HasPrefix(reviewRef) || ref.HasPrefix(parametersRef)
			found.review = found.review || own && special
			found.form = found.form || ref.HasPrefix(parametersRef) || ref.HasPrefix(previousRef)
			found.inventory = found.inventory || ref.HasPrefix(inventoryRef)
			if own && !special && len(ref) > 1 && ref.HasPrefix(ast.InputRootRef) {
				found.bare = ref.String()
			}
			return false
		})
		for next := range p.compiler.Graph.Dependencies(r) { // a set is made: order does not matter
			queue = append(queue, next.(*ast.Rule))
		}
	}
	return found
}

var (
	libraryRef    = ast.MustParseRef("data.lib.meshknot")
	reviewRef     = ast.MustParseRef("input.review")
	previousRef   = ast.MustParseRef("input.review.oldObject")
	parametersRef = ast.MustParseRef("input.parameters")
)

// entryName is the first part of a rule's name: "deny" of "deny.all".
func entryName(r *ast.Rule) string {
	switch name := r.Head.Ref()[0].Value.(type) {
	case ast.Var:
		return string(name)
	case ast.String:
		return string(name)
	}
	return ""
}

func entryPath(r *ast.Rule) ast.Ref {
	return r.Module.Package.Path.Append(ast.StringTerm(entryName(r)))
}
