package webhook

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	kjson "k8s.io/apimachinery/pkg/util/json"

	"github.com/meshknot/meshknot/crds/convert"
)

// convert answers a ConversionReview: all objects in the version that is wanted, or
// why one of them cannot be said in it.
func (h *Handler) convert(w http.ResponseWriter, r *http.Request) {
	var review apiextensionsv1.ConversionReview
	if err := h.body(w, r, &review); err != nil {
		h.refuse(w, err)
		return
	}
	q := review.Request
	if q == nil {
		h.refuse(w, trouble{http.StatusBadRequest, "not a ConversionReview with a request"})
		return
	}
	ctx, done := h.deadline(r)
	defer done()
	converted, err := bounded(ctx, h.places, func(context.Context) ([]runtime.RawExtension, error) { return convertAll(q) })
	if err != nil {
		h.write(w, conversion(q.UID, nil, metav1.Status{Status: metav1.StatusFailure, Message: err.Error()}))
		return
	}
	h.write(w, conversion(q.UID, converted, metav1.Status{Status: metav1.StatusSuccess}))
}

func conversion(uid types.UID, objects []runtime.RawExtension, result metav1.Status) apiextensionsv1.ConversionReview {
	return apiextensionsv1.ConversionReview{
		TypeMeta: metav1.TypeMeta{APIVersion: apiextensionsv1.SchemeGroupVersion.String(), Kind: "ConversionReview"},
		Response: &apiextensionsv1.ConversionResponse{UID: uid, ConvertedObjects: objects, Result: result},
	}
}

func convertAll(q *apiextensionsv1.ConversionRequest) ([]runtime.RawExtension, error) {
	out := make([]runtime.RawExtension, 0, len(q.Objects))
	for _, o := range q.Objects {
		var object map[string]any
		if err := kjson.Unmarshal(o.Raw, &object); err != nil {
			return nil, fmt.Errorf("an object that cannot be read: %w", err)
		}
		made, err := convert.Convert(object, q.DesiredAPIVersion)
		if err != nil {
			meta, _ := object["metadata"].(map[string]any)
			return nil, fmt.Errorf("%v %v/%v cannot be said in %s: %w", object["kind"], meta["namespace"], meta["name"], q.DesiredAPIVersion, err)
		}
		text, err := json.Marshal(made)
		if err != nil {
			return nil, fmt.Errorf("writing an object: %w", err)
		}
		out = append(out, runtime.RawExtension{Raw: text})
	}
	return out, nil
}
