package smi

import "github.com/meshknot/meshknot/translators/report"

// suite are the steps of the public suite.
var suite = []Step{
	{ID: "access-01", What: "the CRD of TrafficTarget is there",
		CRDs: []string{"TrafficTarget access.smi-spec.io/v1alpha3", "TCPRoute specs.smi-spec.io/v1alpha4"}},
	{ID: "access-02", What: "the applications are ready", Manifests: []string{"apps"}, Access: "off", AnyCall: true,
		Objects: []string{"Service/smi/app-a", "Service/smi/app-b", "Service/smi/app-c"},
		Asks: []string{
			"20 x sa:smi/service-a -> svc:smi/app-b:9091 GET /echo => smi/service-b:9091",
			"20 x sa:smi/service-a -> svc:smi/app-c:9091 GET /echo => smi/service-c:9091"}},
	{ID: "access-03", What: "what nothing allows is denied", Manifests: []string{"apps"}, Access: "strict", AnyCall: true,
		Asks: []string{"20 x sa:smi/service-a -> svc:smi/app-b:9091 GET /echo => 403"}},
	{ID: "access-04", What: "a TCPRoute and a TrafficTarget are taken", Manifests: []string{"apps", "access-04"}, Access: "strict",
		Objects: []string{"TCPRoute/smi/tcp-route", "TrafficTarget/smi/traffic-access"}},
	{ID: "access-05", What: "A may call B, and only A", Manifests: []string{"apps", "access-04"}, Access: "strict", AnyCall: true,
		Asks: []string{
			"20 x sa:smi/service-a -> svc:smi/app-b:9091 GET /echo => smi/service-b:9091",
			"20 x sa:smi/service-c -> svc:smi/app-b:9091 GET /echo => 403"}},
	{ID: "access-06", What: "the TCPRoute and the TrafficTarget are deleted", Manifests: []string{"apps"}, Access: "strict",
		Gone: []string{"TCPRoute/smi/tcp-route", "TrafficTarget/smi/traffic-access"}},
	{ID: "access-07", What: "what was allowed is denied again", Manifests: []string{"apps"}, Access: "strict", AnyCall: true,
		Asks: []string{"20 x sa:smi/service-a -> svc:smi/app-b:9091 GET /echo => 403"}},

	{ID: "spec-01", What: "the CRD of HTTPRouteGroup is there",
		CRDs: []string{"HTTPRouteGroup specs.smi-spec.io/v1alpha4", "TrafficTarget access.smi-spec.io/v1alpha3"}},
	{ID: "spec-02", What: "the applications are ready", Manifests: []string{"apps"}, Access: "off", AnyCall: true,
		Asks: []string{"20 x sa:smi/service-a -> svc:smi/app-b:9091 GET /echo => smi/service-b:9091"}},
	{ID: "spec-03", What: "an HTTPRouteGroup and a TrafficTarget are taken", Manifests: []string{"apps", "spec-03"}, Access: "strict",
		Objects: []string{"HTTPRouteGroup/smi/route-group", "TrafficTarget/smi/traffic-spec"}},
	{ID: "spec-04", What: "only the path is allowed", Manifests: []string{"apps", "spec-03"}, Access: "strict",
		Asks: []string{
			"20 x sa:smi/service-a -> svc:smi/app-b:9091 GET /metrics => smi/service-b:9091",
			"20 x sa:smi/service-a -> svc:smi/app-b:9091 GET /echo => 403"}},
	{ID: "spec-05", What: "the HTTPRouteGroup is changed", Manifests: []string{"apps", "spec-05"}, Access: "strict",
		Objects: []string{"HTTPRouteGroup/smi/route-group", "TrafficTarget/smi/traffic-spec"}},
	{ID: "spec-06", What: "only the method is allowed", Manifests: []string{"apps", "spec-05"}, Access: "strict",
		Asks: []string{
			"20 x sa:smi/service-a -> svc:smi/app-b:9091 GET /echo => smi/service-b:9091",
			"20 x sa:smi/service-a -> svc:smi/app-b:9091 POST /echo => 403"}},

	{ID: "split-01", What: "the CRD of TrafficSplit is there", CRDs: []string{"TrafficSplit split.smi-spec.io/v1alpha4"}},
	{ID: "split-02", What: "the applications are ready", Manifests: []string{"split"}, AnyCall: true,
		Objects: []string{"Service/smi/app-svc", "Service/smi/app-b", "Service/smi/app-c"},
		Asks: []string{
			"20 x sa:smi/service-a -> svc:smi/app-b:9091 GET /echo => smi/service-b:9091",
			"20 x sa:smi/service-a -> svc:smi/app-c:9091 GET /echo => smi/service-c:9091"}},
	{ID: "split-03", What: "without a split both are called", Manifests: []string{"split"}, AnyCall: true,
		Asks: []string{"1000 x sa:smi/service-a -> svc:smi/app-svc:9091 GET /echo => smi/service-b:9091>0 smi/service-c:9091>0"}},
	{ID: "split-04", What: "a split 1 to 0 is taken", Manifests: []string{"split", "split-04"}, Objects: []string{"TrafficSplit/smi/trafficsplit"}},
	{ID: "split-05", What: "1 to 0: all calls go to B", Manifests: []string{"split", "split-04"}, AnyCall: true,
		Asks: []string{"1000 x sa:smi/service-a -> svc:smi/app-svc:9091 GET /echo => smi/service-b:9091"}},
	{ID: "split-06", What: "a split 0 to 1 is taken", Manifests: []string{"split", "split-06"}, Objects: []string{"TrafficSplit/smi/trafficsplit"}},
	{ID: "split-07", What: "0 to 1: all calls go to C", Manifests: []string{"split", "split-06"}, AnyCall: true,
		Asks: []string{"1000 x sa:smi/service-a -> svc:smi/app-svc:9091 GET /echo => smi/service-c:9091"}},
	{ID: "split-08", What: "a split 75 to 25 is taken", Manifests: []string{"split", "split-08"}, Objects: []string{"TrafficSplit/smi/trafficsplit"}},
	{ID: "split-09", What: "75 to 25: three of four calls go to B", Manifests: []string{"split", "split-08"}, AnyCall: true,
		Asks: []string{"1000 x sa:smi/service-a -> svc:smi/app-svc:9091 GET /echo => smi/service-b:9091=75% smi/service-c:9091=25%"}},
	{ID: "split-10", What: "a split 25 to 75 is taken", Manifests: []string{"split", "split-10"}, Objects: []string{"TrafficSplit/smi/trafficsplit"}},
	{ID: "split-11", What: "25 to 75: three of four calls go to C", Manifests: []string{"split", "split-10"}, AnyCall: true,
		Asks: []string{"1000 x sa:smi/service-a -> svc:smi/app-svc:9091 GET /echo => smi/service-b:9091=25% smi/service-c:9091=75%"}},
}

