package deploy

import (
	"slices"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	"sigs.k8s.io/yaml"

	"github.com/meshknot/meshknot/webhook"
)

// longest stands for the time that the API server waits, in seconds.
const longest = 29

// authority stands for the certificate authority, in base64.
const authority = "CABUNDLE"

// webhooks renders the webhooks of the registration for a failurePolicy of objects
// that are not ours, with words in the places that the chart fills in.
func webhooks(policy admissionregistrationv1.FailurePolicyType) ([]byte, error) {
	r := webhook.Registration{
		Name: fullName, Namespace: ownSpace, Account: account(ownSpace, fullName), Service: fullName + "-webhook",
		CABundle: []byte(authority), Foreign: policy, Timeout: longest,
	}
	text, err := yaml.Marshal(r.Configuration().Webhooks)
	return append([]byte(generated), text...), err
}

// converting renders a definition whose objects the webhook converts; nil for one that
// has nothing to be converted. The chart says where the Service is.
func converting(definition []byte) ([]byte, error) {
	var o map[string]any
	if err := yaml.Unmarshal(definition, &o); err != nil {
		return nil, err
	}
	metadata, _ := o["metadata"].(map[string]any)
	if name, _ := metadata["name"].(string); !slices.Contains(webhook.Converted(), name) {
		return nil, nil
	}
	if err := (webhook.Registration{Namespace: ownSpace, Service: fullName + "-convert"}).Converting(o); err != nil {
		return nil, err
	}
	text, err := yaml.Marshal(o)
	return append([]byte(generated), text...), err
}

// account is the user name of an account.
func account(namespace, name string) string { return "system:serviceaccount:" + namespace + ":" + name }
