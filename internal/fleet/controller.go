package fleet

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	coordinationv1 "k8s.io/api/coordination/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// leaseName is that of who writes, as the controller takes it.
const leaseName = "meshknot-controller"

// deployments returns those of the controller in a namespace.
func (c *Cluster) deployments(ctx context.Context, namespace string) ([]appsv1.Deployment, error) {
	var list appsv1.DeploymentList
	err := c.client.List(ctx, &list, client.InNamespace(namespace), client.MatchingLabels{"app.kubernetes.io/name": "meshknot"})
	return list.Items, err
}

// controller checks that replicas run, and that one of them writes.
func (c *Cluster) controller(ctx context.Context, o Options) Section {
	s := Section{Name: "controller"}
	c.replicas(ctx, &s, o.Namespace)
	c.lease(ctx, &s, o.Namespace)
	if o.Admin != "" {
		ready(ctx, &s, o.Admin)
	}
	return s
}

func (c *Cluster) replicas(ctx context.Context, s *Section, namespace string) {
	name := "its replicas in namespace " + namespace + " are ready"
	running, err := c.deployments(ctx, namespace)
	if err != nil {
		s.unknown(name, err)
		return
	}
	if len(running) == 0 {
		s.add(name, Warning, "there is no Deployment with the label app.kubernetes.io/name=meshknot", "say where it is installed with --namespace, unless it runs outside of the cluster")
	}
	for _, d := range running {
		wanted := int32(1)
		if d.Spec.Replicas != nil {
			wanted = *d.Spec.Replicas
		}
		text := fmt.Sprintf("Deployment %s has %d of %d", d.Name, d.Status.ReadyReplicas, wanted)
		switch {
		case d.Status.ReadyReplicas == 0:
			s.add(name, Failed, text, "kubectl -n "+namespace+" describe deployment "+d.Name)
		case d.Status.ReadyReplicas < wanted:
			s.add(name, Warning, text, "kubectl -n "+namespace+" describe deployment "+d.Name)
		default:
			s.ok(name, text)
		}
	}
}

// lease checks that a replica renews its right to write.
func (c *Cluster) lease(ctx context.Context, s *Section, namespace string) {
	const name = "one replica has the lease to write"
	var list coordinationv1.LeaseList
	if err := c.client.List(ctx, &list, client.InNamespace(namespace)); err != nil {
		s.unknown(name, err)
		return
	}
	for _, l := range list.Items {
		if l.Name != leaseName {
			continue
		}
		if l.Spec.HolderIdentity == nil || *l.Spec.HolderIdentity == "" || l.Spec.RenewTime == nil || l.Spec.LeaseDurationSeconds == nil {
			s.add(name, Failed, "nobody has lease "+l.Name, "look at the controller's log: without it nothing is written")
			return
		}
		if age := time.Since(l.Spec.RenewTime.Time); age > 2*time.Duration(*l.Spec.LeaseDurationSeconds)*time.Second {
			s.add(name, Failed, fmt.Sprintf("%s has not renewed lease %s for %s", *l.Spec.HolderIdentity, l.Name, age.Round(time.Second)), "look at the controller's log: nothing is written")
			return
		}
		s.ok(name, *l.Spec.HolderIdentity)
		return
	}
	s.add(name, Warning, "there is no lease in namespace "+namespace, "a single replica may run without; look at the controller's log otherwise")
}

// ready asks a replica itself.
func ready(ctx context.Context, s *Section, admin string) {
	name := "the replica at " + admin + " is ready"
	if _, err := ask(ctx, admin, "/readyz"); err != nil {
		s.add(name, Failed, err.Error(), "it is ready once it has read everything and compiled it")
		return
	}
	s.ok(name, "")
}

// maxAnswer bounds what an admin listener may answer, in bytes.
const maxAnswer = 64 << 20

// ask makes a request of an admin listener, "host:port".
func ask(ctx context.Context, admin, path string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+admin+path, nil)
	if err != nil {
		return nil, err
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	said, err := client.Do(r)
	if err != nil {
		return nil, err
	}
	defer said.Body.Close()
	body, err := io.ReadAll(io.LimitReader(said.Body, maxAnswer))
	if err == nil && said.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s answers %s: %s", admin, said.Status, strings.TrimSpace(string(body[:min(len(body), 200)])))
	}
	return body, err
}
