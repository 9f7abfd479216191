package lab

import (
	"strings"
	"testing"
	"time"
)

// An agent takes entries, refuses wrong ones in its own words, and configures a
// sidecar that listens for its service.
func TestConsul(t *testing.T) {
	Need(t, Consul, Envoy)
	l := ForTest(t)
	c, err := l.StartConsul("deny")
	if err != nil {
		t.Fatal(err)
	}
	entry := map[string]any{"Kind": "service-defaults", "Name": "web", "Protocol": "http"}
	if err := c.Put("/v1/config", entry); err != nil {
		t.Fatal(err)
	}
	split := map[string]any{"Kind": "service-splitter", "Name": "web", "Splits": []any{map[string]any{"Weight": 50}}}
	if err := c.Put("/v1/config", split); err == nil || !strings.Contains(err.Error(), "100") {
		t.Errorf("half of all requests were taken for all of them: %v", err)
	}
	app, err := l.Echo("web")
	if err != nil {
		t.Fatal(err)
	}
	port, err := FreePort()
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range []any{
		map[string]any{"ID": "web", "Name": "web", "Address": "127.0.0.1", "Port": app.Port},
		map[string]any{"ID": "web-proxy", "Name": "web-proxy", "Kind": "connect-proxy", "Address": "127.0.0.1", "Port": port, "Proxy": map[string]any{
			"DestinationServiceName": "web", "DestinationServiceID": "web", "LocalServicePort": app.Port}},
	} {
		if err := c.Put("/v1/agent/service/register", s); err != nil {
			t.Fatal(err)
		}
	}
	sidecar, err := c.StartSidecar("web-proxy")
	if err != nil {
		t.Fatal(err)
	}
	id, err := c.Leaf("web")
	if err != nil {
		t.Fatal(err)
	}
	var r Reply
	err = l.Eventually("answer of the sidecar", time.Minute, func() bool {
		r, err = Converse(Local(port), id, "GET /")
		return err == nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if r.Status != 403 {
		t.Errorf("status %d where no intention allows the call", r.Status)
	}
	var dump map[string]any
	if err := sidecar.Admin("config_dump", &dump); err != nil || dump["configs"] == nil {
		t.Errorf("no configuration is shown: %v", err)
	}
	if err := c.DeleteEntry("service-defaults", "web"); err != nil {
		t.Error(err)
	}
	if r, err := Converse(Local(port), nil, "GET /"); err == nil {
		t.Errorf("plain text was answered: %d", r.Status)
	}
}
