package protocol

import (
	"encoding/json"
	"fmt"
	"net/http"
	"testing"
	"time"

	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"

	"github.com/meshknot/meshknot/internal/bootstrap"
	"github.com/meshknot/meshknot/test/lab"
)

// envoy is a real one, called over HTTP.
type envoy struct {
	processes
	port int32
}

// Listener implements plane.
func (e envoy) Listener(routes string) *listenerv3.Listener {
	return &listenerv3.Listener{Name: "in", Address: address(uint32(e.port)), FilterChains: []*listenerv3.FilterChain{{
		Filters: []*listenerv3.Filter{{Name: "http", ConfigType: &listenerv3.Filter_TypedConfig{TypedConfig: manager(routes)}}}}}}
}

// Ask implements plane.
func (e envoy) Ask(path string) (string, error) {
	c := http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	a, err := c.Get("http://" + lab.Local(e.port) + path)
	if err != nil {
		return "", err
	}
	defer a.Body.Close()
	var h lab.Heard
	if a.StatusCode != http.StatusOK {
		return "", fmt.Errorf("status %d", a.StatusCode)
	}
	err = json.Unmarshal([]byte(a.Header.Get("X-Heard")), &h)
	return h.App, err
}

// TestEnvoy plays a life with a real Envoy over both protocols.
func TestEnvoy(t *testing.T) {
	lab.Need(t, lab.Envoy)
	for _, on := range []variants{delta, world} {
		t.Run(on.String(), func(t *testing.T) {
			l := begin(t)
			e := envoy{processes: processes{}}
			for _, name := range []string{"one", "two"} {
				echo, err := l.Echo(name)
				if err != nil {
					t.Fatal(err)
				}
				e.processes[name] = uint32(echo.Port)
			}
			var err error
			if e.port, err = lab.FreePort(); err != nil {
				t.Fatal(err)
			}
			text, err := bootstrap.Envoy(bootstrap.Options{Namespace: "shop", Account: "web", Server: l.stage.addr,
				Admin: "127.0.0.1:0", StateOfTheWorld: on == world})
			if err != nil {
				t.Fatal(err)
			}
			if _, err := l.StartEnvoy("envoy", text); err != nil {
				t.Fatal(err)
			}
			l.plane = e
			l.live(on == delta)
		})
	}
}
