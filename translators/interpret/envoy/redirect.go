package envoy

import (
	"fmt"
	"strings"

	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
)

// redirect is where a route leads elsewhere.
type redirect struct {
	status             int
	scheme, host, path string
	port               uint32
	rewrite            rewrite
	stripQuery         bool
}

var redirectStatuses = map[routev3.RedirectAction_RedirectResponseCode]int{
	routev3.RedirectAction_MOVED_PERMANENTLY:  301,
	routev3.RedirectAction_FOUND:              302,
	routev3.RedirectAction_SEE_OTHER:          303,
	routev3.RedirectAction_TEMPORARY_REDIRECT: 307,
	routev3.RedirectAction_PERMANENT_REDIRECT: 308,
}

func readRedirect(a *routev3.RedirectAction) (*redirect, error) {
	out := &redirect{status: redirectStatuses[a.GetResponseCode()], scheme: a.GetSchemeRedirect(),
		host: a.GetHostRedirect(), path: a.GetPathRedirect(), port: a.GetPortRedirect(), stripQuery: a.GetStripQuery()}
	if a.GetHttpsRedirect() {
		out.scheme = "https"
	}
	var err error
	out.rewrite, err = readRewrite(a.GetPrefixRewrite(), a.GetRegexRewrite())
	return out, err
}

var impliedPort = map[string]string{"http": ":80", "https": ":443"}

// location is where a redirect leads whose request came by plain HTTP. A port
// that the scheme implies is left out: nobody can tell the difference.
func (r redirect) location(host, path, query string, asked bool, matched string) string {
	scheme := "http"
	if r.scheme != "" {
		scheme = r.scheme
	}
	authority := strings.ToLower(host)
	if r.host != "" {
		authority = r.host
	} else if i := strings.LastIndexByte(authority, ':'); i >= 0 && !strings.HasSuffix(authority, "]") {
		if r.port != 0 || scheme != "http" && authority[i:] == impliedPort["http"] {
			authority = authority[:i]
		}
	}
	if r.port != 0 {
		authority = fmt.Sprintf("%s:%d", authority, r.port)
	}
	authority = strings.TrimSuffix(authority, impliedPort[scheme])
	if r.path != "" {
		path = r.path
		asked = asked && !strings.Contains(path, "?")
	} else {
		path = r.rewrite.apply(path, matched)
	}
	if asked && !r.stripQuery {
		path += "?" + query
	}
	return scheme + "://" + authority + path
}
