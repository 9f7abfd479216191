package lab

import "testing"

// What "make tools" builds is what the lab looks for.
func TestBinaries(t *testing.T) {
	for _, name := range []string{Envoy, Etcd, KubeAPIServer, Istiod, Consul} {
		t.Run(name, func(t *testing.T) {
			Need(t, name)
			l := ForTest(t)
			path, err := Binary(name)
			if err != nil {
				t.Fatal(err)
			}
			p, err := l.Start(name, path, []string{"--no-such-flag"}, nil)
			if err != nil {
				t.Fatal(err)
			}
			<-p.ended
			if died, _ := p.Died(); !died {
				t.Error("a process that ends by itself has died")
			}
			if l.Err() == nil {
				t.Error("the lab does not tell")
			}
			p.Stop() // the lab has nothing to complain of any more
		})
	}
}
