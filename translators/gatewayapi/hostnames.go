package gatewayapi

import (
	"strings"

	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"
)

// anyHost stands for every host name.
const anyHost = "*"

// hostOf reads a hostname as it is compared: in lower case, and where there is
// none every host.
func hostOf(written gatewayv1.Hostname) string {
	if written == "" {
		return anyHost
	}
	return strings.ToLower(string(written))
}

// hostsOf reads the hostnames of a route, which without any takes every host.
func hostsOf(written []gatewayv1.Hostname) []string {
	if len(written) == 0 {
		return []string{anyHost}
	}
	out := make([]string, len(written))
	for i, h := range written {
		out[i] = hostOf(h)
	}
	return out
}

// covers reports whether a hostname stands for all that another stands for.
// "*.example.com" covers one label or more before the suffix, not the suffix itself.
func covers(host, other string) bool {
	suffix, wildcard := strings.CutPrefix(host, "*")
	switch {
	case host == anyHost, host == other:
		return true
	case !wildcard || other == anyHost:
		return false
	}
	return strings.HasSuffix(other, suffix)
}

// intersect returns the hostname that stands for what two have in common. It
// reports false where there is nothing.
func intersect(a, b string) (string, bool) {
	switch {
	case covers(a, b):
		return b, true
	case covers(b, a):
		return a, true
	}
	return "", false
}

// covering lists the hostnames that cover a host, the most specific first: there
// are as many as it has labels, so that a table of hostnames can be asked for each.
func covering(host string) []string {
	out := []string{host}
	for rest := strings.TrimPrefix(host, "*."); ; {
		_, after, more := strings.Cut(rest, ".")
		if !more {
			break
		}
		out, rest = append(out, "*."+after), after
	}
	if host != anyHost {
		out = append(out, anyHost)
	}
	return out
}
