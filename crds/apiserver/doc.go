// Package apiserver holds a test alone: an API server's own validation of the
// CustomResourceDefinitions beside it.
package apiserver
