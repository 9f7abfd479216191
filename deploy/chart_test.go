package deploy

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"

	"github.com/meshknot/meshknot/internal/telemetry"
	"github.com/meshknot/meshknot/test/lab"
	"github.com/meshknot/meshknot/webhook"
)

// alone are values with one back end each.
var alone = map[string]string{
	"envoy":       only("envoy: {enabled: true}") + "xds: {tlsSecret: xds-tls}\n",
	"grpc":        only("grpc: {enabled: true}") + "xds: {insecure: true}\n",
	"istio":       only("istio: {enabled: true}"),
	"linkerd":     only("linkerd: {enabled: true}"),
	"consul":      only("consul: {enabled: true}"),
	"consul-http": only("consul: {enabled: true, address: 'https://consul:8501', tokenSecret: {name: consul-token}, authority: {configMap: consul-ca}}"),
	"gateway-api": only("gatewayApi: {enabled: true, authorization: [linkerd]}"),
}

func only(backend string) string {
	out := "backends:\n"
	for _, name := range []string{"envoy", "grpc", "istio", "linkerd", "consul", "gatewayApi"} {
		if !strings.HasPrefix(backend, name+":") {
			out += "  " + name + ": {enabled: false}\n"
		}
	}
	return out + "  " + backend + "\n"
}

// everything is switched on.
const everything = `
xds: {tlsSecret: xds-tls, trustDomain: example.org}
webhook: {rules: house-rules, denyOpening: true, convertSMI: true}
tracing: {endpoint: 'http://collector:4317'}
backends: {envoy: {enabled: true}, grpc: {enabled: true}, linkerd: {enabled: true}, consul: {enabled: true}, gatewayApi: {enabled: true, authorization: [istio, linkerd, consul]}}
metrics: {serviceMonitor: {enabled: true}, rules: {enabled: true}, dashboard: {enabled: true}}
`

// TestLint: helm has nothing against the chart, with any values.
func TestLint(t *testing.T) {
	for name, values := range sets() {
		file := filepath.Join(t.TempDir(), "values.yaml")
		if err := os.WriteFile(file, []byte(values), 0o600); err != nil {
			t.Fatal(err)
		}
		if out, err := helm(t, "lint", chart, "--strict", "--kube-version", kubeVersion, "--values", file); err != nil {
			t.Errorf("%s: %v\n%s", name, err, out)
		}
	}
}

func sets() map[string]string {
	out := map[string]string{"default": "", "everything": everything, "bare": "crds: {install: false}\nwebhook: {enabled: false}\nnetworkPolicy: {enabled: false}\nmetrics: {service: false}\n"}
	for name, values := range alone {
		out[name] = values
	}
	return out
}

// TestSchema: values that mean nothing are refused, and what is refused is named.
func TestSchema(t *testing.T) {
	for _, test := range []struct{ values, names string }{
		{"replicas: 0", "replicas"},
		{"replicas: two", "replicas"},
		{"replica: 2", "replica"},
		{"backends: {istio: {enabled: yes please}}", "backends/istio/enabled"},
		{"backends: {kuma: {enabled: true}}", "kuma"},
		{"backends: {gatewayApi: {enabled: true, authorization: [envoy]}}", "authorization"},
		{"backends: {consul: {enabled: true, address: 'consul:8500'}}", "address"},
		{"webhook: {failurePolicy: ignore}", "failurePolicy"},
		{"webhook: {timeoutSeconds: 31}", "timeoutSeconds"},
		{"webhook: {certificates: {mode: given}}", "certificates"},
		{"image: {digest: latest}", "digest"},
		{"resources: {limits: null}", "resources"},
		{"log: {level: trace}", "level"},
		{"extraArgs: [zap]", "extraArgs"},
		{"backends: {envoy: {enabled: true}}", "xds.tlsSecret"},
	} {
		_, err := template(t, test.values)
		if err == nil || !strings.Contains(err.Error(), test.names) {
			t.Errorf("%s: %v", test.values, err)
		}
	}
}

// TestWebhooks: what the chart registers is what the webhook says of itself.
func TestWebhooks(t *testing.T) {
	for _, test := range []struct {
		values string
		want   webhook.Registration
	}{
		{"", webhook.Registration{}},
		{"webhook: {failurePolicy: Fail, timeoutSeconds: 9}", webhook.Registration{Foreign: admissionregistrationv1.Fail, Timeout: 9}},
		{"webhook: {certificates: {mode: given, secret: cert, caBundle: Y2E=}}", webhook.Registration{CABundle: []byte("ca")}},
	} {
		test.want.Name, test.want.Namespace, test.want.Service = "meshknot", namespace, "meshknot-webhook"
		test.want.Account = account(namespace, "meshknot")
		var got admissionregistrationv1.ValidatingWebhookConfiguration
		typed(t, one(t, render(t, test.values), "ValidatingWebhookConfiguration"), &got)
		if want := test.want.Configuration(); !reflect.DeepEqual(got.Webhooks, want.Webhooks) || got.Name != want.Name {
			t.Errorf("%q: the chart has\n%+v\nthe webhook\n%+v", test.values, got.Webhooks, want.Webhooks)
		}
	}
}

