package fleet

import "fmt"

// bindings checks what became of bindings.
func (now State) bindings() Section {
	s := Section{Name: "bindings"}
	if len(now.Bindings) == 0 {
		s.add("there is a MeshBinding", Warning, "there is none: nothing is translated", "bind a namespace to a mesh: kubectl explain meshbinding.spec")
	}
	for _, b := range now.Bindings {
		name := b.Name + " is accepted and in force"
		switch text := fmt.Sprintf("%s, %d namespaces, %d objects", b.Backend, b.Namespaces, b.Objects); {
		case b.Accepted == "False" || b.Programmed == "False":
			s.add(name, Failed, b.Message, "kubectl describe meshbinding "+b.Name)
		case b.Accepted != "True":
			s.add(name, Failed, b.Message, "look whether a controller runs")
		case b.Paused:
			s.add(name, Warning, "it is paused: reports are written, and nothing else", "set spec.paused to false")
		case b.Programmed != "True":
			s.add(name, Warning, b.Message, "meshknot status --cluster")
		case b.Namespaces == 0:
			s.add(name, Warning, "it selects no namespace", "kubectl get namespaces --show-labels")
		default:
			s.ok(name, text)
		}
	}
	return s
}

// reports checks what became of objects.
func (now State) reports() Section {
	s := Section{Name: "objects"}
	const name = "what was asked for is in force"
	objects, lossy := 0, 0
	for _, n := range now.Namespaces {
		objects, lossy = objects+n.Objects, lossy+n.Lossy
	}
	var texts []string
	for _, t := range now.Troubles {
		texts = append(texts, fmt.Sprintf("%s %s/%s on %s: %s", t.Kind, t.Namespace, t.Name, t.Binding, t.Reason))
	}
	if len(texts) > 0 {
		s.add(name, Failed, fmt.Sprintf("%s, of %d objects", few(texts, now.More), objects), "meshknot status --cluster; kubectl get translationreports -A")
		return s
	}
	s.ok(name, fmt.Sprintf("%d objects, of which %d lose something on some mesh", objects, lossy))
	return s
}
