package protocol

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/meshknot/meshknot/internal/demo/ca"
	"github.com/meshknot/meshknot/internal/xds"
	"github.com/meshknot/meshknot/translators"
	"github.com/meshknot/meshknot/translators/ir"
)

// serve starts our server until the test ends.
func serve(t *testing.T, o xds.Options) (*xds.Server, string) {
	t.Helper()
	lis, err := listen("")
	if err != nil {
		t.Fatal(err)
	}
	s := xds.New(o)
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.Serve(ctx, lis) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil && !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	})
	return s, lis.Addr().String()
}

// catch fails a test with what a client found.
func catch(t *testing.T) {
	t.Helper()
	if f, ok := recover().(fault); ok {
		t.Error(string(f))
	}
}

// tenants are resources of which some are only for some.
type tenants map[translators.Slot]proto.Message

// owner is the text in which a resource says whom it is for.
func owner(a ir.Audience) string { return fmt.Sprintf("for %s/%s", a.Namespace, a.Account) }

// of makes a variant for an audience, which it names.
func variant(typeURL, name string, a ir.Audience, generation int) proto.Message {
	text := fmt.Sprintf("%s %d", owner(a), generation)
	switch typeURL {
	case CDS:
		return cluster(name, text)
	case EDS:
		e := endpoints(name, 1)
		e.Endpoints[0].Locality.Zone = text
		return e
	case LDS:
		return listener(name, text)
	}
	return route(name, text)
}

// mine is what an account must have: of each name the variant for the fewest that
// it is among. Namespaces count before accounts.
func (all tenants) mine(id ir.Identity) resources {
	out, rank := resources{}, map[translators.ID]int{}
	for slot, m := range all {
		a, r := slot.Audience, 1
		if a.Namespace != "" && a.Namespace != id.Namespace || a.Account != "" && a.Account != id.Account {
			continue
		}
		if a.Account != "" {
			r++
		}
		if a.Namespace != "" {
			r += 2
		}
		if r > rank[slot.ID] {
			rank[slot.ID] = r
			out.put(m)
		}
	}
	return out
}

// TestTenancy: over both protocols, and whatever changes, an account gets what is
// for it, the variant for the fewest, and never a byte of what is for others.
func TestTenancy(t *testing.T) {
	names := []string{"a", "b", "c", "d", "e"}
	random := rand.New(rand.NewPCG(6, 24))
	one := func(of ...string) string { return of[random.IntN(len(of))] }
	s, addr := serve(t, xds.Options{})
	all := tenants{}
	change := func(generation int) {
		c := translators.Change{Target: translators.Target{Backend: "envoy"}}
		for range 40 {
			a := ir.Audience{Namespace: one("", "shop", "bank", "park"), Account: one("", "web", "cart", "vault")}
			slot := translators.Slot{ID: translators.ID{Type: one(CDS, EDS, LDS, RDS), Name: one(names...)}, Audience: a}
			if _, ok := all[slot]; ok && random.IntN(2) == 0 {
				delete(all, slot)
				c.Remove = append(c.Remove, slot)
				continue
			}
			all[slot] = variant(slot.ID.Type, slot.ID.Name, a, generation)
		}
		for slot, m := range all {
			c.Put = append(c.Put, artifact(m, slot.Audience))
		}
		if err := s.Apply([]translators.Change{c}); err != nil {
			t.Fatal(err)
		}
	}
	change(0)
	type tenant struct {
		ir.Identity
		*client
	}
	var clients []tenant
	defer catch(t)
	for n := range 40 {
		id := ir.Identity{Namespace: one("shop", "bank", "park", "none"), Account: one("web", "cart", "vault", "none")}
		c := dial(dialing{addr: addr, delta: n%2 == 0, node: node("envoy", id.Namespace, id.Account), wait: patience})
		defer c.close()
		c.subscribe(CDS)
		c.subscribe(LDS, "*")
		c.subscribe(EDS, names...)
		c.subscribe(RDS, names...)
		clients = append(clients, tenant{id, c})
	}
	for generation := 1; generation <= 15; generation++ {
		for _, c := range clients {
			c.becomes(all.mine(c.Identity))
		}
		change(generation)
	}
	for _, c := range clients {
		for _, r := range c.log {
			for name, b := range r.resources {
				foreign(t, c.Identity, short(r.typeURL)+" "+name, string(b.value))
			}
		}
	}
}

// becomes takes responses until the client has exactly what is wanted; of the
// types of which a state of the world deletes nothing, at least that.
func (c *client) becomes(want resources) {
	differs := func() string {
		for _, t := range []string{CDS, EDS, LDS, RDS} {
			for n, m := range want[t] {
				if b, ok := c.has[t][n]; !ok || !b.is(m) {
					return fmt.Sprintf("%s %s is not what it should be for %s", short(t), n, c.node.GetId())
				}
			}
			for n := range c.has[t] {
				if want[t][n] == nil && (c.delta || fullState[t]) {
					return fmt.Sprintf("%s %s is not for %s", short(t), n, c.node.GetId())
				}
			}
		}
		return ""
	}
	for why := differs(); why != ""; why = differs() {
		r, ok := c.poll(c.wait)
		if !ok {
			fail("%s", why)
		}
		c.answer(r, "")
	}
}

