// Package demo shows, in one process on loopback, that a mesh does what the
// policy means. A small shop is governed by SMI policies; the whole pipeline
// translates them and the xDS server serves them to real data planes, proxyless
// gRPC and, where there is one, Envoy. Every outcome that was observed stands
// beside the one that the model expects, before and after an edit made while
// calls go on.
package demo

import (
	"cmp"
	"context"
	"embed"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"google.golang.org/grpc"

	"github.com/meshknot/meshknot/internal/demo/ca"
	"github.com/meshknot/meshknot/translators"
)

// Options are the settings of a demonstration. Zero fields mean the defaults.
type Options struct {
	// Envoy is the path of an Envoy binary; else MESHKNOT_ENVOY or
	// .cache/envoy/bin/envoy is used, if it is there.
	Envoy string
	// WithoutEnvoy: use no Envoy even where there is one.
	WithoutEnvoy bool
	// Requests made in each round on each data plane (1,000).
	Requests int

	pipeline func() translators.Pipeline // tests break it
	patience time.Duration               // how long to wait for what is expected
}

const (
	startTimeout  = 45 * time.Second
	changeTimeout = 30 * time.Second
	roundTimeout  = time.Minute
)

//go:embed policy/*.yaml edit/*.yaml
var policies embed.FS

// removedByEdit is the file that the edit takes away.
const removedByEdit = "grant-cart.yaml"

// Run runs the demonstration and writes what it sees. It reports whether
// everything that was observed agrees with what was expected. All that it starts
// has ended when it returns.
func Run(ctx context.Context, w io.Writer, o Options) (ok bool, err error) {
	o.Requests = cmp.Or(o.Requests, 1000)
	o.patience = cmp.Or(o.patience, 8*time.Second)
	if o.pipeline == nil {
		o.pipeline = pipeline
	}
	dir, err := os.MkdirTemp("", "meshknot-demo-")
	if err != nil {
		return false, fmt.Errorf("making a directory: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	if err := writePolicies(dir); err != nil {
		return false, err
	}
	authority, err := ca.New()
	if err != nil {
		return false, err
	}
	planes, err := newPlanes(dir, authority, o)
	for _, p := range planes {
		defer p.stop()
	}
	if err != nil {
		return false, err
	}
	control, err := startControl(dir, authority, planes, o.pipeline())
	if err != nil {
		return false, err
	}
	defer control.close()
	s := &show{w: w, control: control, options: o, live: map[string]*grpc.ClientConn{}}
	defer s.hangUp()
	return s.run(ctx)
}

// newPlanes makes the data planes. Those that were made are returned with an
// error, too, to be stopped.
func newPlanes(dir string, authority *ca.CA, o Options) ([]plane, error) {
	files, err := identities(dir, authority)
	if err != nil {
		return nil, err
	}
	var planes []plane
	applications, err := newProxyless(files)
	if err != nil {
		return nil, err
	}
	planes = append(planes, applications)
	if binary := findEnvoy(o.Envoy); binary != "" && !o.WithoutEnvoy {
		envoys, err := newSidecars(binary, dir, files)
		if err != nil {
			return planes, err
		}
		planes = append(planes, envoys)
	}
	for _, p := range planes {
		if err := endpointSlices(filepath.Join(dir, p.target().Backend+".json"), p.reached()); err != nil {
			return planes, err
		}
	}
	return planes, nil
}

// writePolicies lays the policies out as a ConfigMap is: "policies" is a link
// to the version in force, so that an edit happens all at once.
func writePolicies(dir string) error {
	for _, version := range []string{"before", "after"} {
		if err := writeVersion(filepath.Join(dir, version), version == "after"); err != nil {
			return fmt.Errorf("writing policies: %w", err)
		}
	}
	return link(dir, "before")
}

func writeVersion(dir string, edited bool) error {
	if err := os.Mkdir(dir, 0o700); err != nil {
		return err
	}
	entries, err := policies.ReadDir("policy")
	if err != nil {
		return err
	}
	for _, e := range entries {
		if edited && e.Name() == removedByEdit {
			continue
		}
		text, err := policies.ReadFile("edit/" + e.Name())
		if !edited || err != nil { // not every policy is edited
			text, err = policies.ReadFile("policy/" + e.Name())
		}
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(dir, e.Name()), text, 0o600); err != nil {
			return err
		}
	}
	return nil
}

// link puts a version of the policies in force.
func link(dir, version string) error {
	next := filepath.Join(dir, "next")
	if err := os.Symlink(version, next); err != nil {
		return fmt.Errorf("linking policies: %w", err)
	}
	if err := os.Rename(next, filepath.Join(dir, "policies")); err != nil {
		return fmt.Errorf("linking policies: %w", err)
	}
	return nil
}

