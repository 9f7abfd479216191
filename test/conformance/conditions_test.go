package conformance

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// demanded is what the suite's tests demand of conditions, read from their
// sources: the test's manifest, the object, its part (a listener, or a parent of
// a route) and what must be there. A reason that the suite leaves open is left out.
var demanded = []struct{ test, object, part, want string }{
	{"gateway-invalid-listeners-unsupported-protocol", "Gateway infra/gateway-only-unsupported-protocols", "", "Accepted=False/ListenersNotValid"},
	{"gateway-invalid-listeners-unsupported-protocol", "Gateway infra/gateway-only-unsupported-protocols", "listener invalid", "Accepted=False/UnsupportedProtocol routes=0 kinds="},
	{"gateway-invalid-listeners-unsupported-protocol", "Gateway infra/gateway-supported-and-unsupported-protocols", "", "Accepted=True/ListenersNotValid"},
	{"gateway-invalid-listeners-unsupported-protocol", "Gateway infra/gateway-supported-and-unsupported-protocols", "listener http", "Accepted=True/Accepted routes=0"},
	{"gateway-invalid-listeners-unsupported-protocol", "Gateway infra/gateway-supported-and-unsupported-protocols", "listener invalid", "Accepted=False/UnsupportedProtocol kinds="},
	{"gateway-invalid-route-kind", "Gateway infra/gateway-only-invalid-route-kind", "listener http", "ResolvedRefs=False/InvalidRouteKinds routes=0 kinds="},
	{"gateway-invalid-route-kind", "Gateway infra/gateway-supported-and-invalid-route-kind", "listener http", "ResolvedRefs=False/InvalidRouteKinds routes=0 kinds=HTTPRoute"},
	{"gateway-invalid-tls-configuration", "Gateway infra/gateway-certificate-unsupported-group", "listener https", "ResolvedRefs=False/InvalidCertificateRef routes=0"},
	{"gateway-invalid-tls-configuration", "Gateway infra/gateway-certificate-unsupported-kind", "listener https", "ResolvedRefs=False/InvalidCertificateRef routes=0"},
	{"gateway-secret-invalid-reference-grant", "Gateway infra/gateway-secret-invalid-reference-grant", "listener https", "ResolvedRefs=False/RefNotPermitted"},
	{"gateway-secret-missing-reference-grant", "Gateway infra/gateway-secret-missing-reference-grant", "listener https", "ResolvedRefs=False/RefNotPermitted"},
	{"gateway-secret-reference-grant-all-in-namespace", "Gateway infra/gateway-secret-reference-grant-all-in-namespace", "listener https", "ResolvedRefs=True"},
	{"gateway-secret-reference-grant-specific", "Gateway infra/gateway-secret-reference-grant-specific", "listener https", "ResolvedRefs=True"},
	{"gateway-with-attached-routes", "Gateway infra/gateway-with-one-attached-route", "listener http", "Accepted=True ResolvedRefs=True routes=1 kinds=HTTPRoute"},
	{"gateway-with-attached-routes", "Gateway infra/gateway-with-two-attached-routes", "listener http", "Accepted=True ResolvedRefs=True routes=2 kinds=HTTPRoute"},
	{"gateway-with-attached-routes", "HTTPRoute infra/http-route-not-accepted", "at gateway-with-two-attached-routes", "Accepted=False/NoMatchingListenerHostname"},
	{"gateway-with-attached-routes", "Gateway infra/unresolved-gateway-with-one-attached-unresolved-route", "listener tls", "Programmed=False routes=1 kinds=HTTPRoute"},
	{"gateway-with-attached-routes", "HTTPRoute infra/http-route-4", "at unresolved-gateway-with-one-attached-unresolved-route", "ResolvedRefs=False"},
	{"gateway-with-attached-routes-with-port-8080", "Gateway infra/gateway-with-two-listeners-and-one-attached-route", "listener http-unattached", "Accepted=True ResolvedRefs=True routes=0"},
	{"gateway-with-attached-routes-with-port-8080", "Gateway infra/gateway-with-two-listeners-and-one-attached-route", "listener http", "Accepted=True ResolvedRefs=True routes=1"},
	{"httproute-disallowed-kind", "HTTPRoute infra/disallowed-kind", "at tlsroutes-only", "Accepted=False/NotAllowedByListeners ResolvedRefs=True"},
	{"httproute-hostname-intersection", "HTTPRoute infra/no-intersecting-hosts", "at httproute-hostname-intersection", "Accepted=False/NoMatchingListenerHostname ResolvedRefs=True"},
	{"httproute-hostname-intersection", "HTTPRoute infra/wildcard-host-matches-listener-wildcard-host", "at httproute-hostname-intersection", "Accepted=True ResolvedRefs=True"},
	{"httproute-hostname-intersection", "Gateway infra/httproute-hostname-intersection", "listener listener-1", "routes=2"},
	{"httproute-hostname-intersection", "Gateway infra/httproute-hostname-intersection", "listener listener-2", "routes=1"},
	{"httproute-hostname-intersection", "Gateway infra/httproute-hostname-intersection", "listener listener-3", "routes=1"},
	{"httproute-invalid-backendref-unknown-kind", "HTTPRoute infra/invalid-backend-ref-unknown-kind", "at same-namespace", "Accepted=True ResolvedRefs=False/InvalidKind"},
	{"httproute-invalid-cross-namespace-backend-ref", "HTTPRoute infra/invalid-cross-namespace-backend-ref", "at same-namespace", "Accepted=True ResolvedRefs=False/RefNotPermitted"},
	{"httproute-invalid-cross-namespace-parent-ref", "HTTPRoute web-backend/invalid-cross-namespace-parent-ref", "at same-namespace", "Accepted=False/NotAllowedByListeners ResolvedRefs=True"},
	{"httproute-invalid-cross-namespace-parent-ref", "Gateway infra/same-namespace", "listener http", "routes=0"},
	{"httproute-invalid-nonexistent-backendref", "HTTPRoute infra/invalid-nonexistent-backend-ref", "at same-namespace", "Accepted=True ResolvedRefs=False/BackendNotFound"},
	{"httproute-invalid-parentref-not-matching-listener-port", "HTTPRoute infra/httproute-listener-not-matching-route-port", "at same-namespace", "Accepted=False/NoMatchingParent ResolvedRefs=True"},
	{"httproute-invalid-parentref-not-matching-section-name", "HTTPRoute infra/httproute-listener-not-matching-section-name", "at same-namespace", "Accepted=False/NoMatchingParent ResolvedRefs=True"},
	{"httproute-invalid-parentref-section-name-not-matching-port", "HTTPRoute infra/httproute-listener-section-name-not-matching-port", "at gateway-with-one-not-matching-port-and-section-name-route", "Accepted=False/NoMatchingParent"},
	{"httproute-invalid-reference-grant", "HTTPRoute infra/reference-grant", "at same-namespace", "ResolvedRefs=False/RefNotPermitted"},
	{"httproute-partially-invalid-via-invalid-reference-grant", "HTTPRoute infra/invalid-reference-grant", "at same-namespace", "Accepted=True ResolvedRefs=False/RefNotPermitted"},
	{"httproute-reference-grant", "HTTPRoute infra/reference-grant", "at same-namespace", "Accepted=True ResolvedRefs=True"},
	{"listenerset-allowed-namespace-none", "Gateway infra/gateway-does-not-allow-listenerset", "", "Accepted=True sets=0"},
	{"listenerset-allowed-namespace-none", "ListenerSet infra/listenerset-not-allowed", "", "Accepted=False/NotAllowed Programmed=False/NotAllowed"},
	{"listenerset-allowed-namespace-same", "Gateway infra/gateway-allows-listenerset-in-same-namespace", "", "Accepted=True sets=1"},
	{"listenerset-allowed-namespace-same", "ListenerSet infra/listenerset-in-same-namespace", "", "Accepted=True/Accepted Programmed=True/Programmed"},
	{"listenerset-allowed-namespace-same", "ListenerSet gateway-api-listenerset-not-allowed-ns/listenerset-in-different-namespace", "", "Accepted=False/NotAllowed Programmed=False/NotAllowed"},
	{"listenerset-allowed-namespace-selector", "Gateway infra/gateway-allows-listenerset-in-selected-namespace", "", "Accepted=True sets=1"},
	{"listenerset-allowed-namespace-selector", "ListenerSet gateway-api-listenerset-selector-allowed-ns/listenerset-in-selected-namespace", "", "Accepted=True/Accepted"},
	{"listenerset-allowed-namespace-selector", "ListenerSet gateway-api-listenerset-selector-not-allowed-ns/listenerset-not-in-selected-namespace", "", "Accepted=False/NotAllowed"},
	{"listenerset-allowed-routes-namespaces", "HTTPRoute infra/route-in-gateway-namespace", "at listenerset-test-allowed-routes-cross-ns", "Accepted=False/NotAllowedByListeners"},
	{"listenerset-allowed-routes-namespaces", "HTTPRoute gateway-api-ls-cross-ns/route-in-listenerset-namespace", "at listenerset-test-allowed-routes-cross-ns", "Accepted=True"},
	{"listenerset-allowed-routes-namespaces", "ListenerSet infra/listenerset-test-allowed-routes-namespaces", "listener listener-set-listener-allowed-routes-all", "routes=3"},
	{"listenerset-allowed-routes-namespaces", "ListenerSet infra/listenerset-test-allowed-routes-namespaces", "listener listener-set-listener-allowed-routes-same", "routes=1"},
	{"listenerset-allowed-routes-namespaces", "ListenerSet infra/listenerset-test-allowed-routes-namespaces", "listener listener-set-listener-allowed-routes-selector", "routes=1"},
	{"listenerset-allowed-routes-namespaces", "ListenerSet gateway-api-ls-cross-ns/listenerset-test-allowed-routes-cross-ns", "listener listener-set-listener-allowed-routes-cross-ns-same", "routes=1"},
	{"listenerset-allowed-routes-supported-kinds", "ListenerSet infra/listenerset-test-allowed-routes-supported-kinds", "listener listener-set-listener-allowed-routes-tls-only", "ResolvedRefs=False/InvalidRouteKinds"},
	{"listenerset-default-not-allowed", "Gateway infra/gateway-default-does-not-allow-listenerset", "", "Accepted=True sets=0"},
	{"listenerset-default-not-allowed", "ListenerSet infra/listenerset-default-not-allowed", "", "Accepted=False/NotAllowed Programmed=False/NotAllowed"},
	{"listenerset-dual-parentref-independence", "HTTPRoute infra/route-dual-parentref-both", "at gateway-dual-parentref", "Accepted=True"},
	{"listenerset-dual-parentref-independence", "HTTPRoute infra/route-dual-parentref-both", "at ls-dual-parentref", "Accepted=True"},
	{"listenerset-dual-parentref-independence", "HTTPRoute infra/route-dual-parentref-one", "at gateway-dual-parentref", "Accepted=False/NoMatchingParent"},
	{"listenerset-dual-parentref-independence", "HTTPRoute infra/route-dual-parentref-one", "at ls-dual-parentref", "Accepted=True"},
	{"listenerset-dual-parentref-independence", "ListenerSet infra/ls-dual-parentref", "listener ls-dual-parentref-listener", "routes=2"},
	{"listenerset-gateway-parent-section-name-not-found", "Gateway infra/gateway-section-name", "", "Accepted=True sets=1"},
	{"listenerset-gateway-parent-section-name-not-found", "HTTPRoute infra/route-via-gateway", "at gateway-section-name", "Accepted=False/NoMatchingParent"},
	{"listenerset-gateway-parent-section-name-not-found", "HTTPRoute infra/route-via-listenerset", "at listenerset-section-name", "Accepted=True"},
	{"listenerset-hostname-conflict", "Gateway infra/gateway-with-listenerset-hostname-conflict", "", "Accepted=True sets=2"},
	{"listenerset-hostname-conflict", "Gateway infra/gateway-with-listenerset-hostname-conflict", "listener hostname-conflict-with-gateway-listener", "Accepted=True Programmed=True ResolvedRefs=True"},
	{"listenerset-hostname-conflict", "ListenerSet infra/listenerset-with-hostname-conflict-with-gateway-1", "", "Accepted=True Programmed=True/Programmed"},
	{"listenerset-hostname-conflict", "ListenerSet infra/listenerset-with-hostname-conflict-with-gateway-1", "listener hostname-conflict-with-gateway-listener", "Accepted=False/HostnameConflict Programmed=False/HostnameConflict Conflicted=True/HostnameConflict"},
	{"listenerset-hostname-conflict", "ListenerSet infra/listenerset-with-hostname-conflict-with-gateway-1", "listener hostname-conflict-with-listener-set-listener", "Accepted=True Programmed=True"},
	{"listenerset-hostname-conflict", "ListenerSet infra/listenerset-with-hostname-conflict-with-gateway-2", "", "Accepted=False/ListenersNotValid Programmed=False/ListenersNotValid"},
	{"listenerset-hostname-conflict", "ListenerSet infra/listenerset-with-hostname-conflict-with-listener-set-1", "listener hostname-conflict-with-listener-set-listener", "Accepted=False/HostnameConflict Conflicted=True/HostnameConflict"},
	{"listenerset-hostname-conflict", "ListenerSet infra/listenerset-with-hostname-conflict-with-listener-set-2", "", "Accepted=False/ListenersNotValid Programmed=False/ListenersNotValid"},
	{"listenerset-http-routing", "Gateway infra/gateway-with-listener-sets-http-routing", "", "Accepted=True sets=2"},
	{"listenerset-http-routing", "Gateway infra/gateway-with-listener-sets-http-routing", "listener gateway-listener-1", "routes=3"},
	{"listenerset-http-routing", "Gateway infra/gateway-with-listener-sets-http-routing", "listener gateway-listener-2", "routes=2"},
	{"listenerset-protocol-conflict", "Gateway infra/gateway-with-listenerset-protocol-conflict", "", "Accepted=True sets=2"},
	{"listenerset-protocol-conflict", "Gateway infra/gateway-with-listenerset-protocol-conflict", "listener protocol-conflict-with-gateway-listener", "Accepted=True Programmed=True"},
	{"listenerset-protocol-conflict", "ListenerSet infra/listenerset-with-protocol-conflict-with-gateway-1", "listener protocol-conflict-with-gateway-listener", "Accepted=False/ProtocolConflict Programmed=False/ProtocolConflict Conflicted=True/ProtocolConflict"},
	{"listenerset-protocol-conflict", "ListenerSet infra/listenerset-with-protocol-conflict-with-gateway-2", "", "Accepted=False/ListenersNotValid Programmed=False/ListenersNotValid"},
	{"listenerset-protocol-conflict", "ListenerSet infra/listenerset-with-protocol-conflict-with-listener-set-1", "listener listener-set-2-listener", "Accepted=True Programmed=True"},
	{"listenerset-reference-grant", "ListenerSet gateway-api-listener-sets-test-reference-grant-ns/listenerset-without-reference-grant", "", "Accepted=False/ListenersNotValid Programmed=False/ListenersNotValid"},
	{"listenerset-route-status-scoped-to-parentref", "ListenerSet infra/listenerset-parentref", "listener listenerset-parentref-listener", "routes=1"},
	{"listenerset-route-status-scoped-to-parentref", "HTTPRoute infra/route-parentref-gwonly", "at gateway-parentref", "Accepted=True parents=1"},
	{"listenerset-route-status-scoped-to-parentref", "HTTPRoute infra/route-parentref-lsonly", "at listenerset-parentref", "Accepted=True parents=1"},
	{"tcproute-invalid-backendref-nonexistent", "TCPRoute infra/tcp-route-invalid-backend-ref-nonexistent", "at tcp-gateway-invalid-backend", "ResolvedRefs=False/BackendNotFound"},
	{"tcproute-invalid-cross-namespace-backend-ref", "TCPRoute infra/tcp-invalid-cross-namespace-backend-ref", "at tcp-invalid-cross-namespace-backend-ref-gateway", "ResolvedRefs=False/RefNotPermitted"},
	{"tcproute-invalid-non-tcp-listener", "TCPRoute infra/tcp-route", "at tcp-mixed-protocol-gateway", "Accepted=False/NotAllowedByListeners"},
	{"tcproute-invalid-non-tcp-listener", "Gateway infra/tcp-mixed-protocol-gateway", "listener only-allow-http-routes", "routes=0"},
	{"tcproute-parentref-attach-all", "TCPRoute infra/tcp-route-attach-all", "at tcp-attach-all-gateway", "Accepted=True/Accepted"},
	{"tcproute-parentref-port-and-section-name", "TCPRoute infra/tcp-route-by-port", "at tcp-multi-listener-gateway", "Accepted=True/Accepted"},
}