// foreign fails when a text names an audience that somebody is not in.
func foreign(t *testing.T, id ir.Identity, what, text string) {
	t.Helper()
	for _, namespace := range []string{"", "shop", "bank", "park"} {
		for _, account := range []string{"", "web", "cart", "vault"} {
			a := ir.Audience{Namespace: namespace, Account: account}
			if strings.Contains(text, owner(a)+" ") && (namespace != "" && namespace != id.Namespace || account != "" && account != id.Account) {
				t.Errorf("%s was sent %s, which is %s", id, what, owner(a))
			}
		}
	}
}

// TestNodeAgainstCertificate: a node is who its certificate says, on both methods.
func TestNodeAgainstCertificate(t *testing.T) {
	authority, stranger := newCA(t), newCA(t)
	own := issue(t, authority, "spiffe://cluster.local/ns/mesh/sa/meshknot")
	s, addr := serve(t, xds.Options{TLS: &xds.TLSFiles{Cert: own.Cert, Key: own.Key, CA: own.CA}})
	if err := s.Update(xds.State{Artifacts: map[string][]translators.Artifact{"envoy": {
		artifact(cluster("mine", ""), ir.Audience{Namespace: "shop", Account: "web"})}}}); err != nil {
		t.Fatal(err)
	}
	creds := func(c *ca.CA, uri string) credentials.TransportCredentials {
		return clientTLS(t, issue(t, c, uri), own.CA)
	}
	self := "spiffe://cluster.local/ns/shop/sa/web"
	for _, tt := range []struct {
		name  string
		creds credentials.TransportCredentials
		want  []codes.Code
	}{
		{"itself", creds(authority, self), nil},
		{"another account", creds(authority, "spiffe://cluster.local/ns/shop/sa/cart"), []codes.Code{codes.PermissionDenied}},
		{"another namespace", creds(authority, "spiffe://cluster.local/ns/bank/sa/web"), []codes.Code{codes.PermissionDenied}},
		{"another trust domain", creds(authority, "spiffe://elsewhere/ns/shop/sa/web"), []codes.Code{codes.PermissionDenied}},
		{"more than itself", creds(authority, self+"/admin"), []codes.Code{codes.PermissionDenied}},
		{"itself in capitals", creds(authority, "spiffe://cluster.local/ns/shop/sa/WEB"), []codes.Code{codes.PermissionDenied}},
		{"the server", creds(authority, "spiffe://cluster.local/ns/mesh/sa/meshknot"), []codes.Code{codes.PermissionDenied}},
		{"no SPIFFE ID", creds(authority, "https://cluster.local/ns/shop/sa/web"), []codes.Code{codes.Unauthenticated}},
		{"another authority", creds(stranger, self), []codes.Code{codes.Unavailable}},
		{"no certificate", clientTLS(t, ca.Files{}, own.CA), []codes.Code{codes.Unavailable}},
		{"no TLS", insecure.NewCredentials(), []codes.Code{codes.Unavailable}},
	} {
		for _, on := range []variants{delta, world} {
			t.Run(fmt.Sprintf("%s/%s", tt.name, on), func(t *testing.T) {
				defer catch(t)
				c := dial(dialing{addr: addr, delta: on == delta, node: node("envoy", "shop", "web"), creds: tt.creds, wait: patience})
				defer c.close()
				c.subscribe(CDS)
				if tt.want == nil {
					c.await(sent(CDS, "mine"))
					return
				}
				if err := c.dies(); !slices.Contains(tt.want, status.Code(err)) || len(c.got) > 0 {
					t.Errorf("%d responses and then %v, want none and %v", len(c.got), err, tt.want)
				}
			})
		}
	}
}

func newCA(t *testing.T) *ca.CA {
	t.Helper()
	c, err := ca.New()
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func issue(t *testing.T, c *ca.CA, uri string) ca.Files {
	t.Helper()
	f, err := c.Write(t.TempDir(), uri)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// clientTLS trusts a CA and shows a certificate, if there is one.
func clientTLS(t *testing.T, f ca.Files, trusted string) credentials.TransportCredentials {
	t.Helper()
	c := &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: x509.NewCertPool(), ServerName: "localhost"}
	text, err := os.ReadFile(trusted)
	if err != nil {
		t.Fatal(err)
	}
	c.RootCAs.AppendCertsFromPEM(text)
	if f.Cert != "" {
		cert, err := tls.LoadX509KeyPair(f.Cert, f.Key)
		if err != nil {
			t.Fatal(err)
		}
		c.Certificates = []tls.Certificate{cert}
	}
	return credentials.NewTLS(c)
}
