package consul

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"

	"github.com/meshknot/meshknot/translators"
)

// The entries as they are written. The names of fields begin with a capital in an
// entry and with a small letter in an object, which is one to the decoder. A field
// that is not here is an error: nobody could say what it does.

// entry is a configuration entry, whichever form it came in.
type entry struct {
	kind, name string
	body       json.RawMessage
}

// kinds are the entries that the objects of Consul on Kubernetes stand for.
var kinds = map[string]string{
	"ServiceDefaults":   "service-defaults",
	"ServiceRouter":     "service-router",
	"ServiceSplitter":   "service-splitter",
	"ServiceResolver":   "service-resolver",
	"ServiceIntentions": "service-intentions",
	"ProxyDefaults":     "proxy-defaults",
	"Mesh":              "mesh",
}

func read(a translators.Artifact, kubernetes bool) (entry, error) {
	payload, ok := a.Payload.(map[string]any)
	if !ok {
		return entry{}, fmt.Errorf("the payload is a %T", a.Payload)
	}
	if kubernetes {
		return readObject(payload)
	}
	body := maps.Clone(payload)
	kind, _ := payload["Kind"].(string)
	name, _ := payload["Name"].(string)
	for _, field := range []string{"Kind", "Name", "Meta"} {
		delete(body, field)
	}
	text, err := json.Marshal(body)
	if name == "" && kind != "mesh" {
		err = fmt.Errorf("an entry without a name")
	}
	return entry{kind, name, text}, err
}

func readObject(payload map[string]any) (entry, error) {
	text, err := json.Marshal(payload)
	if err != nil {
		return entry{}, err
	}
	var o struct {
		APIVersion, Kind string
		Metadata         struct {
			Name, Namespace string
			Labels          map[string]string
		}
		Spec json.RawMessage
	}
	if err := decode(text, &o); err != nil {
		return entry{}, err
	}
	e := entry{kinds[o.Kind], o.Metadata.Name, o.Spec}
	if o.APIVersion != "consul.hashicorp.com/v1alpha1" || e.kind == "" || e.name == "" || o.Metadata.Namespace == "" {
		return e, fmt.Errorf("%s %s is not read here, or has no name", o.APIVersion, o.Kind)
	}
	if e.kind == "service-intentions" { // whose own name means nothing
		var spec wireIntentions
		if err := decode(o.Spec, &spec); err != nil {
			return e, err
		}
		if e.name = spec.Destination.Name; e.name == "" {
			return e, fmt.Errorf("intentions without a destination")
		}
	}
	return e, nil
}

func decode(text []byte, into any) error {
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	return d.Decode(into)
}

type wireDefaults struct {
	Protocol       string
	UpstreamConfig *struct {
		Defaults *struct {
			PassiveHealthCheck *struct{ EnforcingConsecutive5xx, MaxEjectionPercent *uint32 }
		}
	}
}

type wireProxyDefaults struct {
	Config struct{ Protocol string }
}

type wireMesh struct {
	HTTP *struct {
		Incoming *struct {
			RequestNormalization *struct {
				InsecureDisablePathNormalization bool
				MergeSlashes                     bool
				PathWithEscapedSlashesAction     string
			}
		}
	}
}

type wireRouter struct {
	Routes []struct {
		Match       *struct{ HTTP *wireCondition }
		Destination *wireDestination
	}
}

type wireDestination struct {
	Service, ServiceSubset          string
	PrefixRewrite                   string
	RequestTimeout, IdleTimeout     string
	RequestHeaders, ResponseHeaders *wireEdits
}

type wireEdits struct {
	Add, Set map[string]string
	Remove   []string
}

type wireSplitter struct {
	Splits []struct {
		Weight                          float32
		Service, ServiceSubset          string
		RequestHeaders, ResponseHeaders *wireEdits
	}
}

type wireResolver struct {
	DefaultSubset string
	Subsets       map[string]struct {
		Filter      string
		OnlyPassing bool
	}
	Redirect       *struct{ Service, ServiceSubset string }
	RequestTimeout string
}

type wireIntentions struct {
	Destination struct{ Name string }
	Sources     []wireSource
}

type wireSource struct {
	Name, Action, Description string
	Permissions               []struct {
		Action string
		HTTP   *wireCondition
	}
}

type wireCondition struct {
	PathExact, PathPrefix, PathRegex string
	CaseInsensitive                  bool
	Methods                          []string
	Header, QueryParam               []wireComparison
}

type wireComparison struct {
	Name                                   string
	Present                                bool
	Exact, Prefix, Suffix, Contains, Regex string
	Invert, IgnoreCase                     bool
}