// notYet are demands of the suite that are known not to be met, so that nobody
// takes their absence above for an oversight.
var notYet = []struct{ test, object, part, want string }{
	// Whatever the class, a Gateway is translated: what its parametersRef names belongs to its own controller.
	{"gateway-invalid-parameters-ref", "Gateway infra/gateway-invalid-parameters-ref", "", "Accepted=False/InvalidParameters"},
	// Secrets are not read.
	{"gateway-invalid-tls-configuration", "Gateway infra/gateway-certificate-nonexistent-secret", "listener https", "ResolvedRefs=False/InvalidCertificateRef"},
	// No address is assigned.
	{"gateway-static-addresses", "Gateway infra/gateway-static-addresses", "", "Accepted=False/UnsupportedAddress"},
	// HTTPS is not served.
	{"httproute-https-listener", "Gateway infra/same-namespace-with-https-listener", "", "Accepted=True"},
	{"tcproute-multiple-routes-attachment", "Gateway infra/tcp-multi-route-attach-gateway", "", "Accepted=True"},
}

func TestConditions(t *testing.T) {
	dir := suite(t)
	outcomes := map[string]outcome{}
	of := func(test string) outcome {
		if _, ok := outcomes[test]; !ok {
			name := "tests/" + test + ".yaml"
			outcomes[test] = translate(t, manifest(t, dir, base(name)), manifest(t, dir, name))
		}
		return outcomes[test]
	}
	for _, d := range demanded {
		if missing := of(d.test).lacks(d.object, d.part, d.want); missing != "" {
			t.Errorf("%s: %s %s: %s", d.test, d.object, d.part, missing)
		}
	}
	for _, d := range notYet {
		if of(d.test).lacks(d.object, d.part, d.want) == "" {
			t.Errorf("%s: %s %s: %s is met by now; demand it", d.test, d.object, d.part, d.want)
		}
	}
}