// show is a demonstration under way.
type show struct {
	w       io.Writer
	control *control
	options Options
	// live are connections that live as long as the show, by plane and caller.
	live map[string]*grpc.ClientConn
}

func (s *show) hangUp() {
	for _, conn := range s.live {
		_ = conn.Close() // it is the end
	}
}

func liveKey(p plane, caller string) string { return p.title() + " " + caller }

func (s *show) run(ctx context.Context) (bool, error) {
	s.say("A shop on loopback, governed by SMI policies. Two splits send calls of\n" +
		"reviews to reviews-v1 and reviews-v2, 80 to 20, and those with x-beta to\n" +
		"reviews-v2 alone; web may read, cart may only get, for checkout.\n\n")
	if len(s.control.planes) == 1 {
		s.say("No Envoy here (make envoy installs one): proxyless gRPC shows it alone.\n\n")
	}
	if err := s.start(ctx); err != nil {
		return false, err
	}
	first, err := s.round(ctx, "As applied")
	if err != nil {
		return false, err
	}
	smooth, err := s.edit(ctx)
	if err != nil {
		return false, err
	}
	second, err := s.round(ctx, "After the edit")
	if err != nil {
		return false, err
	}
	ok := first && smooth && second
	s.say("%s", map[bool]string{
		true:  "Everything agrees.\n",
		false: "NOT everything agrees: the mesh does not do what the policy means.\n"}[ok])
	return ok, nil
}

func (s *show) say(format string, args ...any) { fmt.Fprintf(s.w, format, args...) }

// start starts the data planes and waits until they work.
func (s *show) start(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	for _, p := range s.control.planes {
		if err := p.start(s.control.address); err != nil {
			return fmt.Errorf("starting %s: %w", p.title(), err)
		}
		for _, name := range callers {
			conn, err := p.dial(call{from: name})
			if err != nil {
				return fmt.Errorf("starting %s: %w", p.title(), err)
			}
			s.live[liveKey(p, name)] = conn
			conn.Connect()
		}
	}
	if err := s.control.settle(ctx, s.proxies()); err != nil {
		for _, p := range s.control.planes {
			if text := p.trouble(); text != "" {
				err = fmt.Errorf("%w\n%s: %s", err, p.title(), text)
			}
		}
		return err
	}
	s.converge(ctx)
	return nil
}

// proxies is how many connect: every account has one on every plane.
func (s *show) proxies() int { return len(s.control.planes) * (len(callers) + len(servers)) }

// converge waits until each data plane does what is expected now and then.
// Where it does not come to that, the table will tell.
func (s *show) converge(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, s.options.patience)
	defer cancel()
	for _, p := range s.control.planes {
		for _, c := range calls() {
			until(ctx, p, c, expected(s.control.means(), c))
		}
	}
}

// edit changes the policies while web calls on. It may do so before and after,
// so it reports whether none of its calls was denied.
func (s *show) edit(ctx context.Context) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, changeTimeout)
	defer cancel()
	var talk []*chatter
	var err error
	for _, p := range s.control.planes {
		var t *chatter
		if t, err = startChatter(p, calls()[0]); err != nil {
			break
		}
		talk = append(talk, t)
	}
	began := time.Now()
	if err == nil {
		err = s.change(ctx)
	}
	took := time.Since(began)
	if err == nil {
		s.converge(ctx)
	}
	var sum chatter
	for _, t := range talk {
		t.stop()
		sum.calls, sum.failed, sum.denied = sum.calls+t.calls, sum.failed+t.failed, sum.denied+t.denied
	}
	if err != nil {
		return false, err
	}
	s.say("The policies are edited: 20 to 80, and no grant for cart. %d ms later all\n"+
		"%d proxies have accepted that. Of %d calls by web meanwhile %d lost their\n"+
		"connection and %d were denied.\n\n",
		took.Milliseconds(), s.proxies(), sum.calls, sum.failed, sum.denied)
	return sum.denied == 0, nil
}

// change puts the other version of the policies in force and waits until every
// proxy has accepted it.
func (s *show) change(ctx context.Context) error {
	if err := link(s.control.dir, "after"); err != nil {
		return err
	}
	select {
	case err := <-s.control.reloaded:
		if err != nil {
			return err
		}
	case <-ctx.Done():
		return fmt.Errorf("the edit was not noticed: %w", ctx.Err())
	}
	return s.control.settle(ctx, s.proxies())
}
