package lab

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"testing"
)

// oldestKube is what helm is told that the cluster is: the oldest that the chart takes.
const oldestKube = "v1.30.0"

// HelmInstall is what "helm install" with arguments would apply, run at the root of the
// repository, with no cluster and nothing of the user's own.
func HelmInstall(t testing.TB, args ...string) (string, error) {
	t.Helper()
	Need(t, "helm")
	binary, err := Binary("helm")
	if err != nil {
		return "", err
	}
	home := t.TempDir()
	c := exec.Command(binary, append([]string{"template", "--kube-version", oldestKube}, args...)...)
	c.Dir, c.Env = root(), append(os.Environ(), "HELM_CACHE_HOME="+home, "HELM_CONFIG_HOME="+home, "HELM_DATA_HOME="+home)
	var out, said bytes.Buffer
	c.Stdout, c.Stderr = &out, &said
	if err := c.Run(); err != nil {
		return "", fmt.Errorf("%w: %s", err, said.String())
	}
	return out.String(), nil
}
