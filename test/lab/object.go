package lab

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
)

// Object is a Kubernetes object as JSON has it.
type Object = map[string]any

// Apply makes an object be as it is given; what it does not speak of stays. An
// error says what the server has against it.
func (k *Kube) Apply(o Object) error {
	_, err := k.apply(o, "?fieldManager=lab&force=true")
	return err
}

// ApplyStatus does the same for the status of an object that exists.
func (k *Kube) ApplyStatus(o Object) error {
	_, err := k.apply(o, "/status?fieldManager=lab&force=true")
	return err
}

// ApplyWarned is Apply, and returns what the server warned of.
func (k *Kube) ApplyWarned(o Object) (warnings []string, err error) {
	return k.apply(o, "?fieldManager=lab&force=true")
}

// DryRun asks what Apply would come to, admission included, and keeps nothing.
func (k *Kube) DryRun(o Object) (warnings []string, err error) {
	return k.apply(o, "?fieldManager=lab&force=true&dryRun=All")
}

func (k *Kube) apply(o Object, how string) ([]string, error) {
	a, err := k.send(http.MethodPatch, "application/apply-patch+yaml", o, how)
	return a.warnings, err
}

// Create makes an object that must not exist yet, and returns it as the server has it.
func (k *Kube) Create(o Object) (Object, error) {
	path, err := k.collection(text(o, "apiVersion"), text(o, "kind"), text(o, "metadata", "namespace"))
	if err != nil {
		return nil, err
	}
	return k.sendTo(http.MethodPost, path, "application/json", o)
}

// Update puts an object in the place of the one of its name, and returns it as the
// server has it then. With a resourceVersion it fails where somebody was first.
func (k *Kube) Update(o Object) (Object, error) {
	path, err := k.path(o)
	if err != nil {
		return nil, err
	}
	return k.sendTo(http.MethodPut, path, "application/json", o)
}

// UpdateStatus puts a status in the place of the one that an object has.
func (k *Kube) UpdateStatus(o Object) (Object, error) {
	path, err := k.path(o)
	if err != nil {
		return nil, err
	}
	return k.sendTo(http.MethodPut, path+"/status", "application/json", o)
}

// Patch changes parts of the object that o names. A list of operations is a JSON
// Patch (RFC 6902), all else a JSON Merge Patch (RFC 7386).
func (k *Kube) Patch(o Object, patch any) (Object, error) {
	path, err := k.path(o)
	if err != nil {
		return nil, err
	}
	body, err := json.Marshal(patch)
	if err != nil {
		return nil, err
	}
	contentType := "application/merge-patch+json"
	if bytes.HasPrefix(body, []byte("[")) {
		contentType = "application/json-patch+json"
	}
	a, err := k.call(request{method: http.MethodPatch, path: path, contentType: contentType, body: body})
	return a.object(o, err)
}

// Delete removes an object at once; one that is gone is no error.
func (k *Kube) Delete(o Object) error {
	path, err := k.path(o)
	if err != nil {
		return err
	}
	_, err = k.call(request{method: http.MethodDelete, path: path + "?gracePeriodSeconds=0"})
	if IsStatus(err, http.StatusNotFound) {
		return nil
	}
	return named(o, err)
}

// Get returns an object as the server has it; o names it.
func (k *Kube) Get(o Object) (Object, error) {
	path, err := k.path(o)
	if err != nil {
		return nil, err
	}
	a, err := k.call(request{path: path})
	return a.object(o, err)
}

// List returns the objects of a kind, of one namespace or, where that is empty, of
// all, sorted by namespace and name.
func (k *Kube) List(apiVersion, kind, namespace string) ([]Object, error) {
	path, err := k.collection(apiVersion, kind, namespace)
	if err != nil {
		return nil, err
	}
	a, err := k.call(request{path: path})
	if err != nil {
		return nil, fmt.Errorf("listing %s: %w", kind, err)
	}
	var list struct{ Items []Object }
	if err := json.Unmarshal(a.body, &list); err != nil {
		return nil, err
	}
	for _, o := range list.Items { // which lists leave out
		o["apiVersion"], o["kind"] = apiVersion, kind
	}
	slices.SortFunc(list.Items, func(a, b Object) int {
		return strings.Compare(text(a, "metadata", "namespace")+"/"+text(a, "metadata", "name"), text(b, "metadata", "namespace")+"/"+text(b, "metadata", "name"))
	})
	return list.Items, nil
}

func (k *Kube) send(method, contentType string, o Object, how string) (answer, error) {
	path, err := k.path(o)
	if err != nil {
		return answer{}, err
	}
	body, err := json.Marshal(o)
	if err != nil {
		return answer{}, err
	}
	a, err := k.call(request{method: method, path: path + how, contentType: contentType, body: body})
	return a, named(o, err)
}

