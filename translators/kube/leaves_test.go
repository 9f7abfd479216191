package kube_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/meshknot/meshknot/translators/feature"
	"github.com/meshknot/meshknot/translators/input"
	"github.com/meshknot/meshknot/translators/kube"
)

// Every field that is kept has a row of its own, and every other has a reason.
func TestLeaves(t *testing.T) {
	const template = "spec.template."
	for _, c := range []struct {
		group, kind, path string
		feature           feature.Feature
		reason            feature.Reason
	}{
		{"", "Service", "spec.selector.app", feature.AccessSelector, ""},
		{"", "Service", "spec.ports[0].name", feature.ProtocolSelection, ""},
		{"", "Service", "spec.ports[0].appProtocol", feature.ProtocolSelection, ""},
		{"", "Service", "spec.ports[0].protocol", feature.ProtocolSelection, ""},
		{"", "Service", "spec.ports[0].port", "", feature.ReasonKey},
		{"", "Service", "spec.ports[0].targetPort", "", feature.ReasonKey},
		{"", "Service", "spec.ports[0].nodePort", "", feature.ReasonAddress},
		{"", "Service", "spec.clusterIP", "", feature.ReasonAddress},
		{"", "Service", "spec.type", "", feature.ReasonAddress},
		{"", "Service", "spec.externalName", "", feature.ReasonAddress},
		{"", "Service", "status.loadBalancer", "", feature.ReasonStatus},
		{"", "Pod", "spec.serviceAccountName", feature.IdentityMapping, ""},
		{"", "Pod", "spec.containers[1].livenessProbe.httpGet.path", feature.Probes, ""},
		{"", "Pod", "spec.containers[1].image", "", feature.ReasonPod},
		{"apps", "Deployment", template + "metadata.labels.app", feature.AccessSelector, ""},
		{"apps", "Deployment", template + "metadata.annotations.a", "", feature.ReasonPod},
		{"apps", "Deployment", template + "spec.serviceAccount", feature.AccessSelector, ""},
		{"apps", "Deployment", template + "spec.containers[0].ports[0].name", "", feature.ReasonKey},
		{"apps", "Deployment", "spec.replicas", "", feature.ReasonPod},
		{"apps", "StatefulSet", template + "spec.initContainers[0].startupProbe.grpc.port", feature.Probes, ""},
		{"apps", "DaemonSet", template + "spec.containers[0].readinessProbe.tcpSocket.port", feature.Probes, ""},
		{"apps", "ReplicaSet", template + "spec.serviceAccountName", feature.IdentityMapping, ""},
		{"batch", "Job", template + "metadata.labels.app", feature.AccessSelector, ""},
		{"batch", "CronJob", "spec.jobTemplate.spec.template.metadata.labels.app", feature.AccessSelector, ""},
		{"batch", "CronJob", "spec.schedule", "", feature.ReasonPod},
		{"", "ServiceAccount", "secrets", "", feature.ReasonPod},
		{"", "Namespace", "spec.finalizers", "", feature.ReasonAddress},
		{"", "Endpoints", "subsets[0].notReadyAddresses[0].ip", feature.UnreadyBackend, ""},
		{"", "Endpoints", "subsets[0].addresses[0].ip", "", feature.ReasonKey},
		{"discovery.k8s.io", "EndpointSlice", "endpoints[0].conditions.ready", feature.UnreadyBackend, ""},
		{"discovery.k8s.io", "EndpointSlice", "endpoints[0].addresses[0]", "", feature.ReasonKey},
		{"discovery.k8s.io", "EndpointSlice", "endpoints[0].zone", "", feature.ReasonAddress},
		{"discovery.k8s.io", "EndpointSlice", "ports[0].port", "", feature.ReasonKey},
	} {
		l, ok := kube.LeafOf(c.group, c.kind, c.path)
		if !ok || l.Reason != c.reason || c.feature != "" && !slices.Contains(l.Features, c.feature) {
			t.Errorf("%s %s: %+v, want %s%s", c.kind, c.path, l, c.feature, c.reason)
		}
	}
	for _, l := range kube.Leaves() {
		if (len(l.Features) > 0) == (l.Reason != "") || l.Reason != "" && !slices.Contains(feature.Reasons(), l.Reason) {
			t.Errorf("row %+v", l)
		}
	}
}

// The fields of a whole object of each kind have rows.
func TestNoFieldWithoutRow(t *testing.T) {
	set, found := input.Read([]string{"-"}, input.Options{Schemas: kube.Schemas(), Stdin: strings.NewReader(strings.Join([]string{
		service("s", "{clusterIP: None, sessionAffinity: None, selector: {a: b}, ports: [{port: 1, nodePort: 30000}]}\nstatus: {loadBalancer: {}}"),
		deployment("d", "x", "a: b", "{name: a, image: b, lifecycle: {preStop: {sleep: {seconds: 1}}}}") + "\nstatus: {replicas: 1}",
		"apiVersion: v1\nkind: ServiceAccount\nmetadata: {name: x}\nautomountServiceAccountToken: false\nimagePullSecrets: [{name: a}]\nsecrets: [{name: b}]",
		"apiVersion: v1\nkind: Namespace\nmetadata: {name: x}\nspec: {finalizers: [a]}\nstatus: {phase: Active}",
		"apiVersion: v1\nkind: Endpoints\nmetadata: {name: x}\nsubsets: [{addresses: [{ip: 1.2.3.4, nodeName: node, targetRef: {kind: Pod}}], ports: [{port: 1}]}]",
		"apiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\nmetadata: {name: x}\naddressType: IPv4\nports: [{port: 1}]\nendpoints: [{addresses: [a], zone: z}]",
	}, "\n---\n"))})
	if len(found) > 0 {
		t.Fatal(found)
	}
	for _, o := range set.Objects {
		for _, path := range o.Leaves {
			if _, ok := kube.LeafOf(o.Group, o.Kind, path); !ok {
				t.Errorf("%s: no row for %s", o.Kind, path)
			}
		}
	}
}
