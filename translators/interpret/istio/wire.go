package istio

import (
	"bytes"
	"encoding/json"
	"fmt"

	"github.com/meshknot/meshknot/translators"
)

// The objects as they are written. A field that is not here is an error: nobody
// could say what it does.

type object struct {
	APIVersion, Kind string
	Metadata         struct {
		Name, Namespace     string
		Labels, Annotations map[string]string
	}
	Spec json.RawMessage
}

// decode reads JSON and refuses fields that nobody reads.
func decode(text []byte, into any) error {
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	return d.Decode(into)
}

func read(a translators.Artifact) (object, error) {
	var o object
	text, err := json.Marshal(a.Payload)
	if err == nil {
		err = decode(text, &o)
	}
	if err == nil && (o.Metadata.Name == "" || o.Metadata.Namespace == "") {
		err = fmt.Errorf("no name or namespace")
	}
	return o, err
}

type wireString struct{ Exact, Prefix, Regex *string }

type wireTarget struct {
	Host, Subset string
	Port         *struct{ Number int32 }
}

type wireEdits struct {
	Set, Add map[string]string
	Remove   []string
}

type wireHeaders struct{ Request, Response *wireEdits }

type wireDestination struct {
	Destination wireTarget
	Weight      int32
	Headers     *wireHeaders
}

type wirePercent struct{ Value float64 }

type wireService struct {
	Hosts, Gateways, ExportTo []string
	HTTP                      []wireHTTP
	TCP                       []wireTCP
}

type wireMatch struct {
	Name                           string
	URI, Scheme, Method, Authority *wireString
	Headers, WithoutHeaders        map[string]*wireString
	QueryParams                    map[string]*wireString
	Port                           int32
	SourceNamespace                string
	SourceLabels                   map[string]string
	Gateways                       []string
	IgnoreURICase                  bool
}

type wireRedirect struct {
	URI, Authority, Scheme, DerivePort, PrefixRewrite string
	Port                                              int32
	RedirectCode                                      int
}

type wireRewrite struct {
	URI, Authority  string
	URIRegexRewrite *struct{ Match, Rewrite string }
}

type wireHTTP struct {
	Name           string
	Match          []wireMatch
	Route          []wireDestination
	Redirect       *wireRedirect
	DirectResponse *struct{ Status int }
	Rewrite        *wireRewrite
	Headers        *wireHeaders
	Timeout        string
	Retries        *struct {
		Attempts      int32
		PerTryTimeout string
		RetryOn       string
	}
	Fault *struct {
		Abort *struct {
			HTTPStatus int
			Percentage *wirePercent
		}
	}
	Mirror           *wireTarget
	MirrorPercentage *wirePercent
	Mirrors          []wireMirror
}

type wireMirror struct {
	Destination wireTarget
	Percentage  *wirePercent
}

type wireTCP struct {
	Match []struct {
		Port            int32
		SourceNamespace string
		SourceLabels    map[string]string
		Gateways        []string
	}
	Route []wireDestination
}

type wireDestinationRule struct {
	Host     string
	ExportTo []string
	Subsets  []struct {
		Name   string
		Labels map[string]string
	}
}

type wireSelector struct{ MatchLabels map[string]string }

type wirePeer struct {
	Selector      *wireSelector
	MTLS          *struct{ Mode string }
	PortLevelMTLS map[string]struct{ Mode string }
}

type wirePolicy struct {
	Selector *wireSelector
	Action   string
	Provider *struct{ Name string }
	Rules    []wireRule
}

type wireRule struct {
	From []struct{ Source *wireSource }
	To   []struct{ Operation *wireOperation }
	When []struct {
		Key               string
		Values, NotValues []string
	}
}

type wireSource struct {
	Principals, NotPrincipals           []string
	Namespaces, NotNamespaces           []string
	ServiceAccounts, NotServiceAccounts []string
}

type wireOperation struct {
	Hosts, NotHosts     []string
	Ports, NotPorts     []string
	Methods, NotMethods []string
	Paths, NotPaths     []string
}
