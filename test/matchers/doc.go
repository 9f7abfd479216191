// Package matchers holds what every back end emits to compare paths, headers and
// query parameters against what the source means: a reference written from the
// definition of each dialect, and small interpreters of the meshes' matching
// languages, none of which shares code with the translators. It is all tests.
package matchers
