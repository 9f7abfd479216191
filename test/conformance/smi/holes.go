package smi

import "github.com/meshknot/meshknot/translators/report"

// noSuchService is what Consul's table says of a backend that is not there.
const noSuchService = "the share goes to a service that nobody is, and fails with status 503"

// somePorts is what Consul's table says of a grant for some of a Service's ports.
const somePorts = "a service has one port in Consul, and which one is not known: what is granted on some ports of a Service is granted on none"

// greeted is what Consul's table says of a connection that is denied.
const greeted = "a proxy judges a connection when its caller speaks: a caller who is denied may hear what the server says before, and is then cut off"

// holes are the questions that the specification leaves open, with the number
// that docs/decisions/005 gives them and what is decided there.
var holes = []Step{
	{ID: "hole-01", What: "the root is one of its backends: a leaf, its own endpoints", Manifests: []string{"shop", "hole-01"}, AnyCall: true,
		Asks: []string{"1000 x sa:smi/web -> svc:smi/reviews:9080 GET /echo => smi/reviews:9080=50% smi/reviews-v2:9080=50%"}},
	{ID: "hole-02", What: "a backend is another root: not expanded again", Manifests: []string{"shop", "hole-02"}, AnyCall: true,
		Asks: []string{
			"20 x sa:smi/web -> svc:smi/reviews:9080 GET /echo => smi/reviews-v1:9080",
			"20 x sa:smi/web -> svc:smi/reviews-v1:9080 GET /echo => smi/reviews-v2:9080"}},
	{ID: "hole-03", What: "form of the root's name: with its namespace, and no other namespace", Manifests: []string{"shop", "hole-03"}, AnyCall: true,
		Errors: []report.Code{report.ForeignNamespace},
		Asks: []string{
			"20 x sa:smi/web -> svc:smi/reviews:9080 GET /echo => smi/reviews-v2:9080",
			"20 x sa:smi/web -> svc:smi/reviews-v1:9080 GET /echo => smi/reviews-v1:9080"}},
	{ID: "hole-04", What: "weights are ratios, quantities exactly", Manifests: []string{"shop", "hole-04"}, AnyCall: true,
		Asks: []string{
			"1000 x sa:smi/web -> svc:smi/reviews:9080 GET /echo => smi/reviews-v1:9080=25% smi/reviews-v2:9080=75%",
			"1000 x sa:smi/web -> svc:smi/reviews-v1:9080 GET /echo => smi/reviews-v1:9080=10% smi/reviews-v2:9080=90%"}},
	{ID: "hole-05", What: "weight 0: none of the calls", Manifests: []string{"shop", "hole-05"}, AnyCall: true,
		Asks: []string{"1000 x sa:smi/web -> svc:smi/reviews:9080 GET /echo => smi/reviews-v1:9080"}},
	{ID: "hole-06", What: "all weights 0: an error, and the split is not used", Manifests: []string{"shop", "hole-06"}, AnyCall: true,
		Errors: []report.Code{report.AllWeightsZero},
		Asks:   []string{"20 x sa:smi/web -> svc:smi/reviews:9080 GET /echo => smi/reviews:9080"}},
	{ID: "hole-07", What: "negative and fractional weights: errors, and the splits are not used; huge ones are ratios", Manifests: []string{"shop", "hole-07"}, AnyCall: true,
		Errors: []report.Code{report.BadWeight},
		Asks: []string{
			"20 x sa:smi/web -> svc:smi/reviews:9080 GET /echo => smi/reviews:9080",
			"20 x sa:smi/web -> svc:smi/reviews-v1:9080 GET /echo => smi/reviews-v1:9080",
			"1000 x sa:smi/web -> svc:smi/reviews-v2:9080 GET /echo => smi/reviews-v1:9080=75% smi/reviews-v2:9080=25%"}},
	{ID: "hole-08", What: "a backend is missing: its share fails with 500", Manifests: []string{"shop", "hole-08"}, AnyCall: true,
		Asks:    []string{"1000 x sa:smi/web -> svc:smi/reviews:9080 GET /echo => smi/reviews-v1:9080=50% 500=50%"},
		Instead: map[string]Near{"consul": {noSuchService, []string{"1000 x sa:smi/web -> svc:smi/reviews:9080 GET /echo => smi/reviews-v1:9080=50% 503=50%"}}}},
	{ID: "hole-09", What: "a backend lacks the port: left out for that port", Manifests: []string{"ports", "hole-09"}, AnyCall: true,
		Asks: []string{
			"1000 x sa:smi/web -> svc:smi/ledger:80 GET /echo => smi/ledger-v1:8080=50% smi/ledger-v2:8080=50%",
			"1000 x sa:smi/web -> svc:smi/ledger:90 GET /echo => smi/ledger-v1:9090"}},
	{ID: "hole-10", What: "two splits of one root: the older one holds, the other is an error", Manifests: []string{"shop", "hole-10"}, AnyCall: true,
		Errors: []report.Code{report.SplitConflict},
		Asks:   []string{"1000 x sa:smi/web -> svc:smi/reviews:9080 GET /echo => smi/reviews-v1:9080"}},
	{ID: "hole-11", What: "a split with matches: the rest goes to the root", Manifests: []string{"shop", "hole-11"}, AnyCall: true,
		Asks: []string{
			"20 x sa:smi/web -> svc:smi/reviews:9080 GET /echo -H 'x-canary: yes' => smi/reviews-v2:9080",
			"20 x sa:smi/web -> svc:smi/reviews:9080 GET /echo => smi/reviews:9080"}},
	{ID: "hole-12", What: "a TrafficTarget without rules: closes, allows nothing, an error", Manifests: []string{"shop", "hole-12"}, AnyCall: true,
		Errors: []report.Code{report.NoRules},
		Asks:   []string{"20 x sa:smi/web -> svc:smi/reviews:9080 GET /echo => 403"}},
	{ID: "hole-13", What: "a TrafficTarget without sources: the same", Manifests: []string{"shop", "hole-13"}, AnyCall: true,
		Errors: []report.Code{report.NoSources},
		Asks:   []string{"20 x sa:smi/web -> svc:smi/reviews:9080 GET /echo => 403"}},
	{ID: "hole-14", What: "a rule names no matches: all of the group", Manifests: []string{"shop", "hole-14"},
		Asks: []string{
			"20 x sa:smi/web -> svc:smi/reviews:9080 GET /a => smi/reviews:9080",
			"20 x sa:smi/web -> svc:smi/reviews:9080 GET /b => smi/reviews:9080",
			"20 x sa:smi/web -> svc:smi/reviews:9080 GET /c => 403"}},
	{ID: "hole-15", What: "a rule names an unknown match: the whole TrafficTarget allows nothing", Manifests: []string{"shop", "hole-15"},
		Errors: []report.Code{report.UnknownMatch},
		Asks:   []string{"20 x sa:smi/web -> svc:smi/reviews:9080 GET /a => 403"}},
	{ID: "hole-16", What: "a match without a condition: every request", Manifests: []string{"shop", "hole-16"}, AnyCall: true,
		Asks: []string{
			"20 x sa:smi/web -> svc:smi/reviews:9080 GET /echo => smi/reviews:9080",
			"20 x sa:smi/stranger -> svc:smi/reviews:9080 GET /echo => 403"}},
	{ID: "hole-17", What: "TCPRoute and HTTPRouteGroup in one: port and request, never across", Manifests: []string{"ports", "hole-17"},
		Asks: []string{
			"20 x sa:smi/web -> svc:smi/ledger:80 GET /a => smi/ledger:8080",
			"20 x sa:smi/web -> svc:smi/ledger:80 GET /b => 403",
			"20 x sa:smi/web -> svc:smi/ledger:90 GET /b => smi/ledger:9090",
			"20 x sa:smi/web -> svc:smi/ledger:90 GET /a => 403"},
		Instead: map[string]Near{"consul": {somePorts, []string{
			"20 x sa:smi/web -> svc:smi/ledger:80 GET /a => 403",
			"20 x sa:smi/web -> svc:smi/ledger:80 GET /b => 403",
			"20 x sa:smi/web -> svc:smi/ledger:90 GET /b => 403",
			"20 x sa:smi/web -> svc:smi/ledger:90 GET /a => 403"}}}},
	{ID: "hole-18", What: "whose ports a TCPRoute names: those of the Services", Manifests: []string{"target-port", "hole-18"}, AnyCall: true,
		Errors: []report.Code{report.NoSuchPort},
		Asks: []string{
			"20 x sa:smi/web -> svc:smi/books:80 GET /echo => smi/books:8080",
			"20 x sa:smi/stranger -> svc:smi/books:80 GET /echo => 403"}},
	{ID: "hole-19", What: "one route and several clients: any grant is enough", Manifests: []string{"shop", "hole-19"},
		Asks: []string{
			"20 x sa:smi/web -> svc:smi/reviews:9080 GET /a => smi/reviews:9080",
			"20 x sa:smi/stranger -> svc:smi/reviews:9080 GET /a => smi/reviews:9080",
			"20 x sa:smi/stranger -> svc:smi/reviews:9080 GET /b => 403"}},
	{ID: "hole-20", What: "a TrafficTarget lives anywhere; accounts are not joined by name", Manifests: []string{"shop", "hole-20"}, AnyCall: true,
		Asks: []string{
			"20 x sa:smi/web -> svc:smi/reviews:9080 GET /echo => smi/reviews:9080",
			"20 x sa:policy/web -> svc:smi/reviews:9080 GET /echo => 403"}},
	{ID: "hole-21", What: "a backend of another namespace: refused, its share fails", Manifests: []string{"shop", "hole-21"}, AnyCall: true,
		Errors:  []report.Code{report.ForeignNamespace},
		Asks:    []string{"1000 x sa:smi/web -> svc:smi/reviews:9080 GET /echo => smi/reviews-v1:9080=50% 500=50%"},
		Instead: map[string]Near{"consul": {noSuchService, []string{"1000 x sa:smi/web -> svc:smi/reviews:9080 GET /echo => smi/reviews-v1:9080=50% 503=50%"}}}},
	{ID: "hole-22", What: "a path expression is tied at its start", Manifests: []string{"shop", "hole-22"},
		Asks: []string{
			"20 x sa:smi/web -> svc:smi/reviews:9080 GET /metrics => smi/reviews:9080",
			"20 x sa:smi/web -> svc:smi/reviews:9080 GET /metrics/x => smi/reviews:9080",
			"20 x sa:smi/web -> svc:smi/reviews:9080 GET /x/metrics => 403"}},
	{ID: "hole-23", What: "a header expression is tied at both ends; an absent header never matches", Manifests: []string{"shop", "hole-23"},
		Asks: []string{
			"20 x sa:smi/web -> svc:smi/reviews:9080 GET /a -H 'x-role: admin' => smi/reviews:9080",
			"20 x sa:smi/web -> svc:smi/reviews:9080 GET /a -H 'x-role: admins' => 403",
			"20 x sa:smi/web -> svc:smi/reviews:9080 GET /a -H 'x-role: an admin' => 403",
			"20 x sa:smi/web -> svc:smi/reviews:9080 GET /a => 403"}},
	{ID: "hole-24", What: "who denies by default: who is named as destination", Manifests: []string{"shop", "hole-24"}, Access: "selected", AnyCall: true,
		Asks: []string{
			"20 x sa:smi/stranger -> svc:smi/reviews:9080 GET /echo => 403",
			"20 x sa:smi/stranger -> svc:smi/reviews-v1:9080 GET /echo => smi/reviews-v1:9080"}},
	{ID: "hole-25", What: "a denial is 403 for HTTP, a closed connection for TCP", Manifests: []string{"shop", "tcp", "hole-25"},
		Asks: []string{
			"20 x sa:smi/stranger -> svc:smi/reviews:9080 GET /echo => 403",
			"20 x sa:smi/stranger -> svc:smi/db:5432 TCP => closed",
			"20 x sa:smi/web -> svc:smi/db:5432 TCP => smi/db:5432"},
		Instead: map[string]Near{"consul": {greeted, []string{
			"20 x sa:smi/stranger -> svc:smi/reviews:9080 GET /echo => 403",
			"20 x sa:smi/stranger -> svc:smi/db:5432 TCP => greeted,closed",
			"20 x sa:smi/web -> svc:smi/db:5432 TCP => smi/db:5432"}}}},
	{ID: "hole-26", What: "a Service over several accounts: each decides for its own pods", Manifests: []string{"split", "hole-26"}, AnyCall: true,
		Asks: []string{"1000 x sa:smi/service-a -> svc:smi/app-svc:9091 GET /echo => smi/service-b:9091>0 403>0"}},
	{ID: "hole-27", What: "a status is taken, and asks for nothing", Manifests: []string{"shop", "hole-27"}, AnyCall: true,
		Objects: []string{"TrafficSplit/smi/with-status"},
		Asks:    []string{"20 x sa:smi/web -> svc:smi/reviews:9080 GET /echo => smi/reviews-v2:9080"}},
	{ID: "hole-28", What: "retries and timeouts are unknown fields: an error, and the split is not used", Manifests: []string{"shop", "hole-28"}, AnyCall: true,
		Errors: []report.Code{report.UnknownField},
		Asks:   []string{"20 x sa:smi/web -> svc:smi/reviews:9080 GET /echo => smi/reviews:9080"}},
}