func (k *Kube) sendTo(method, path, contentType string, o Object) (Object, error) {
	body, err := json.Marshal(o)
	if err != nil {
		return nil, err
	}
	a, err := k.call(request{method: method, path: path, contentType: contentType, body: body})
	return a.object(o, err)
}

func named(o Object, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%v %v: %w", o["kind"], text(o, "metadata", "name"), err)
}

// text returns a field of an object, or nothing where there is none.
func text(o Object, path ...string) string {
	for _, name := range path[:len(path)-1] {
		o, _ = o[name].(Object)
	}
	s, _ := o[path[len(path)-1]].(string)
	return s
}

// kinds is what the server said of kinds.
type kinds struct {
	mu    sync.Mutex
	known map[string]kind // by "apiVersion/Kind"
}

// kind is what discovery says of a kind.
type kind struct {
	Name       string `json:"name"` // in paths
	Kind       string `json:"kind"`
	Namespaced bool   `json:"namespaced"`
}

// path is where an object is served.
func (k *Kube) path(o Object) (string, error) {
	path, err := k.collection(text(o, "apiVersion"), text(o, "kind"), text(o, "metadata", "namespace"))
	return path + "/" + url.PathEscape(text(o, "metadata", "name")), err
}

// collection is where the objects of a kind are served, of one namespace or of all.
func (k *Kube) collection(version, kind, namespace string) (string, error) {
	found, err := k.kind(version, kind)
	if err != nil {
		return "", err
	}
	path := base(version)
	if found.Namespaced && namespace != "" {
		path += "/namespaces/" + url.PathEscape(namespace)
	}
	return path + "/" + found.Name, nil
}

func base(version string) string {
	if strings.Contains(version, "/") {
		return "/apis/" + version
	}
	return "/api/" + version
}

// kind asks the server what it knows of a kind, and remembers it.
func (k *Kube) kind(version, name string) (kind, error) {
	k.kinds.mu.Lock()
	defer k.kinds.mu.Unlock()
	if found, ok := k.kinds.known[version+"/"+name]; ok {
		return found, nil
	}
	a, err := k.call(request{path: base(version)})
	if err != nil {
		return kind{}, fmt.Errorf("asking for the kinds of %s: %w", version, err)
	}
	var list struct{ Resources []kind }
	if err := json.Unmarshal(a.body, &list); err != nil {
		return kind{}, err
	}
	for _, r := range list.Resources {
		if !strings.Contains(r.Name, "/") {
			k.kinds.known[version+"/"+r.Kind] = r
		}
	}
	if found, ok := k.kinds.known[version+"/"+name]; ok {
		return found, nil
	}
	return kind{}, fmt.Errorf("the API server knows no %s of %s", name, version)
}

// StatusError is an answer of the API server that is not a success.
type StatusError struct {
	Code int
	Text string
}

func (e *StatusError) Error() string { return fmt.Sprintf("status %d: %s", e.Code, e.Text) }

// IsStatus reports whether an error is an answer with a status, such as
// http.StatusNotFound.
func IsStatus(err error, code int) bool {
	var status *StatusError
	return errors.As(err, &status) && status.Code == code
}

// request is what is asked of the API server: a GET, unless it says otherwise.
type request struct {
	method, path, contentType string
	body                      []byte
}

// answer is what it answers.
type answer struct {
	body     []byte
	warnings []string
}

// object reads an answer that is an object, unless there was an error.
func (a answer) object(asked Object, err error) (Object, error) {
	if err != nil {
		return nil, named(asked, err)
	}
	var out Object
	return out, json.Unmarshal(a.body, &out)
}

// call makes a request and returns what is answered.
func (k *Kube) call(r request) (answer, error) {
	q, err := http.NewRequest(r.method, k.URL+r.path, bytes.NewReader(r.body))
	if err != nil {
		return answer{}, err
	}
	q.Header.Set("Authorization", "Bearer "+k.who.token)
	if k.who.as != "" {
		q.Header.Set("Impersonate-User", k.who.as)
		q.Header["Impersonate-Group"] = k.who.groups
	}
	q.Header.Set("Accept", "application/json")
	if r.contentType != "" {
		q.Header.Set("Content-Type", r.contentType)
	}
	said, err := k.client.Do(q)
	if err != nil {
		return answer{}, err
	}
	defer said.Body.Close()
	a := answer{warnings: warnings(said.Header)}
	if a.body, err = io.ReadAll(said.Body); err == nil && said.StatusCode >= 300 {
		var status struct{ Message string }
		if json.Unmarshal(a.body, &status) != nil || status.Message == "" {
			status.Message = string(a.body)
		}
		err = &StatusError{said.StatusCode, status.Message}
	}
	return a, err
}
