package input

import "slices"

// leaves returns the paths of what a document says, sorted.
func leaves(n *node) []string {
	var out []string
	for i, k := range n.keys {
		if k.name != "apiVersion" && k.name != "kind" && k.name != "metadata" {
			out = n.items[i].leaves(Field("", k.name), out)
		}
	}
	slices.Sort(out)
	return out
}

func (n *node) leaves(path string, out []string) []string {
	if n.kind == null {
		return out
	}
	if len(n.items) == 0 {
		return append(out, path)
	}
	for i, item := range n.items {
		at := Element(path, i)
		if n.kind == object {
			at = Field(path, n.keys[i].name)
		}
		out = item.leaves(at, out)
	}
	return out
}