// TestConverting: the definitions that the chart installs for conversion are converted
// by a Service that reaches replicas that are not ready, too, and the controller tells
// them of its authority.
func TestConverting(t *testing.T) {
	for _, test := range []struct {
		values, bundle string
		told           bool
	}{
		{"webhook: {convertSMI: true}", "", true},
		{"webhook: {convertSMI: true, certificates: {mode: given, secret: cert, caBundle: Y2E=}}", "Y2E=", false},
	} {
		objects := render(t, test.values)
		found, service, role := 0, false, false
		for _, o := range objects {
			name := o["metadata"].(lab.Object)["name"].(string)
			service = service || o["kind"] == "Service" && name == "meshknot-convert" && o["spec"].(lab.Object)["publishNotReadyAddresses"] == true
			role = role || o["kind"] == "ClusterRoleBinding" && name == "meshknot-conversion"
			if o["kind"] != "CustomResourceDefinition" || !slices.Contains(webhook.Converted(), name) {
				continue
			}
			found++
			text := fmt.Sprint(o["spec"].(lab.Object)["conversion"])
			if !strings.Contains(text, "name:meshknot-convert namespace:"+namespace) || strings.Contains(text, "caBundle") != (test.bundle != "") {
				t.Errorf("%s: %s", name, text)
			}
		}
		var d appsv1.Deployment
		typed(t, one(t, objects, "Deployment"), &d)
		if args := d.Spec.Template.Spec.Containers[0].Args; slices.Contains(args, "--convert-smi") != test.told || role != test.told {
			t.Errorf("%s: %v, role %v", test.values, args, role)
		}
		if found != len(webhook.Converted()) || !service {
			t.Errorf("%s: %d definitions, Service %v", test.values, found, service)
		}
	}
}

// TestLeast: no rule is wider than what it is for, and secrets are named.
func TestLeast(t *testing.T) {
	for name, values := range sets() {
		for _, o := range render(t, values) {
			kind := o["kind"].(string)
			if kind != "ClusterRole" && kind != "Role" {
				continue
			}
			var role rbacv1.ClusterRole
			typed(t, o, &role)
			if len(role.Rules) == 0 {
				t.Errorf("%s: %s %s allows nothing", name, kind, role.Name)
			}
			for _, r := range role.Rules {
				all := slices.Concat(r.APIGroups, r.Resources, r.Verbs)
				for _, verb := range []string{"*", "escalate", "bind", "impersonate", "deletecollection"} {
					if slices.Contains(all, verb) {
						t.Errorf("%s: %s %s allows %s: %v", name, kind, role.Name, verb, r)
					}
				}
				if slices.Contains(r.Resources, "secrets") && (kind != "Role" || !slices.Equal(r.ResourceNames, []string{"meshknot-webhook-cert"})) {
					t.Errorf("%s: %s %s allows secrets: %v", name, kind, role.Name, r)
				}
			}
		}
	}
}

// TestBackends: a back end that is not enabled adds no role.
func TestBackends(t *testing.T) {
	for name, want := range map[string][]string{
		"envoy": nil, "grpc": nil, "istio": {"istio"}, "linkerd": {"linkerd"}, "consul": {"consul"}, "consul-http": nil,
		"gateway-api": {"gateway-api", "gateway-api-linkerd"},
	} {
		got := []string(nil)
		for _, o := range render(t, alone[name]) {
			role, _ := strings.CutPrefix(o["metadata"].(lab.Object)["name"].(string), "meshknot-")
			if o["kind"] == "ClusterRole" && role != "controller" && role != "webhook" {
				got = append(got, role)
			}
		}
		if slices.Sort(got); !slices.Equal(got, want) {
			t.Errorf("%s: roles are %v, want %v", name, got, want)
		}
	}
}

// TestPod: the pod may do nothing but run.
func TestPod(t *testing.T) {
	for name, values := range sets() {
		var d appsv1.Deployment
		typed(t, one(t, render(t, values), "Deployment"), &d)
		pod := d.Spec.Template.Spec
		c := pod.Containers[0]
		s := c.SecurityContext
		if !*pod.SecurityContext.RunAsNonRoot || pod.SecurityContext.SeccompProfile.Type != "RuntimeDefault" || !*s.ReadOnlyRootFilesystem ||
			*s.AllowPrivilegeEscalation || *s.Privileged || len(s.Capabilities.Drop) != 1 || s.Capabilities.Drop[0] != "ALL" || len(s.Capabilities.Add) > 0 ||
			pod.HostNetwork || pod.HostPID || pod.HostIPC || c.Resources.Limits.Memory().IsZero() || c.ReadinessProbe == nil || c.LivenessProbe == nil || c.StartupProbe == nil {
			t.Errorf("%s: %+v", name, pod)
		}
	}
}