// others are what the suites of OSM and Traefik Mesh ask beyond the public one.
var others = []Step{
	{ID: "osm-01", What: "another account is denied", Manifests: []string{"shop", "osm-01"}, AnyCall: true,
		Asks: []string{
			"20 x sa:smi/web -> svc:smi/reviews:9080 GET /echo => smi/reviews:9080",
			"20 x sa:smi/stranger -> svc:smi/reviews:9080 GET /echo => 403"}},
	{ID: "osm-02", What: "without its TrafficTarget the account is denied again", Manifests: []string{"shop"}, Access: "strict", AnyCall: true,
		Asks: []string{"20 x sa:smi/web -> svc:smi/reviews:9080 GET /echo => 403"}},
	{ID: "osm-03", What: "a TrafficTarget of another namespace finds no routes there, and allows nothing", Manifests: []string{"shop", "osm-03"}, AnyCall: true,
		Errors: []report.Code{report.UnknownRoute},
		Asks:   []string{"20 x sa:smi/web -> svc:smi/reviews:9080 GET /echo => 403"}},
	{ID: "osm-04", What: "a root among its own backends is called, not split again", Manifests: []string{"shop", "osm-04"}, AnyCall: true,
		Asks: []string{"1000 x sa:smi/web -> svc:smi/reviews:9080 GET /echo => smi/reviews:9080=25% smi/reviews-v1:9080=25% smi/reviews-v2:9080=50%"}},
	{ID: "osm-05", What: "backends of one account", Manifests: []string{"same-account", "osm-05"}, AnyCall: true,
		Asks: []string{"1000 x sa:smi/web -> svc:smi/same:80 GET /echo => smi/same:8081=25% smi/same:8082=75%"}},
	{ID: "osm-06", What: "a TCP server that speaks first", Manifests: []string{"tcp", "osm-06"},
		Asks: []string{
			"20 x sa:smi/web -> svc:smi/db:5432 TCP => smi/db:5432",
			"20 x sa:smi/stranger -> svc:smi/db:5432 TCP => closed"},
		Instead: map[string]Near{"consul": {greeted, []string{
			"20 x sa:smi/web -> svc:smi/db:5432 TCP => smi/db:5432",
			"20 x sa:smi/stranger -> svc:smi/db:5432 TCP => greeted,closed"}}}},
	{ID: "traefik-01", What: "a header that fulfils the match", Manifests: []string{"shop", "traefik-01"},
		Asks: []string{"20 x sa:smi/web -> svc:smi/reviews:9080 GET /api/v1 -H 'x-team: blue' => smi/reviews:9080"}},
	{ID: "traefik-02", What: "a header that does not, and none", Manifests: []string{"shop", "traefik-01"},
		Asks: []string{
			"20 x sa:smi/web -> svc:smi/reviews:9080 GET /api/v1 -H 'x-team: red' => 403",
			"20 x sa:smi/web -> svc:smi/reviews:9080 GET /api/v1 => 403"}},
	{ID: "traefik-03", What: "a split whose backends each decide who may call", Manifests: []string{"shop", "traefik-03"}, Access: "strict", AnyCall: true,
		Asks: []string{
			"1000 x sa:smi/web -> svc:smi/reviews:9080 GET /echo => smi/reviews-v1:9080=50% smi/reviews-v2:9080=50%",
			"1000 x sa:smi/stranger -> svc:smi/reviews:9080 GET /echo => smi/reviews-v1:9080=50% 403=50%"}},
}
