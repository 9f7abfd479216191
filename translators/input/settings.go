package input

import (
	"fmt"
	"strings"
)

// ParseWorkload reads "namespace/account=key=value,key=value": the labels of an
// account's pods, as Settings.Workloads keeps them.
func ParseWorkload(s string) (name string, labels map[string]string, err error) {
	name, list, ok := strings.Cut(s, "=")
	ns, account, named := strings.Cut(name, "/")
	if !ok || !named || ns == "" || account == "" {
		return "", nil, fmt.Errorf("%q is not NAMESPACE/ACCOUNT=key=value[,key=value]", s)
	}
	labels = map[string]string{}
	for _, pair := range strings.Split(list, ",") {
		key, value, ok := strings.Cut(pair, "=")
		if !ok || key == "" {
			return "", nil, fmt.Errorf("%q: %q is no label", s, pair)
		}
		labels[key] = value
	}
	return name, labels, nil
}
