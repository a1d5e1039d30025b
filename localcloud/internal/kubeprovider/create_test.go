package kubeprovider

import (
	"testing"

	"github.com/stretchr/testify/assert"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

func TestTheErrorForAnObjectOfAnotherOwnerNamesItAndAdvisesNoDeletion(t *testing.T) {
	object := &unstructured.Unstructured{}
	object.SetManagedFields([]metav1.ManagedFieldsEntry{
		{Manager: "helm"},
		{Manager: "kubectl-edit"},
		{Manager: "helm"},
		{Manager: "kube-controller-manager", Subresource: "status"},
	})
	text := foreign(object).Error()
	assert.Contains(t, text, "it already exists and does not belong to this stack (written by helm and kubectl-edit)")
	assert.NotContains(t, text, "delete")
	assert.Contains(t, foreign(&unstructured.Unstructured{}).Error(), "(nothing says who wrote it)")
}

// The driver derives the same names, to tell what this provider takes over from what is in its way (internal/guard).
func TestTheFieldManagerFollowsFromTheProviderAndTheURN(t *testing.T) {
	const urn = "urn:pulumi:local::dbtier::kubernetes:core/v1:Namespace::n"
	s := &Server{configured: &configuration{id: "provider-1"}}
	assert.Equal(t, "pulumi-kubernetes-8b0c83edd8e9", s.manager(urn, false))
	assert.Equal(t, (&Server{}).manager(urn, false), s.manager(urn, true), "an object that is kept")
	assert.Equal(t, "pulumi-kubernetes-b8740be29034", s.manager(urn, true))
}
