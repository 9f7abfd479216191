package cli

import (
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/meshknot/meshknot/internal/engine"
	"github.com/meshknot/meshknot/internal/krm"
	"github.com/meshknot/meshknot/internal/sink"
	"github.com/meshknot/meshknot/translators"
	"github.com/meshknot/meshknot/translators/all"
	"github.com/meshknot/meshknot/translators/input"
	"github.com/meshknot/meshknot/translators/report"
)

func fnCommand(a *app) *cobra.Command {
	var file string
	c := &cobra.Command{
		Use:   "fn",
		Short: "Translate the objects of a package, as a KRM function of kustomize or kpt",
		Long: `Fn reads a ResourceList (config.kubernetes.io/v1) from standard input, translates
its items as its functionConfig says, and writes a ResourceList with the items,
what was made of them, and findings as results. It makes Kubernetes objects:
istio, linkerd, gateway-api, and consul in its form for Kubernetes.

The functionConfig is a Translate (meshknot.io/v1alpha1) or a ConfigMap, with the
fields to, options, authorization, access, dialect, trustDomain, allow, failOn,
complete and replace: true drops what was translated from the package. What an
earlier run made (label app.kubernetes.io/managed-by: meshknot) is replaced, so
that a second run changes nothing.

A finding at or above failOn ends with status 1; what may not be applied then is
what was there before.`,
		Example: "  meshknot fn -f deploy/gitops/function/resourcelist.yaml",
		Args:    cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			if file == "" || file == "-" {
				return a.fn(a.in)
			}
			f, err := os.Open(file)
			if err != nil {
				return status{exitCannot, err}
			}
			defer f.Close()
			return a.fn(f)
		},
	}
	c.Flags().StringVarP(&file, "filename", "f", "", "a file that holds the ResourceList, in place of standard input")
	return c
}

func (a *app) fn(in io.Reader) error {
	list, err := krm.Read(in)
	if err != nil {
		return status{exitCannot, err}
	}
	verdict, err := a.function(list)
	if err != nil {
		// The host shows what is on standard error, and some the results too.
		list.Results = append(list.Results, list.Misconfigured(err))
		verdict = status{exitNo, fmt.Errorf("functionConfig: %w", err)}
	}
	if err := list.Write(a.out); err != nil {
		return status{exitCannot, err}
	}
	return verdict
}

// function translates a list in place and returns the verdict. An error is about
// its configuration; the items are then as they were.
func (a *app) function(list *krm.List) (verdict, err error) {
	config, err := list.ReadConfig()
	if err != nil {
		return nil, err
	}
	to := targetFlags{to: config.To, authorization: config.Authorization, trustDomain: config.TrustDomain, allow: config.Allow}
	for _, key := range slices.Sorted(maps.Keys(config.Options)) {
		to.options = append(to.options, key+"="+config.Options[key])
	}
	targets, err := to.targets()
	if err != nil {
		return nil, err
	}
	if err := asObjects(targets); err != nil {
		return nil, err
	}
	waivers, err := to.waivers()
	if err != nil {
		return nil, err
	}
	set, found, err := itemsOf(list)
	if err != nil {
		return nil, err
	}
	began := time.Now()
	settings := input.Settings{Access: config.Access, Dialect: config.Dialect, Complete: config.Complete, Workloads: map[string]map[string]string{}}
	run := engine.New(all.Pipeline(), targets, waivers).Run(input.NewStore(set, settings))
	t := translation{run, set, config.Access, began, append(found, run.Findings...).Sorted(), all.Fields(set), 0, 0, 0}
	t.verify()
	shown := findingFlags{color: "never"}
	if err := a.show(set, t.everything(), shown, report.Warning); err != nil {
		return nil, err
	}
	for _, f := range t.everything() {
		list.Results = append(list.Results, krm.ResultOf(f, list.Item(input.ID{Group: f.Source.Group, Kind: f.Source.Kind, Namespace: f.Source.Namespace, Name: f.Source.Name})))
	}
	if slices.ContainsFunc(t.Outputs, func(o translators.Output) bool { return o.Withheld }) {
		return status{code: exitNo}, nil // what is there already denies more than nothing
	}
	return conclude(t.everything(), report.Severity(config.FailOn)), replaceItems(list, t, config.Replace)
}

// asObjects demands that targets are given Kubernetes objects. Consul is, by the
// one of its two forms that a package can hold.
func asObjects(targets []translators.Target) error {
	for _, t := range targets {
		switch form, said := t.Options["form"]; t.Backend {
		case "envoy", "grpc":
			return fmt.Errorf("to: %s is served over xDS and has no objects that a package could hold", t.Backend)
		case "consul":
			if said && form != "kubernetes" {
				return fmt.Errorf("options: consul.form=%s makes no Kubernetes objects", form)
			}
			t.Options["form"] = "kubernetes"
		}
	}
	return nil
}

// itemsOf reads the items of a list that no translation made. Each is a file of its
// own, so that no two are taken for one.
func itemsOf(list *krm.List) (*input.Set, report.Report, error) {
	var files []input.File
	for n, item := range list.Items {
		if item.Ours {
			continue
		}
		text, err := item.Text()
		if err != nil {
			return nil, nil, err
		}
		name := item.File.Path
		if name == "" {
			name = "items"
		}
		files = append(files, input.File{Name: fmt.Sprintf("%s[%d]", name, n), Data: text})
	}
	set, found := input.ReadFiles(files, input.Options{Schemas: all.Pipeline().Schemas()})
	return set, found, nil
}

// replaceItems puts what was made into the list, and takes out what it was made of
// where that is asked for: SMI objects, which only a translation understands, and
// whatever else an object names as its source.
func replaceItems(list *krm.List, t translation, drop bool) error {
	gone := map[input.ID]bool{}
	var objects []krm.Object
	for _, o := range t.Outputs {
		for _, one := range o.Artifacts {
			object, err := objectOf(o.Target, one)
			if err != nil {
				return err
			}
			objects = append(objects, object)
			for _, r := range one.Refs {
				if item := list.Item(input.ID{Group: r.Group, Kind: r.Kind, Namespace: r.Namespace, Name: r.Name}); item != nil && drop && item.Group == gatewayGroup {
					gone[item.ID] = true
				}
			}
		}
	}
	for _, item := range list.Items {
		if drop && strings.HasSuffix(item.Group, ".smi-spec.io") {
			gone[item.ID] = true
		}
	}
	return list.Replace(objects, gone)
}

// objectOf is an artifact as an item of a list.
func objectOf(t translators.Target, a translators.Artifact) (krm.Object, error) {
	content, err := sink.Plain(a.Payload)
	if err != nil {
		return krm.Object{}, err
	}
	object, ok := content.(map[string]any)
	if !ok {
		return krm.Object{}, fmt.Errorf("%s made %s, which is no object", name(t), a.ID.Type)
	}
	return krm.Object{Backend: t.Backend, Content: object}, nil
}

// gatewayGroup is the group of the objects that may be sources and, elsewhere, what
// another controller acts on.
const gatewayGroup = "gateway.networking.k8s.io"
