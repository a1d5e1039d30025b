package externalsecrets

import (
	"regexp"

	"dbtier/components/fault"
	"dbtier/validation"
)

// OperatorSettings are the choices for the cluster's operator. Begin with [DefaultOperator].
type OperatorSettings struct {
	// Install makes this stack the one that installs the operator. False for all but one stack of a cluster. Default
	// true.
	Install bool `json:"install"`
	// Adopt takes over an operator, or CRDs, that are in the cluster already: CRDs outlive the stack that made them,
	// and Helm may have installed them before. Set it for one update and take it out again: while it is set, objects of
	// any owner that have the names of this stack's become this stack's. Default false.
	Adopt bool `json:"adopt"`
	// Namespace of the operator. Default external-secrets.
	Namespace string `json:"namespace"`
	// Chart is the name in Repository, or a path to an unpacked chart. Default external-secrets.
	Chart string `json:"chart"`
	// Repository is the chart's Helm repository; empty when Chart is a path.
	Repository string `json:"repository"`
	// Version of the chart; empty when Chart is a path.
	Version string `json:"version"`
	// Image replaces the chart's own, for clusters that take images from their own registry; empty (default) keeps it.
	Image Image `json:"image"`
	// Replicas of the operator and its webhook; with two or more, one leads. Default 2 in production, 1 in development.
	Replicas int `json:"replicas"`
}

// Image is an image by repository and tag, as charts take it.
type Image struct {
	// Repository is the image's name without a tag.
	Repository string `json:"repository"`
	// Tag of the image.
	Tag string `json:"tag"`
}

// DefaultOperator is the newest stable chart, with one replica.
func DefaultOperator() OperatorSettings {
	return OperatorSettings{
		Install:    true,
		Namespace:  "external-secrets",
		Chart:      "external-secrets",
		Repository: "https://charts.external-secrets.io",
		Version:    "2.9.0",
		Replicas:   1,
	}
}

var versionForm = regexp.MustCompile(`^v?\d+\.\d+\.\d+(-[0-9A-Za-z.-]+)?$`)

// Validate reports every fault of the settings.
func (s *OperatorSettings) Validate() error {
	var faults fault.List
	faults.Form("namespace", s.Namespace, validation.Label)
	faults.Check(s.Chart != "", "chart", nil, "is missing: the chart's name, or a path to it")
	if s.Repository != "" {
		faults.Check(versionForm.MatchString(s.Version), "version", s.Version,
			"want the version of the chart, for example 2.9.0: without one each update could bring another operator")
	}
	faults.Check((s.Image.Repository == "") == (s.Image.Tag == ""), "image", s.Image,
		"want both repository and tag, or neither")
	faults.Between("replicas", s.Replicas, 1, 5, "")
	faults.Check(s.Install || !s.Adopt, "adopt", s.Adopt,
		"takes over the cluster's operator, which this stack does not install")
	return faults.Err()
}

// OperatorArgs is what [NewExternalSecretsOperator] needs.
type OperatorArgs struct {
	OperatorSettings
	// STSEndpoint and SecretsManagerEndpoint replace AWS's own, for a cloud that is not AWS; empty (default) for AWS.
	STSEndpoint, SecretsManagerEndpoint string
}
