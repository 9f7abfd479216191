package sink

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/meshknot/meshknot/test/lab"
	"github.com/meshknot/meshknot/translators"
)

// Over TLS, with a token that allows what docs/operations.md says, entries are written
// and removed, and each of its rules is needed. Who shows no token, or trusts another
// authority, writes nothing.
func TestConsulSecured(t *testing.T) {
	lab.Need(t, lab.Consul)
	l := lab.ForTest(t)
	c, err := l.StartSecuredConsul()
	if err != nil {
		t.Fatal(err)
	}
	others, err := l.Files("spiffe://lab/others")
	if err != nil {
		t.Fatal(err)
	}
	lines := rights(t)
	token := func(name string, lines ...string) string {
		t.Helper()
		out, err := c.Token(name, strings.Join(lines, "\n"))
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	all := token("all", lines...)
	asked := map[string]ConsulOptions{"no token": {CAFile: c.CAFile}, "an authority of others": {CAFile: others.Cert, Token: all}}
	for i, line := range lines {
		if less := slices.Clone(lines); strings.Contains(line, `"write"`) {
			less[i] = strings.Replace(line, `"write"`, `"read"`, 1)
			asked["no more than"+less[i]] = ConsulOptions{CAFile: c.CAFile, Token: token(fmt.Sprint("less-", i), less...)}
		}
	}
	for name, o := range asked {
		if err := secured(t, c, o); err == nil {
			t.Errorf("%s: all was written and removed", name)
		}
	}
	if err := secured(t, c, ConsulOptions{CAFile: c.CAFile, Token: all}); err != nil {
		t.Error(err)
	}
}

// rights are the rules that docs/operations.md gives meshknot's token.
func rights(t *testing.T) []string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "..", "docs", "operations.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(text), "```hcl\n")
	rules, _, found := strings.Cut(rest, "\n```")
	if !found {
		t.Fatal("docs/operations.md does not say what Consul's token has to allow")
	}
	return strings.Split(rules, "\n")
}

// secured writes an entry of each sort that Consul has rights of its own for, and
// removes them.
func secured(t *testing.T, c *lab.SecuredConsul, o ConsulOptions) error {
	t.Helper()
	r := &requests{}
	o.Address, o.Cluster, o.Wrap = c.Address, "one", r.wrap
	w, err := NewConsul(o)
	if err != nil {
		return err
	}
	t.Cleanup(r.next.(*http.Transport).CloseIdleConnections)
	owner, artifacts := Owner{Binding: "secured"}, []translators.Artifact{mesh(), serviceDefaults("web", "http"), intentions("web", "shop")}
	if _, err := reconcile(t.Context(), w, owner, artifacts); err != nil {
		return err
	}
	if n, err := reconcile(t.Context(), w, owner, nil); err != nil || n != len(artifacts) {
		return fmt.Errorf("%d were removed: %w", n, err)
	}
	return nil
}