// lacks returns what of the wanted conditions is not there.
func (o outcome) lacks(object, part, want string) string {
	for _, s := range o.statuses {
		if s.object.Kind+" "+strings.TrimPrefix(s.object.Namespace, "gateway-conformance-")+"/"+s.object.Name != object {
			continue
		}
		said, ok := s.said(part)
		if !ok {
			return "no such part"
		}
		for _, w := range strings.Fields(want) {
			if !slices.ContainsFunc(said, func(s string) bool {
				return s == w || !strings.Contains(w, "/") && strings.HasPrefix(s, w+"/")
			}) {
				return fmt.Sprintf("want %s in %v", w, said)
			}
		}
		return ""
	}
	return "the object has no status"
}

// said renders what a status says of a part, each thing as "key=value" or
// "condition=status/reason".
func (s objectStatus) said(part string) (out []string, ok bool) {
	say := func(all []condition) {
		for _, c := range all {
			out = append(out, c.Type+"="+c.Status+"/"+c.Reason)
		}
	}
	if part == "" {
		say(s.status.Conditions)
		return append(out, fmt.Sprintf("sets=%d", s.status.AttachedListenerSets)), true
	}
	for _, l := range s.status.Listeners {
		if "listener "+l.Name == part {
			var kinds []string
			for _, k := range l.SupportedKinds {
				kinds = append(kinds, k.Kind)
			}
			say(l.Conditions)
			return append(out, fmt.Sprintf("routes=%d", l.AttachedRoutes), "kinds="+strings.Join(kinds, ",")), true
		}
	}
	for _, p := range s.status.Parents {
		if "at "+p.ParentRef.Name == part {
			say(p.Conditions)
			return append(out, fmt.Sprintf("parents=%d", len(s.status.Parents))), true
		}
	}
	return nil, false
}
