package main

import (
	"fmt"
	"net/http"
	"os"
	"slices"
	"strings"

	"github.com/meshknot/meshknot/test/e2e/cluster"
	"github.com/meshknot/meshknot/test/lab"
)

func (s *show) start() (word string, below []string, err error) {
	s.cluster, err = cluster.Start(s.lab, lab.KubeOptions{}, lab.GatewayAPICRDs, lab.IstioCRDs)
	if err != nil {
		return "", nil, err
	}
	return "ready at " + s.cluster.URL, nil, nil
}

func (s *show) control() (word string, below []string, err error) {
	if s.controller, err = s.cluster.Controller("--leader-elect"); err != nil {
		return "", nil, err
	}
	return "ready, and asked before anything is kept", nil, s.cluster.Register(s.controller)
}

// bind applies the bookstore. Nobody is connected, and so nothing may be said to be
// in force.
func (s *show) bind() (word string, below []string, err error) {
	if s.shop, err = s.cluster.Shop(); err != nil {
		return "", nil, err
	}
	for _, name := range []string{"access.yaml", "split.yaml"} {
		text, err := os.ReadFile(cluster.Path("examples", "bookstore", name))
		if err != nil {
			return "", nil, err
		}
		if err := s.cluster.ApplyYAML(string(text)); err != nil {
			return "", nil, err
		}
	}
	if err := s.cluster.Apply(s.shop.Binding()); err != nil {
		return "", nil, err
	}
	return s.said("Unknown/NoProxies")
}

func (s *show) connect() (word string, below []string, err error) {
	if err := s.shop.StartProxies(s.controller); err != nil {
		return "", nil, err
	}
	s.web = s.shop.Caller(cluster.Web)
	if err := s.cluster.AwaitCaller(s.web); err != nil {
		return "", nil, err
	}
	return s.said("True/Programmed")
}

// said waits until the split is said to be in force, or why it is not.
func (s *show) said(programmed string) (word string, below []string, err error) {
	err = s.cluster.Eventually("report that says "+programmed, func() (bool, any) {
		r := s.cluster.SplitReport()
		return r.Conditions["Programmed"] == programmed, r
	})
	return "TrafficSplit reviews is Programmed=" + programmed, nil, err
}

func (s *show) shift(v1, v2 int) (word string, below []string, err error) {
	split := cluster.Split(v1, v2)
	if err := s.cluster.Apply(split); err != nil {
		return "", nil, err
	}
	now, err := s.cluster.Get(split)
	if err != nil {
		return "", nil, err
	}
	generation := int64(cluster.Dig(now, "metadata", "generation").(float64))
	err = s.cluster.Eventually("split that is in force", func() (bool, any) {
		r := s.cluster.SplitReport()
		return r.Programmed(generation), r
	})
	if err != nil {
		return "", nil, err
	}
	return s.observe(v1, v2)
}

func (s *show) forbidden() (word string, below []string, err error) {
	for _, c := range []struct{ method, path string }{{http.MethodPost, "/reviews"}, {http.MethodGet, "/reviews/latest"}} {
		got, err := s.web.Call(c.method, c.path)
		if err != nil {
			return "", nil, err
		}
		call := c.method + " " + c.path + "  "
		if got != "403" {
			return "", nil, differs{call + "403", call + got}
		}
		below = append(below, beside(call+"403", call+got)...)
	}
	return "ok", below, nil
}

// denied applies the split with a Service that is not there. It stays as it was.
func (s *show) denied() (word string, below []string, err error) {
	o := split(lab.Object{"service": cluster.Versions[0], "weight": 90}, lab.Object{"service": "reviews-v9", "weight": 10})
	was, err := s.cluster.Get(o)
	if err != nil {
		return "", nil, err
	}
	denial := s.cluster.Apply(o)
	if denial == nil {
		return "", nil, differs{"a denial", "nothing"}
	}
	is, err := s.cluster.Get(o)
	if err != nil {
		return "", nil, err
	}
	if was, is := cluster.Dig(was, "metadata", "generation"), cluster.Dig(is, "metadata", "generation"); was != is {
		return "", nil, differs{fmt.Sprint("generation ", was), fmt.Sprint("generation ", is)}
	}
	return "denied", lines(denial.Error()), nil
}

func split(backends ...any) lab.Object {
	o := cluster.Split(0, 0)
	o["spec"].(lab.Object)["backends"] = backends
	return o
}

func (s *show) warned() (word string, below []string, err error) {
	warnings, err := s.cluster.DryRun(cluster.Split(7, 10))
	if err != nil {
		return "", nil, err
	}
	if len(warnings) == 0 {
		return "", nil, differs{"a warning", "none"}
	}
	for _, w := range warnings {
		below = append(below, lines(w)...)
	}
	return "allowed, with a warning", below, nil
}

// lines breaks a text where it is longer than a screen is wide.
func lines(text string) (out []string) {
	const width = 100
	for line := range strings.Lines(text) {
		now := ""
		for _, word := range strings.Fields(line) {
			if now != "" && len(now)+len(word) >= width {
				out, now = append(out, now), ""
			}
			now = strings.TrimSpace(now + " " + word)
		}
		out = append(out, now)
	}
	return slices.DeleteFunc(out, func(l string) bool { return l == "" })
}
