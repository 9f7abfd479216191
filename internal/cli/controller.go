package cli

import (
	"context"
	"net"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/meshknot/meshknot/internal/sink"
	"github.com/meshknot/meshknot/internal/xds"
	"github.com/meshknot/meshknot/policies"
)

// The roles of a replica.
const (
	roleXDS     = "xds"
	roleWebhook = "webhook"
	roleWriter  = "writer"
)

var roles = []string{roleXDS, roleWebhook, roleWriter}

// controllerFlags are those of "meshknot controller"; kubebuilder's names are kept
// where it has one.
type controllerFlags struct {
	app        *app
	kubeconfig string
	namespace  string
	roles      []string
	leader     bool

	metrics, metricsCert string
	metricsSecure, http2 bool
	health, pprof        string
	logLevel, logFormat  string

	webhook                   string
	certificate               certificateFlags
	account                   string
	denyOpening, denyDangling bool
	policy                    policyFlags
	audit                     time.Duration

	xds, admin, trustDomain string
	tls                     xds.TLSFiles
	insecure                bool

	consul sink.ConsulOptions
}

func controllerCommand(a *app) *cobra.Command {
	f := &controllerFlags{app: a}
	c := &cobra.Command{
		Use:   "controller",
		Short: "Run in a cluster: follow policies, serve and write meshes, report",
		Long: `Controller follows the SMI and Gateway API objects of a cluster, translates them
for the meshes that MeshBindings name, serves proxies over xDS, writes the objects
of other meshes, and reports on every object whether it is in force.

Every replica serves proxies and answers admission; with --leader-elect one of
them writes. A replica is ready once everything was read and compiled.`,
		Example: "  meshknot controller --leader-elect --metrics-bind-address=:8443 --xds-listen=:15010 --xds-tls-cert=tls.crt --xds-tls-key=tls.key --xds-tls-ca=ca.crt",
		Args:    cobra.NoArgs,
		RunE:    func(c *cobra.Command, _ []string) error { return f.run(c.Context()) },
	}
	f.register(c)
	c.Flags().StringSliceVar(&f.roles, "roles", roles, "what this replica does: xds, webhook, writer")
	complete(c, "roles", roles...)
	return c
}

func (f *controllerFlags) register(c *cobra.Command) {
	fl := c.Flags()
	fl.StringVar(&f.kubeconfig, "kubeconfig", "", "how the API server is reached; empty: $KUBECONFIG, or as a pod")
	fl.StringVar(&f.namespace, "namespace", namespaceOfPod(), "namespace that it runs in, and of the lease; default $POD_NAMESPACE")
	fl.BoolVar(&f.leader, "leader-elect", false, "one of several replicas writes")
	fl.StringVar(&f.metrics, "metrics-bind-address", "0", "address of the metrics, such as :8443; 0 for none")
	fl.BoolVar(&f.metricsSecure, "metrics-secure", true, "metrics over HTTPS, for whom the API server lets get /metrics")
	fl.StringVar(&f.metricsCert, "metrics-cert-path", "", "directory with tls.crt and tls.key of the metrics; empty: one signed by itself")
	fl.BoolVar(&f.http2, "enable-http2", false, "HTTP/2 for metrics and webhook")
	fl.StringVar(&f.health, "health-probe-bind-address", ":8081", "address of /healthz and /readyz; 0 for none")
	fl.StringVar(&f.pprof, "pprof", "", "address of pprof on loopback; empty for none")
	fl.StringVar(&f.logLevel, "log-level", "info", "debug, info, warn, error")
	fl.StringVar(&f.logFormat, "log-format", "json", "json, text")
	fl.StringVar(&f.webhook, "webhook-bind-address", ":9443", "address of admission and conversion; 0 for none")
	f.certificate.register(fl)
	fl.StringVar(&f.account, "service-account", accountOfPod(), "user name that it has with the API server, of which nothing is judged; default that of $POD_SERVICE_ACCOUNT, or what the API server says")
	fl.BoolVar(&f.denyOpening, "deny-opening", false, "deny what opens a workload that denies now, instead of warning")
	fl.BoolVar(&f.denyDangling, "deny-dangling", false, "deny what refers to something that is not there, instead of warning")
	fl.StringVar(&f.xds, "xds-listen", "", "address of the ADS server, such as :15010; empty for none")
	fl.StringVar(&f.tls.Cert, "xds-tls-cert", "", "certificate of the ADS server, PEM; read again when it changes")
	fl.StringVar(&f.tls.Key, "xds-tls-key", "", "its key, PEM")
	fl.StringVar(&f.tls.CA, "xds-tls-ca", "", "authority of the proxies' certificates, PEM")
	fl.BoolVar(&f.insecure, "xds-insecure", false, "serve plaintext beyond loopback, where anybody may claim to be anyone")
	fl.StringVar(&f.trustDomain, "trust-domain", "cluster.local", "trust domain of the proxies' SPIFFE identities")
	fl.StringVar(&f.admin, "admin-listen", "127.0.0.1:18001", "address of /status and /debug/units of the ADS server, on loopback; empty for none")
	fl.StringVar(&f.consul.Address, "consul-address", os.Getenv("CONSUL_HTTP_ADDR"), "Consul's HTTP API; empty: nothing is written to Consul")
	fl.StringVar(&f.consul.TokenFile, "consul-token-file", "", "file with Consul's ACL token; default $CONSUL_HTTP_TOKEN")
	fl.StringVar(&f.consul.CAFile, "consul-ca-file", "", "authority of Consul's certificate, PEM")
	fl.StringVar(&f.consul.Cluster, "consul-cluster", "", "tells this cluster from others that write to the same Consul")
	f.policy.register(c)
	fl.DurationVar(&f.audit, "audit-interval", 10*time.Minute, "how often the leader looks at every object again with the rules; 0 for never")
	complete(c, "log-level", "debug", "info", "warn", "error")
	complete(c, "log-format", "json", "text")
}