// TestMounted: whatever file or directory the controller is told to read is in a volume
// that the pod has.
func TestMounted(t *testing.T) {
	files := 0
	for name, values := range sets() {
		var d appsv1.Deployment
		typed(t, one(t, render(t, values), "Deployment"), &d)
		pod := d.Spec.Template.Spec
		mounted := map[string]bool{}
		for _, m := range pod.Containers[0].VolumeMounts {
			mounted[m.MountPath] = slices.ContainsFunc(pod.Volumes, func(v corev1.Volume) bool { return v.Name == m.Name })
		}
		for _, arg := range pod.Containers[0].Args {
			_, file, _ := strings.Cut(arg, "=")
			if !strings.HasPrefix(file, "/") {
				continue
			}
			if files++; !mounted[file] && !mounted[filepath.Dir(file)] {
				t.Errorf("%s: nothing is mounted for %s", name, arg)
			}
		}
	}
	if files < 5 {
		t.Errorf("only %d files are named", files)
	}
}

// TestHA: the values for two replicas give two that keep apart and stay.
func TestHA(t *testing.T) {
	objects := render(t, "", "--values", chart+"/values-ha.yaml")
	var d appsv1.Deployment
	typed(t, one(t, objects, "Deployment"), &d)
	if *d.Spec.Replicas != 2 || len(d.Spec.Template.Spec.TopologySpreadConstraints) != 2 {
		t.Errorf("%+v", d.Spec)
	}
	one(t, objects, "PodDisruptionBudget")
	one(t, objects, "NetworkPolicy")
}

// TestMonitoring: what rules and dashboard ask for is measured.
func TestMonitoring(t *testing.T) {
	objects := render(t, everything)
	text := fmt.Sprint(one(t, objects, "PrometheusRule"))
	one(t, objects, "ServiceMonitor")
	for _, o := range objects {
		data, _ := o["data"].(lab.Object)
		if dashboard, ok := data["meshknot.json"].(string); ok {
			if !json.Valid([]byte(dashboard)) {
				t.Error("the dashboard is no JSON")
			}
			text += dashboard
		}
	}
	r := prometheus.NewPedanticRegistry()
	if _, err := telemetry.NewMetrics(r); err != nil {
		t.Fatal(err)
	}
	source, err := os.ReadFile("../internal/telemetry/metrics.go")
	if err != nil {
		t.Fatal(err)
	}
	asked := regexp.MustCompile(`meshknot_[a-z_]+`).FindAllString(text, -1)
	if len(asked) < 20 {
		t.Errorf("only %d metrics are asked for", len(asked))
	}
	for _, name := range asked {
		if !strings.Contains(string(source), `"`+strings.TrimSuffix(name, "_bucket")+`"`) {
			t.Errorf("nothing measures %s", name)
		}
	}
	page, err := os.ReadFile("../docs/operations.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range regexp.MustCompile(`docs/operations\.md#([a-z-]+)`).FindAllStringSubmatch(text, -1) {
		if !slices.Contains(anchors(string(page)), m[1]) {
			t.Errorf("docs/operations.md has no %s", m[1])
		}
	}
}

// anchors are the headings of a page as links name them.
func anchors(page string) []string {
	var out []string
	for _, m := range regexp.MustCompile(`(?m)^#+ (.*)$`).FindAllStringSubmatch(page, -1) {
		plain := regexp.MustCompile(`[^a-z0-9 -]`).ReplaceAllString(strings.ToLower(m[1]), "")
		out = append(out, strings.ReplaceAll(plain, " ", "-"))
	}
	return out
}

// one returns the only object of a kind.
func one(t *testing.T, objects []lab.Object, kind string) lab.Object {
	t.Helper()
	var out lab.Object
	for _, o := range objects {
		if o["kind"] == kind {
			if out != nil {
				t.Fatalf("two of %s", kind)
			}
			out = o
		}
	}
	if out == nil {
		t.Fatalf("no %s", kind)
	}
	return out
}

// typed reads an object strictly.
func typed(t *testing.T, o lab.Object, into any) {
	t.Helper()
	text, err := json.Marshal(o)
	if err != nil {
		t.Fatal(err)
	}
	d := json.NewDecoder(strings.NewReader(string(text)))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		t.Fatalf("%s: %v", o["kind"], err)
	}
}
