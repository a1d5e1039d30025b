package externalsecrets

import (
	"regexp"
	"strings"

	"dbtier/components/fault"
	"dbtier/validation"
	"dbtier/validation/kuberules"
)

// OperatorSettings are the choices for the cluster's operator. Begin with [DefaultOperator].
type OperatorSettings struct {
	// Install installs the operator with this stack. Exactly one stack of a cluster must do so. Default true.
	Install bool `json:"install"`
	// Adopt takes over an operator, or CRDs, that exist in the cluster: CRDs outlive the stack that created them, and
	// Helm may have installed them before. Set it for one update and then remove it: while it is set, this stack takes
	// over every existing object with the same name as one of its objects, regardless of its owner. Default false.
	Adopt bool `json:"adopt"`
	// Namespace of the operator. Default external-secrets.
	Namespace string `json:"namespace" example:"platform-secrets"`
	// Chart is the chart's name in Repository, or the path of an unpacked chart. Default external-secrets.
	Chart string `json:"chart" example:"external-secrets"`
	// Repository is the chart's Helm repository; empty when Chart is a path.
	Repository string `json:"repository" example:"https://charts.example.com"`
	// Version of the chart; empty when Chart is a path.
	Version string `json:"version" example:"2.8.0"`
	// Image replaces the chart's image, for clusters that pull from their own registry. Default: the chart's image.
	Image Image `json:"image"`
	// Replicas of the operator and of its webhook. With two or more, the operator elects a leader. Default 2 in
	// production, 1 in development.
	Replicas int `json:"replicas" example:"3"`
	// WebhookPort is the port of the webhook's pods, 1024 to 65535. The cluster's control plane must reach it. On
	// Fargate, choose another than the default, which is the kubelet's there. Default 10250.
	WebhookPort int `json:"webhookPort" example:"9443"`
	// Values are further values of the chart. They take precedence over those that this program sets, except where
	// another setting or the program itself needs the value. Literals only: an unknown value would empty the chart's
	// preview. Default none.
	Values map[string]any `json:"values" example:"{extraArgs: {loglevel: debug}}"`
}

// Image is an image by repository and tag.
type Image struct {
	// Repository is the image's name without a tag.
	Repository string `json:"repository" example:"<account>.dkr.ecr.<region>.amazonaws.com/external-secrets"`
	// Tag of the image, best with its digest: v2.9.0@sha256:…
	Tag string `json:"tag" example:"v2.9.0"`
}

// DefaultOperator returns the settings of a stable chart with one replica.
func DefaultOperator() OperatorSettings {
	return OperatorSettings{
		Install:    true,
		Namespace:  "external-secrets",
		Chart:      "external-secrets",
		Repository: "https://charts.external-secrets.io",
		Version:    "2.9.0",
		Replicas:   1,

		WebhookPort: defaultWebhookPort,
	}
}

const defaultWebhookPort = 10250

// reserved are the values of the chart that the program sets and that Values may not change, and what to do instead.
var reserved = []struct{ path, instead string }{
	{"installCRDs", "the stack installs the CRDs: without them there is nothing to operate"},
	{"crds", "the stack keeps the CRDs when it is removed, because their deletion deletes every team's secrets"},
	{"image", "use operator.image"},
	{"webhook.image", "use operator.image"},
	{"certController.image", "use operator.image"},
	{"replicaCount", "use operator.replicas"},
	{"webhook.replicaCount", "use operator.replicas"},
	{"leaderElect", "it follows operator.replicas"},
	{"webhook.port", "use operator.webhookPort"},
}

var versionForm = regexp.MustCompile(`^v?\d+\.\d+\.\d+(-[0-9A-Za-z.-]+)?$`)

// Validate reports every fault of the settings.
func (s *OperatorSettings) Validate() error {
	var faults fault.List
	if faults.Form("namespace", s.Namespace, validation.Label) && s.Install {
		reserved := kuberules.ReservedNamespace(s.Namespace)
		faults.Check(reserved == "", "namespace", s.Namespace, "%s; want a namespace of the operator's own", reserved)
	}
	faults.Check(s.Chart != "", "chart", nil, "is missing: the chart's name or path")
	if s.Repository != "" {
		faults.Check(versionForm.MatchString(s.Version), "version", s.Version,
			"want the version of the chart, for example 2.9.0: without it each update could install another version")
	}
	if faults.Check((s.Image.Repository == "") == (s.Image.Tag == ""), "image", s.Image,
		"want both repository and tag, or neither") && s.Image.Tag != "" {
		image := s.Image.Repository + ":" + s.Image.Tag
		if err := kuberules.CheckImage(image); err != nil {
			faults.Add("image", image, "%s", err)
		}
	}
	faults.Between("replicas", s.Replicas, 1, 5, "")
	faults.Between("webhookPort", s.WebhookPort, 1024, 65535, "")
	for _, r := range reserved {
		value, given := valueAt(s.Values, strings.Split(r.path, "."))
		faults.Check(!given, "values."+r.path, value, "cannot be set here: %s", r.instead)
	}
	faults.Check(s.Install || !s.Adopt, "adopt", s.Adopt,
		"has no effect in a stack that does not install the operator; remove it")
	return faults.Err()
}

func valueAt(values map[string]any, path []string) (value any, given bool) {
	value, given = values[path[0]]
	if inner, ok := value.(map[string]any); ok && len(path) > 1 {
		return valueAt(inner, path[1:])
	}
	return value, given && len(path) == 1
}
