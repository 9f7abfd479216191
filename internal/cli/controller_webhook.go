package cli

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"time"

	"github.com/spf13/pflag"
	authenticationv1 "k8s.io/api/authentication/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/meshknot/meshknot/policies"
	"github.com/meshknot/meshknot/translators/all"
	"github.com/meshknot/meshknot/webhook"
)

// certificateFlags say where the webhook's certificate comes from: a directory, or
// what meshknot keeps itself.
type certificateFlags struct {
	path                  string
	secret, configuration string
	services, hosts       []string
	convert               bool
}

func (f *certificateFlags) register(fl *pflag.FlagSet) {
	fl.StringVar(&f.path, "webhook-cert-path", "", "directory with tls.crt and tls.key of the webhook; empty: meshknot makes and renews them itself, in --webhook-secret, and tells the API server of the authority")
	fl.StringVar(&f.secret, "webhook-secret", "meshknot-webhook-cert", "Secret of its namespace, which has to exist, that its own certificate is kept in")
	fl.StringSliceVar(&f.services, "webhook-service", []string{"meshknot-webhook"}, "Services of its namespace by which the API server reaches the webhook")
	fl.StringSliceVar(&f.hosts, "webhook-host", nil, "more names by which it is reached, which its own certificate is for")
	fl.StringVar(&f.configuration, "webhook-configuration", "meshknot", "ValidatingWebhookConfiguration that is told of the authority")
	fl.BoolVar(&f.convert, "convert-smi", false, "the definitions of SMI have their objects converted by this webhook: tell them of the authority, too")
}

// names are what the certificate is for.
func (f *certificateFlags) names(namespace string) []string {
	var out []string
	for _, s := range f.services {
		out = append(out, s+"."+namespace+".svc", s+"."+namespace+".svc.cluster.local", s+"."+namespace)
	}
	return append(out, f.hosts...)
}

// judge serves admission and conversion.
func (p *replica) judge(live *policies.Live) error {
	account, err := p.whoami()
	if err != nil {
		return err
	}
	dir, err := p.certify()
	if err != nil {
		return err
	}
	certificate := webhook.NewCertificate(dir)
	pipeline := all.Pipeline()
	world := p.controller.World()
	handler := webhook.New(world, live, webhook.NewBindings(pipeline, world), webhook.Options{Schemas: pipeline.Schemas(), Namespace: p.namespace, Account: account,
		DenyOpening: p.denyOpening, DenyDangling: p.denyDangling, Observer: p.metrics})
	lis, err := net.Listen("tcp", p.controllerFlags.webhook)
	if err != nil {
		return err
	}
	conf := certificate.TLS()
	if !p.http2 {
		conf.NextProtos = []string{"http/1.1"}
	}
	server := &http.Server{Handler: handler, TLSConfig: conf, ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 30 * time.Second,
		WriteTimeout: 30 * time.Second, IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 64 << 10, ErrorLog: slog.NewLogLogger(p.log.Handler(), slog.LevelWarn)}
	p.log.Info("listening", "address", lis.Addr().String(), "account", account)
	return errors.Join(
		p.add(func(ctx context.Context) error { return certificate.Run(ctx, time.Second) }),
		p.add(func(ctx context.Context) error { return serveTLS(ctx, server, lis) }),
		p.manager.AddReadyzCheck("certificate", func(*http.Request) error { return certificate.Ready() }))
}

// whoami is the user name that this replica has with the API server.
func (p *replica) whoami() (string, error) {
	if p.account != "" {
		return p.account, nil
	}
	c, err := kubernetes.NewForConfig(p.cfg)
	if err != nil {
		return "", err
	}
	bounded, cancel := context.WithTimeout(context.Background(), 15*time.Second)
	defer cancel()
	me, err := c.AuthenticationV1().SelfSubjectReviews().Create(bounded, &authenticationv1.SelfSubjectReview{}, metav1.CreateOptions{})
	if err != nil {
		return "", fmt.Errorf("asking the API server who this is, as --service-account does not say: %w", err)
	}
	return me.Status.UserInfo.Username, nil
}

// certify returns the directory of the certificate, and has the manager keep it where
// it is meshknot's own.
func (p *replica) certify() (string, error) {
	f := p.certificate
	if f.path != "" {
		return f.path, nil
	}
	c, err := client.New(p.cfg, client.Options{Scheme: clientgoscheme.Scheme})
	if err != nil {
		return "", err
	}
	dir, err := os.MkdirTemp("", "meshknot-webhook-")
	if err != nil {
		return "", err
	}
	r := &webhook.Rotation{Client: c, Secret: types.NamespacedName{Namespace: p.namespace, Name: f.secret}, Hosts: f.names(p.namespace),
		Configurations: []string{f.configuration}, Dir: dir}
	if f.convert {
		r.Definitions = webhook.Converted()
	}
	return dir, p.add(func(ctx context.Context) error {
		defer os.RemoveAll(dir)
		return r.Run(ctx, 10*time.Second, p.certificateTrouble())
	})
}

// certificateTrouble logs what is wrong with the keeping of the certificate, when it
// is something else.
func (p *replica) certificateTrouble() func(error) {
	last := ""
	return func(err error) {
		now := ""
		if err != nil {
			now = err.Error()
		}
		switch {
		case now == last:
		case err != nil:
			p.log.Warn("the webhook's certificate", "error", err)
		default:
			p.log.Info("the webhook's certificate is kept")
		}
		last = now
	}
}

// serveTLS serves until ctx ends, and then lets the requests come to an end.
func serveTLS(ctx context.Context, s *http.Server, lis net.Listener) error {
	failed := make(chan error, 1)
	go func() { failed <- s.ServeTLS(lis, "", "") }()
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
	}
	bounded, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	err := s.Shutdown(bounded)
	if served := <-failed; !errors.Is(served, http.ErrServerClosed) {
		err = errors.Join(err, served)
	}
	return err
}
