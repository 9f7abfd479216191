package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// Names of the kinds.
const (
	Group   = "meshknot.io"
	Version = "v1alpha1"

	KindMeshBinding       = "MeshBinding"
	KindTranslationReport = "TranslationReport"

	ResourceMeshBindings       = "meshbindings"
	ResourceTranslationReports = "translationreports"
)

// GroupVersion is the group and version of the kinds, "meshknot.io/v1alpha1".
func GroupVersion() schema.GroupVersion {
	return schema.GroupVersion{Group: Group, Version: Version}
}

// AddToScheme makes the kinds known to a scheme.
func AddToScheme(s *runtime.Scheme) error {
	s.AddKnownTypes(GroupVersion(), &MeshBinding{}, &MeshBindingList{}, &TranslationReport{}, &TranslationReportList{})
	metav1.AddToGroupVersion(s, GroupVersion())
	return nil
}