// namespaceOfPod is where a pod that is told so runs.
func namespaceOfPod() string {
	if n := os.Getenv("POD_NAMESPACE"); n != "" {
		return n
	}
	return "default"
}

// accountOfPod is who a pod is that is told so.
func accountOfPod() string {
	if name := os.Getenv("POD_SERVICE_ACCOUNT"); name != "" {
		return "system:serviceaccount:" + namespaceOfPod() + ":" + name
	}
	return ""
}

// check finds what is wrong with the flags.
func (f *controllerFlags) check() error {
	for _, r := range f.roles {
		if !slices.Contains(roles, r) {
			return cannot("--roles %q: want %s", r, strings.Join(roles, ", "))
		}
	}
	if len(f.roles) == 0 {
		return cannot("--roles: want at least one of %s", strings.Join(roles, ", "))
	}
	if f.audit < 0 {
		return cannot("--audit-interval %s: want a time that is not negative", f.audit)
	}
	if f.judges() && f.certificate.path == "" && len(f.certificate.services)+len(f.certificate.hosts) == 0 {
		return cannot("--webhook-service, --webhook-host: a certificate is for at least one name")
	}
	if f.pprof != "" {
		host, _, err := net.SplitHostPort(f.pprof)
		if ip := net.ParseIP(host); err != nil || host != "localhost" && (ip == nil || !ip.IsLoopback()) {
			return cannot("--pprof %q: want an address of loopback, such as 127.0.0.1:6060", f.pprof)
		}
	}
	return nil
}

// does reports whether the replica has a role.
func (f *controllerFlags) does(role string) bool { return slices.Contains(f.roles, role) }

// judges reports whether the replica answers admission, audits whether it looks at
// everything again while it leads.
func (f *controllerFlags) judges() bool { return f.does(roleWebhook) && f.webhook != "0" }
func (f *controllerFlags) audits() bool { return f.does(roleWriter) && f.audit > 0 }

// A replica lives long and mostly waits: it gives time for memory. How much garbage
// it keeps, in percent of what is in use, is least at the start, when there is the
// most; later who asks for admission waits for whatever collects it.
const atStart, afterwards = 20, 35

func (f *controllerFlags) run(ctx context.Context) error {
	if err := f.check(); err != nil {
		return err
	}
	cfg, err := (&clusterFlags{kubeconfig: f.kubeconfig}).config()
	if err != nil {
		return err
	}
	ctx, stop := untilInterrupted(ctx)
	defer stop()
	collect(atStart)
	p := replica{controllerFlags: f, cfg: cfg}
	if err := p.run(ctx); err != nil {
		return status{exitCannot, err}
	}
	return nil
}

// live makes the rules that objects are judged by.
func (f *controllerFlags) live() (*policies.Live, policies.Trust, error) {
	trust, err := f.policy.trust()
	if err != nil {
		return nil, trust, err
	}
	var base []policies.Module
	if f.policy.shipped {
		base = policies.Shipped()
	}
	l, err := policies.NewLive(policies.NewInventory(), base, f.policy.parameters)
	if err != nil {
		return nil, trust, cannot("--param: %w", err)
	}
	return l, trust, nil
}
