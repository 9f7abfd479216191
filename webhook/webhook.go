package webhook

import (
	"cmp"
	"context"
	"net/http"
	"runtime"
	"time"

	"github.com/meshknot/meshknot/crds/v1alpha1"
	"github.com/meshknot/meshknot/internal/engine"
	"github.com/meshknot/meshknot/policies"
	"github.com/meshknot/meshknot/translators/input"
	"github.com/meshknot/meshknot/translators/report"
)

// World is what a request would change.
type World interface {
	// Preview tells what edits would come to, and false where not everything is
	// known yet. It changes nothing, and several may be asked for at once.
	Preview(ctx context.Context, edits []input.Edit) (engine.Preview, bool)
}

// Rules are rules in Rego, with the objects that they may ask for.
type Rules interface {
	// Review says what rules have against an object.
	Review(ctx context.Context, o policies.Object) report.Report
	// Check says what is wrong with modules that are to become rules.
	Check(modules []policies.Module, parameters []string) report.Report
}

// Bindings knows the MeshBindings that there are.
type Bindings interface {
	// Check says what is wrong with a binding, were it to take the place of the one
	// of its name: an error where it could not be accepted. Findings have a field.
	Check(ctx context.Context, b v1alpha1.MeshBinding) report.Report
}

// Observer is told of each answer. Verdict is "allowed", "warned", "denied",
// "exempt" or "failed"; kind is one of Kinds, or "other".
type Observer interface {
	Answered(kind, operation, verdict string, took time.Duration)
}

// Options say how a Handler answers.
type Options struct {
	// Schemas of the kinds that are decoded.
	Schemas []input.Schema
	// Namespace that meshknot runs in, and Account, the user name that it has with
	// the API server ("system:serviceaccount:NAMESPACE:NAME").
	Namespace, Account string
	// PolicyNamespace is where ConfigMaps hold rules; empty: Namespace.
	PolicyNamespace string
	// DenyOpening: what opens a workload that denies now is denied. Else it is
	// allowed, with a warning.
	DenyOpening bool
	// DenyDangling: what refers to something that is not there is denied. Else it
	// is allowed, with a warning, and lets nothing through until that is there.
	DenyDangling bool
	// Deadline is how long a request may take, where the API server does not wait
	// for less (2 s).
	Deadline time.Duration
	// Body is the number of bytes that a request may have (3 MiB).
	Body int64
	// Concurrent is the number of requests that are judged at a time: twice as many
	// as there are processors, for to judge is work, and more at a time are all slower.
	Concurrent int
	// Waiting is the number of requests that wait for one of these places, until their
	// deadline (256). Those beyond are refused at once, for whoever is made to wait for
	// nothing takes the time of others.
	Waiting int
	// Observer, if there is one.
	Observer Observer
}

func (o Options) withDefaults() Options {
	o.Deadline = cmp.Or(o.Deadline, 2*time.Second)
	o.Body = cmp.Or(o.Body, 3<<20)
	o.Concurrent = cmp.Or(o.Concurrent, 2*runtime.GOMAXPROCS(0))
	o.Waiting = cmp.Or(o.Waiting, 256)
	o.PolicyNamespace = cmp.Or(o.PolicyNamespace, o.Namespace)
	return o
}

// The paths that a Handler serves.
const (
	ValidatePath = "/validate"
	ConvertPath  = "/convert"
)

// Handler answers an API server. It is safe for concurrent use.
type Handler struct {
	o        Options
	world    World
	rules    Rules
	bindings Bindings
	decoder  *input.Decoder
	kinds    map[kindName]bool
	places   *places
	mux      *http.ServeMux
}

// New makes a handler. Rules and bindings may be nil: then nothing is asked of them.
func New(world World, rules Rules, bindings Bindings, o Options) *Handler {
	h := &Handler{o: o.withDefaults(), world: world, rules: rules, bindings: bindings, kinds: kindNames(), mux: http.NewServeMux()}
	h.decoder = input.NewDecoder(input.Options{Schemas: o.Schemas}, gatewayGroup)
	h.places = newPlaces(h.o.Concurrent, h.o.Waiting)
	h.mux.HandleFunc("POST "+ValidatePath, h.validate)
	h.mux.HandleFunc("POST "+ConvertPath, h.convert)
	return h
}

// ServeHTTP answers a request.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) { h.mux.ServeHTTP(w, r) }
