package krm

import (
	"fmt"
	"path"
	"strconv"
	"strings"

	"sigs.k8s.io/kustomize/kyaml/yaml"
	sigsyaml "sigs.k8s.io/yaml"

	"github.com/meshknot/meshknot/translators/input"
)

// Folder is where objects that were not in a package before are put, below it a
// folder for each back end.
const Folder = "meshknot"

// Object is an object to be put into a list.
type Object struct {
	// Backend that it is for.
	Backend string
	// Content is the object as JSON has it.
	Content map[string]any
}

// Replace takes out of the list what a translation made before, and the items that
// drop names, and puts objects in: where one of the same name stood, else at the
// end, in a file of their own. A second run therefore makes the same list. Two
// objects of one name, or one of the name of somebody else's that stays, are an
// error.
func (l *List) Replace(objects []Object, drop map[input.ID]bool) error {
	before := map[input.ID]Item{}
	staying := map[input.ID]bool{}
	var items []Item
	legacy, filed := false, false
	for _, i := range l.Items {
		legacy, filed = legacy || i.legacy, filed || i.File.Path != ""
		switch {
		case i.Ours:
			before[i.ID] = i
		case !drop[i.ID]:
			items = append(items, i)
			staying[i.ID] = true
		}
	}
	for _, o := range objects {
		item, err := newItem(o)
		if err != nil {
			return err
		}
		if staying[item.ID] {
			return fmt.Errorf("%s %s/%s is in the package already, and not meshknot's, or two back ends make it", item.Kind, item.Namespace, item.Name)
		}
		staying[item.ID] = true
		file := before[item.ID].File
		if file.Path == "" {
			file = File{Path: newPath(o.Backend, item.ID)}
		}
		if filed || len(l.Items) == 0 {
			if err := item.standAt(file, legacy); err != nil {
				return err
			}
		}
		items = append(items, item)
	}
	l.Items = items
	return nil
}

func newItem(o Object) (Item, error) {
	text, err := sigsyaml.Marshal(o.Content)
	if err != nil {
		return Item{}, err
	}
	n, err := yaml.Parse(string(text))
	if err != nil {
		return Item{}, err
	}
	if n.GetApiVersion() == "" || n.GetName() == "" {
		return Item{}, fmt.Errorf("what %s made is no Kubernetes object", o.Backend)
	}
	return itemOf(n)
}

// newPath is the file of an object: "meshknot/istio/virtualservice/shop/reviews.yaml".
func newPath(backend string, id input.ID) string {
	return path.Join(Folder, backend, strings.ToLower(id.Kind), id.Namespace, id.Name+".yaml")
}

// standAt says in which file an item stands, in the words of its package.
func (i *Item) standAt(f File, legacy bool) error {
	i.File = f
	notes := map[string]string{pathAnnotation: f.Path, indexAnnotation: strconv.Itoa(f.Index)}
	if legacy {
		notes[legacyPathAnnotation], notes[legacyIndexAnnotation] = f.Path, strconv.Itoa(f.Index)
	}
	for _, key := range []string{legacyIndexAnnotation, legacyPathAnnotation, indexAnnotation, pathAnnotation} {
		if value, ok := notes[key]; ok {
			if err := i.node.PipeE(yaml.SetAnnotation(key, value)); err != nil {
				return err
			}
		}
	}
	return nil
}

func splitVersion(apiVersion string) (group, version string) {
	if g, v, ok := strings.Cut(apiVersion, "/"); ok {
		return g, v
	}
	return "", apiVersion
}
