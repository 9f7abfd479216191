package lab

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"os"
	"path/filepath"

	"k8s.io/apimachinery/pkg/util/net"
)

// auditPolicy keeps every request that changes something, once, without its body.
const auditPolicy = `apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules:
- {level: None, verbs: [get, list, watch]}
- {level: Metadata}
`

// keepAudit has a server write down what it is asked to change.
func (s *kubeServer) keepAudit(dir string) error {
	policy := filepath.Join(dir, "audit-policy.yaml")
	s.audit = filepath.Join(dir, "audit.log")
	s.args = append(s.args, "--audit-policy-file="+policy, "--audit-log-path="+s.audit, "--audit-log-mode=blocking-strict")
	return os.WriteFile(policy, []byte(auditPolicy), 0o600)
}

// Audited returns what the server wrote down of the requests that change something,
// oldest first: events of audit.k8s.io/v1 with annotations, but without bodies.
// KubeOptions.Audit asks for it.
func (k *Kube) Audited() ([]Object, error) {
	if k.server.audit == "" {
		return nil, errors.New("the API server was started without KubeOptions.Audit")
	}
	data, err := os.ReadFile(k.server.audit)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	data = data[:bytes.LastIndexByte(data, '\n')+1] // the last line may be half of one
	var all []Object
	for d := json.NewDecoder(bytes.NewReader(data)); ; {
		var o Object
		switch err := d.Decode(&o); {
		case errors.Is(err, io.EOF):
			return all, nil
		case err != nil:
			return nil, err
		}
		all = append(all, o)
	}
}

// Compact has the store forget every revision but the last, as happens to a server
// that runs for long. A watch that begins at an older one is then refused with
// status 410, once the API server was started again and its own cache is gone.
func (k *Kube) Compact() error {
	post := func(path, body string, into any) error {
		r, err := k.client.Post(k.server.etcd+path, "application/json", bytes.NewReader([]byte(body)))
		if err != nil {
			return err
		}
		defer r.Body.Close()
		if r.StatusCode != http.StatusOK {
			return &StatusError{r.StatusCode, "etcd does not compact"}
		}
		return json.NewDecoder(r.Body).Decode(into)
	}
	var status struct{ Header struct{ Revision string } }
	if err := post("/v3/maintenance/status", "{}", &status); err != nil {
		return err
	}
	return post("/v3/kv/compaction", `{"revision":"`+status.Header.Revision+`","physical":true}`, &struct{}{})
}

// warnings reads the texts of the headers that warn (RFC 9111 section 5.5).
func warnings(h http.Header) []string {
	var out []string
	all, _ := net.ParseWarningHeaders(h.Values("Warning"))
	for _, w := range all {
		out = append(out, w.Text)
	}
	return out
}
