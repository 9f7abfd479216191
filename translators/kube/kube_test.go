package kube_test

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/meshknot/meshknot/translators"
	"github.com/meshknot/meshknot/translators/input"
	"github.com/meshknot/meshknot/translators/ir"
	"github.com/meshknot/meshknot/translators/kube"
	"github.com/meshknot/meshknot/translators/report"
)

func lower(t testing.TB, s input.Settings, texts ...string) ([]ir.Unit, report.Report) {
	t.Helper()
	p := translators.Pipeline{Frontends: []translators.Frontend{kube.Frontend()}}
	set, read := input.Read([]string{"-"}, input.Options{Schemas: p.Schemas(), Stdin: strings.NewReader(strings.Join(texts, "\n---\n"))})
	units, found := p.Lower(input.NewStore(set, s))
	return units, slices.Concat(read, found).Sorted()
}

// one lowers texts and returns the unit "Kind default/name".
func one(t testing.TB, key string, s input.Settings, texts ...string) ir.Unit {
	t.Helper()
	units, found := lower(t, s, texts...)
	for _, u := range units {
		if u.Key().String() == key {
			return u
		}
	}
	t.Fatalf("no unit %s among %d; findings %v", key, len(units), found)
	return ir.Unit{}
}

func service(name, spec string) string {
	return "apiVersion: v1\nkind: Service\nmetadata: {name: " + name + "}\nspec: " + spec
}

func deployment(name, account, labels, containers string) string {
	return "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: " + name + "}\nspec: {selector: {}, template: {metadata: {labels: {" + labels +
		"}}, spec: {serviceAccountName: '" + account + "', containers: [" + containers + "]}}}"
}

func TestProtocols(t *testing.T) {
	for _, c := range []struct {
		port string
		want ir.Protocol
	}{
		{"{port: 1}", ""},
		{"{port: 1, name: web}", ""},
		{"{port: 1, name: http}", ir.HTTP},
		{"{port: 1, name: http-web}", ir.HTTP},
		{"{port: 1, name: httpd}", ""},
		{"{port: 1, name: http2}", ir.HTTP2},
		{"{port: 1, name: grpc-api}", ir.GRPC},
		{"{port: 1, name: grpc-web}", ir.HTTP},
		{"{port: 1, name: tcp-db}", ir.TCP},
		{"{port: 1, name: https}", ir.TCP},
		{"{port: 1, name: mysql}", ir.TCP},
		{"{port: 1, name: dns, protocol: UDP}", ir.UDP},
		{"{port: 1, name: http, appProtocol: grpc}", ir.GRPC},
		{"{port: 1, appProtocol: kubernetes.io/h2c}", ir.HTTP2},
		{"{port: 1, appProtocol: kubernetes.io/ws}", ir.HTTP},
		{"{port: 1, appProtocol: HTTP}", ir.HTTP},
		{"{port: 1, name: http, appProtocol: https}", ir.TCP},
		{"{port: 1, name: http, appProtocol: example.com/x}", ir.TCP},
	} {
		u := one(t, "Service default/s", input.Settings{}, service("s", "{ports: ["+c.port+"]}"))
		if got := u.Service.Ports[0].Protocol; got != c.want {
			t.Errorf("%s: %q, want %q", c.port, got, c.want)
		}
	}
}

