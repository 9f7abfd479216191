// Package webhook judges objects before an API server takes them: whether they can
// be read, what they refer to and what they are in conflict with, what the meshes
// to which their namespaces are bound would lose of them, whether they open a
// workload, and what rules in Rego say of them. It says what "meshknot validate"
// and "meshknot losses" say of the same objects in a file.
//
// It decides on a copy of nothing and changes nothing, so a dry run needs no care.
// What it does not know it does not guess: while the world is not ready, a request
// is answered with status 500, and the failurePolicy of its kind decides.
//
// What an object refers to may come later: that it is not there yet is a warning,
// for a grant or a route to nothing lets nothing through. What was wrong before and
// still is, is a warning too, so that an object can be edited step by step, and its
// labels and finalizers at any time.
package webhook
