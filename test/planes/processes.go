package planes

import "github.com/meshknot/meshknot/test/lab"

// Processes are those behind the ports of workloads, which are kept from scene to
// scene. They are used by one goroutine at a time.
type Processes struct {
	lab   *lab.Lab
	talk  func(name string) (int32, error)
	ports map[process]int32
}

type process struct {
	name string
	http bool
}

// NewProcesses are none yet. Where no HTTP is spoken, talk starts a process with a
// name and returns its port.
func NewProcesses(l *lab.Lab, talk func(name string) (int32, error)) *Processes {
	return &Processes{l, talk, map[process]int32{}}
}

// Port returns the port of loopback of the process with a name, as Process makes
// it. An error is about starting it.
func (p *Processes) Port(name string, http bool) (int32, error) {
	key := process{name, http}
	if port, ok := p.ports[key]; ok {
		return port, nil
	}
	var port int32
	var err error
	if http {
		var e *lab.Echo
		if e, err = p.lab.Echo(name); err == nil {
			port = e.Port
		}
	} else {
		port, err = p.talk(name)
	}
	if err == nil {
		p.ports[key] = port
	}
	return port, err
}