func TestService(t *testing.T) {
	spec := "{clusterIP: 10.0.0.1, clusterIPs: [10.0.0.1, 'fd00::1'], selector: {app: a, statefulset.kubernetes.io/pod-name: a-0}, ports: [{name: dns-tcp, port: 53}, {name: dns, port: 53, protocol: UDP}, {name: s, port: 7, protocol: SCTP}]}"
	in := []string{service("s", spec), deployment("d", "x", "app: a, v: '1', pod-template-hash: z", ""), deployment("e", "", "app: a", ""), deployment("other", "y", "app: b", "")}
	s := one(t, "Service default/s", input.Settings{}, in...).Service
	if want := []string{"10.0.0.1", "fd00::1"}; !slices.Equal(s.Addresses, want) || s.Headless {
		t.Errorf("addresses %v, headless %v", s.Addresses, s.Headless)
	}
	if len(s.Ports) != 1 || s.Ports[0].Protocol != "" || s.Ports[0].Ref.Field != "spec.ports[0]" {
		t.Fatalf("ports %+v", s.Ports)
	}
	route := s.Ports[0].Routes[0]
	want := []ir.Identity{{Namespace: "default", Account: "default"}, {Namespace: "default", Account: "x"}}
	if route.Name != kube.DefaultRoute || !route.Matches[0].IsAll() || !slices.Equal(route.Backends[0].Servers, want) {
		t.Errorf("route %+v", route)
	}
	for _, selector := range []string{"", "selector: {}, ", "selector: {statefulset.kubernetes.io/pod-name: a-0}, "} {
		u := one(t, "Service default/s", input.Settings{}, append(in[1:], service("s", "{"+selector+"ports: [{port: 1}]}"))...)
		if servers := u.Service.Ports[0].Routes[0].Backends[0].Servers; servers != nil {
			t.Errorf("behind %q: %v", selector, servers)
		}
	}
	_, found := lower(t, input.Settings{}, in...)
	var fields []string
	for _, f := range found {
		fields = append(fields, string(f.Severity)+" "+string(f.Code)+" "+f.Source.Field)
	}
	if want := []string{"info MK2028 spec.ports[1]", "info MK2028 spec.ports[2]"}; !slices.Equal(fields, want) {
		t.Errorf("findings %q, want %q", fields, want)
	}
	if s := one(t, "Service default/s", input.Settings{}, service("s", "{clusterIP: None, ports: [{port: 1}]}")).Service; !s.Headless || s.Addresses != nil {
		t.Errorf("headless %+v", s)
	}
	if s := one(t, "Service default/s", input.Settings{}, service("s", "{type: ExternalName, externalName: a.example}")).Service; s.Headless || s.Ports != nil {
		t.Errorf("external %+v", s)
	}
}

func TestWorkloadPorts(t *testing.T) {
	named := "{name: a, ports: [{name: web, containerPort: 8080}, {name: web, containerPort: 53, protocol: UDP}, {containerPort: 9}]}"
	w := one(t, "Workload default/x", input.Settings{},
		deployment("d", "x", "app: a, v: '1'", named),
		service("s", "{selector: {app: a}, ports: [{name: http, port: 80, targetPort: web}, {name: u, port: 54, targetPort: web, protocol: UDP}, {name: lost, port: 81, targetPort: nosuch}]}"),
		service("t", "{selector: {app: a, v: '1'}, ports: [{name: tcp, port: 80, targetPort: 8080}, {name: http-q, port: 9}]}"),
		service("q", "{selector: {v: '1'}, ports: [{name: http-q, port: 9}, {name: b, port: 10, targetPort: 9}]}"),
		service("a", "{selector: {app: a}, ports: [{name: u, port: 8080, protocol: UDP}]}"),
		service("broken", "{selector: {app: a}, prots: [], ports: [{port: 1}]}"),
		service("other", "{selector: {app: a, v: '2'}, ports: [{port: 1}]}"),
		service("none", "{ports: [{port: 1}]}")).Workload
	var got []string
	for _, p := range w.Ports {
		line := fmt.Sprintf("%d %s", p.Number, p.Protocol)
		for _, s := range p.Services {
			line += fmt.Sprintf(" %s:%d", s.Service.Name, s.Port)
		}
		got = append(got, line)
	}
	want := []string{"9 HTTP q:9 q:10 t:9", "53 UDP s:54", "8080 TCP s:80 t:80"}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestPods(t *testing.T) {
	const templated = "{selector: {}, template: {metadata: {labels: {app: a, controller-uid: '1', %s: z}}, spec: {serviceAccount: x, containers: [], restartPolicy: Never}}}"
	kinds := map[string]string{
		"apps/v1 Deployment":  fmt.Sprintf(templated, "pod-template-hash"),
		"apps/v1 StatefulSet": fmt.Sprintf(templated, "controller-revision-hash"),
		"apps/v1 DaemonSet":   fmt.Sprintf(templated, "pod-template-generation"),
		"apps/v1 ReplicaSet":  fmt.Sprintf(templated, "pod-template-hash"),
		"batch/v1 Job":        fmt.Sprintf(templated, "job-name"),
		"batch/v1 CronJob":    "{schedule: '* * * * *', jobTemplate: {spec: " + fmt.Sprintf(templated, "batch.kubernetes.io/job-name") + "}}",
	}
	for kind, spec := range kinds {
		version, kind, _ := strings.Cut(kind, " ")
		w := one(t, "Workload default/x", input.Settings{}, "apiVersion: "+version+"\nkind: "+kind+"\nmetadata: {name: d}\nspec: "+spec).Workload
		if len(w.Pods) != 1 || !reflect.DeepEqual(w.Pods[0].Labels, map[string]string{"app": "a"}) || w.Ref.Kind != kind {
			t.Errorf("%s: %+v", kind, w)
		}
	}
	pod := "apiVersion: v1\nkind: Pod\nmetadata: {name: p, labels: {app: a, apps.kubernetes.io/pod-index: '0'}}\nspec: {containers: []}"
	w := one(t, "Workload default/default", input.Settings{}, pod, deployment("z", "", "app: a", "")).Workload
	if len(w.Pods) != 1 || w.Pods[0].Ref.Kind != "Deployment" {
		t.Errorf("a class of a pod and a Deployment: %+v", w.Pods)
	}
}

// What is in error is not there: it neither routes nor is anybody behind it.
func TestRejected(t *testing.T) {
	s, d := service("s", "{selector: {app: a}, ports: [{port: 1}]}"), deployment("d", "x", "app: a", "")
	account := "apiVersion: v1\nkind: ServiceAccount\nmetadata: {name: x}"
	if w := one(t, "Workload default/x", input.Settings{}, account, s, strings.Replace(d, "selector:", "selektor: 1, selector:", 1)).Workload; w.Pods != nil {
		t.Errorf("pods of a Deployment in error: %+v", w.Pods)
	}
	units, _ := lower(t, input.Settings{}, strings.Replace(s, "selector:", "selektor: 1, selector:", 1), d)
	for _, u := range units {
		if u.Service != nil {
			t.Errorf("a Service in error: %+v", u.Service)
		}
	}
}

func TestStatedLabels(t *testing.T) {
	account := "apiVersion: v1\nkind: ServiceAccount\nmetadata: {name: x, annotations: {meshknot.io/workload-labels: 'app=a,v=1'}}"
	s := service("s", "{selector: {v: '1'}, ports: [{port: 1}]}")
	annotated := one(t, "Workload default/x", input.Settings{}, account, s).Workload
	stated := one(t, "Workload default/x", input.Settings{Workloads: map[string]map[string]string{"default/x": {"app": "a", "v": "1"}}}, s).Workload
	for name, w := range map[string]*ir.Workload{"annotation": annotated, "settings": stated} {
		if len(w.Pods) != 1 || len(w.Pods[0].Labels) != 2 || len(w.Ports) != 1 {
			t.Errorf("%s: %+v", name, w)
		}
	}
	if got := annotated.Pods[0].Ref.Field; got != `metadata.annotations["meshknot.io/workload-labels"]` {
		t.Errorf("ref %q", got)
	}
	_, found := lower(t, input.Settings{}, strings.Replace(account, "app=a,v=1", "app", 1))
	if len(found) != 1 || found[0].Code != report.BadAnnotation {
		t.Errorf("findings %v, want one of a bad annotation", found)
	}
}

func TestAlsoCatches(t *testing.T) {
	in := []string{deployment("d", "x", "app: a", ""), deployment("e", "y", "app: a, debug: 'true'", ""), deployment("f", "z", "app: b", "")}
	for account, want := range map[string][]string{"x": {"y"}, "y": nil, "z": nil} {
		w := one(t, "Workload default/"+account, input.Settings{}, in...).Workload
		if got := w.Pods[0].AlsoCatches; !slices.Equal(got, want) {
			t.Errorf("%s also catches %v, want %v", account, got, want)
		}
	}
	all := one(t, "Workload default/x", input.Settings{}, append(in, deployment("g", "x", "", ""))...).Workload
	if got := all.Pods[1].AlsoCatches; !slices.Equal(got, []string{"y", "z"}) {
		t.Errorf("no labels also catch %v", got)
	}
}

func TestProbes(t *testing.T) {
	container := `{name: a, ports: [{name: web, containerPort: 8080}],
  livenessProbe: {httpGet: {path: '/live?full=1', port: web}}, readinessProbe: {httpGet: {path: ready, port: 8081, scheme: HTTPS}}, startupProbe: {grpc: {port: 9}}},
  {name: b, ports: [{name: own, containerPort: 7}], livenessProbe: {tcpSocket: {port: own}}, readinessProbe: {exec: {command: [a]}}, startupProbe: {httpGet: {port: web}}},
  {name: c, livenessProbe: {httpGet: {port: 1, host: 192.0.2.1}}}`
	w := one(t, "Workload default/x", input.Settings{}, deployment("d", "x", "app: a", container), deployment("e", "x", "app: b", container)).Workload
	var got []string
	for _, p := range w.Probes {
		got = append(got, fmt.Sprintf("%d %s %s %s", p.Port, p.Protocol, p.Path, p.Ref.Field))
	}
	at := "spec.template.spec.containers"
	want := []string{"7 TCP  " + at + "[1].livenessProbe", "9 GRPC  " + at + "[0].startupProbe",
		"8080 HTTP /live " + at + "[0].livenessProbe", "8081 TCP  " + at + "[0].readinessProbe"}
	if !slices.Equal(got, want) {
		t.Errorf("got %q\nwant %q", got, want)
	}
}

func TestEndpoints(t *testing.T) {
	s := service("s", "{selector: {app: a}, ports: [{name: http, port: 80, targetPort: web}, {name: dns, port: 81}]}")
	slice := func(name, ports, endpoints string) string {
		return "apiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\nmetadata: {name: " + name + ", labels: {kubernetes.io/service-name: s}}\naddressType: IPv4\nports: [" + ports + "]\nendpoints: [" + endpoints + "]"
	}
	old := "apiVersion: v1\nkind: Endpoints\nmetadata: {name: s}\nsubsets: [{addresses: [{ip: 10.0.0.9}], notReadyAddresses: [{ip: 10.0.0.8}], ports: [{name: http, port: 8080}]}]"
	slices1 := slice("s-1", "{name: http, port: 8080}, {name: dns, port: 53, protocol: UDP}", "{addresses: [10.0.0.2]}, {addresses: [10.0.0.1], conditions: {ready: false}}")
	slices2 := slice("s-2", "{name: http, port: 8081}", "{addresses: [10.0.0.1], conditions: {ready: true}}")
	ready := func(ip string, port int32) ir.Endpoint { return ir.Endpoint{Address: ip, Port: port, Ready: true} }
	for _, c := range []struct {
		name string
		in   []string
		want []ir.Endpoint
	}{
		{"slices", []string{s, slices1, slices2, old}, []ir.Endpoint{{Address: "10.0.0.1", Port: 8080}, ready("10.0.0.1", 8081), ready("10.0.0.2", 8080)}},
		{"Endpoints alone", []string{s, old}, []ir.Endpoint{{Address: "10.0.0.8", Port: 8080}, ready("10.0.0.9", 8080)}},
	} {
		e := one(t, "Endpoints default/s", input.Settings{}, c.in...).Endpoints
		want := []ir.EndpointsPort{{Number: 80, Endpoints: c.want}, {Number: 81}}
		if !reflect.DeepEqual(e.Ports, want) {
			t.Errorf("%s: got %+v, want %+v", c.name, e.Ports, want)
		}
	}
	units, _ := lower(t, input.Settings{}, s)
	for _, u := range units {
		if u.Endpoints != nil {
			t.Errorf("endpoints of nothing: %+v", u.Endpoints)
		}
	}
}

// A change that means nothing must be no other answer, so that no unit is compiled again.
func TestProjection(t *testing.T) {
	read := func(text string) []input.Object {
		set, found := input.Read([]string{"-"}, input.Options{Schemas: kube.Schemas(), Stdin: strings.NewReader(text)})
		if len(found) > 0 {
			t.Fatal(found)
		}
		return set.Objects
	}
	a := deployment("d", "x", "app: a, pod-template-hash: '1'", "{name: a, image: b, readinessProbe: {httpGet: {port: 1}}}")
	b := strings.ReplaceAll(strings.ReplaceAll(a, "image: b", "image: c, env: [{name: A, value: B}]"), "pod-template-hash: '1'", "pod-template-hash: '2'")
	b = strings.Replace(b, "selector: {}", "replicas: 9, selector: {}", 1) + "\nstatus: {replicas: 3}"
	if x, y := read(a)[0].Value, read(b)[0].Value; !reflect.DeepEqual(x, y) {
		t.Errorf("%+v\n%+v", x, y)
	}
}

func TestStrict(t *testing.T) {
	in := "apiVersion: v1\nkind: ServiceAccount\nmetadata: {name: x, namespace: shop}"
	strict := input.Settings{Access: "strict"}
	if n := one(t, "Namespace shop", strict, in).Namespace; !n.Enforced {
		t.Error("the namespace is open")
	}
	if w := one(t, "Workload shop/x", strict, in).Workload; !w.Enforced || !w.NamespaceDenies {
		t.Errorf("%+v", w)
	}
	if w := one(t, "Workload shop/x", input.Settings{}, in).Workload; w.Enforced || w.NamespaceDenies {
		t.Errorf("%+v", w)
	}
}
