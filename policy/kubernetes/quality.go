package kubernetes

import (
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/pulumi/pulumi/sdk/v3/go/property"

	"dbtier/policy/internal/pods"
	"dbtier/policy/rule"
	"dbtier/policy/types"
)

const missing = "is missing"

// probes returns the rules for the probes of servers.
func probes() []*rule.Rule {
	serving := func(judge func(container rule.Value)) func(*rule.Subject) {
		return unlessExempt(pod(func(_ *rule.Subject, spec rule.Value) {
			// Init containers do not need probes.
			for _, container := range spec.Get("containers").Items() {
				if container.Known() {
					judge(container)
				}
			}
		}))
	}
	return []*rule.Rule{{
		Name: "k8s-readiness-probe", Severity: rule.Medium, Levels: rule.InProduction, Knobs: exempt(),
		Summary: "A server has a readiness probe.",
		Why:     "Otherwise a Service sends requests to pods that are starting, and a rolling update loses some.",
		Fix:     "add a readinessProbe",
		IDs:     []string{"CKV_K8S_9", "kyverno:require-probes"}, Types: types.Servers(),
		Resource: serving(func(container rule.Value) { container.Get("readinessProbe").RequireFilled(missing) }),
	}, {
		Name: "k8s-liveness-probe", Severity: rule.Low, Levels: rule.AdviceInProduction, Knobs: exempt(),
		Summary: "A server has a liveness probe.",
		Why:     "Otherwise a server that hangs is not restarted.",
		Fix:     "add a livenessProbe that fails later than the readiness probe",
		IDs:     []string{"CKV_K8S_8"}, Types: types.Servers(),
		Resource: serving(func(container rule.Value) { container.Get("livenessProbe").RequireFilled(missing) }),
	}, {
		Name: "k8s-probes-differ", Severity: rule.Low, Levels: rule.InProduction, Knobs: exempt(),
		Summary: "The liveness probe differs from the readiness probe.",
		Why:     "Otherwise a busy server is killed, and the other servers get its load.",
		Fix:     "use another request for liveness, or more failures",
		IDs:     []string{"kyverno:ensure-probes-different"}, Types: types.Servers(),
		Resource: serving(func(container rule.Value) {
			liveness, readiness := container.Get("livenessProbe"), container.Get("readinessProbe")
			if liveness.Given() && readiness.Given() && maps.Equal(flat(liveness), flat(readiness)) {
				liveness.Fail("is the same as readinessProbe")
			}
		}),
	}}
}

// flat returns the leaves of an object by their paths below it.
func flat(value rule.Value) map[string]string {
	leaves := map[string]string{}
	var visit func(path string, v rule.Value)
	visit = func(path string, v rule.Value) {
		switch {
		case v.IsObject():
			for _, member := range v.Members() {
				visit(path+"."+member.Key, member.Value)
			}
		case v.IsList():
			for i, item := range v.Items() {
				visit(path+"."+strconv.Itoa(i), item)
			}
		default:
			leaves[path], _ = v.Text("")
		}
	}
	visit("", value)
	return leaves
}

// resources returns the rules for CPU, memory and disk.
func resources() []*rule.Rule {
	needs := func(keys ...string) func(*rule.Subject) {
		return containers(func(_, container rule.Value) {
			for _, key := range keys {
				container.Get("resources").Get(strings.Split(key, ".")...).RequireFilled(missing)
			}
		})
	}
	return []*rule.Rule{{
		Name: "k8s-requests", Severity: rule.Medium, Levels: rule.InProduction,
		Summary:  "Containers request CPU and memory.",
		Why:      "Otherwise pods are scheduled on full nodes, and are killed first when a node runs out of memory.",
		Fix:      "set resources.requests.cpu and memory",
		IDs:      []string{"CKV_K8S_10", "CKV_K8S_12", "KSV-0015", "KSV-0016", "kyverno:require-pod-requests-limits"},
		Resource: needs("requests.cpu", "requests.memory"),
	}, {
		Name: "k8s-memory-limit", Severity: rule.Medium, Levels: rule.InProduction,
		Summary:  "Containers have a memory limit.",
		Why:      "A memory leak otherwise affects every pod on the node.",
		Fix:      "set resources.limits.memory",
		IDs:      []string{"CKV_K8S_13", "KSV-0018"},
		Resource: needs("limits.memory"),
	}, {
		Name: "k8s-cpu-limit", Severity: rule.Low, Levels: rule.OptIn,
		Summary:  "Containers have a CPU limit.",
		Why:      "Off by default: a limit slows a service although its node is idle, and requests share CPU fairly.",
		Fix:      "set resources.limits.cpu",
		IDs:      []string{"CKV_K8S_11", "KSV-0011"},
		Resource: needs("limits.cpu"),
	}, {
		Name: "k8s-empty-dir-limit", Severity: rule.Low, Levels: rule.InProduction,
		Summary: "Volumes of type emptyDir have a size limit.",
		Why:     "A volume without a limit can fill the node's disk, and every pod on the node is evicted.",
		Fix:     "set emptyDir.sizeLimit",
		IDs:     []string{"kyverno:add-emptydir-sizelimit"},
		Resource: pod(func(_ *rule.Subject, spec rule.Value) {
			for _, volume := range spec.Get("volumes").Items() {
				if empty := volume.Get("emptyDir"); empty.Given() {
					empty.Get("sizeLimit").RequireFilled(missing)
				}
			}
		}),
	}}
}

// images returns the rules for the images of containers.
func images() []*rule.Rule {
	each := func(judge func(value rule.Value, image string)) func(*rule.Subject) {
		return containers(func(_, container rule.Value) {
			if image, ok := container.Get("image").Text(""); ok {
				judge(container.Get("image"), image)
			}
		})
	}
	return []*rule.Rule{{
		Name: "k8s-image-tag", Severity: rule.Medium, Levels: rule.Always,
		Summary: "Images have a tag that names a version.",
		Why:     "latest can be another program tomorrow, and does not tell what ran before.",
		Fix:     "name a version or a digest",
		IDs:     []string{"CKV_K8S_14", "KSV-0013", "kyverno:disallow-latest-tag"},
		Resource: each(func(value rule.Value, image string) {
			name, _, digest := strings.Cut(image, "@")
			_, tag, tagged := strings.Cut(name[strings.LastIndex(name, "/")+1:], ":")
			if image != "" && !digest && (!tagged || tag == "latest") {
				value.Fail("does not name a version")
			}
		}),
	}, {
		Name: "k8s-image-digest", Severity: rule.Low, Levels: rule.OptIn,
		Summary: "Images are named by digest.",
		Why:     "Off by default, because it needs a pipeline that looks up digests. A tag can be overwritten.",
		Fix:     "name the image with @sha256:…",
		IDs:     []string{"CKV_K8S_43", "kyverno:require-image-checksum"},
		Resource: each(func(value rule.Value, image string) {
			if !strings.Contains(image, "@sha256:") {
				value.Fail("has no digest")
			}
		}),
	}, {
		Name: "k8s-image-registry", Severity: rule.Medium, Levels: rule.Always,
		Summary: "Images come from trusted registries.",
		Why:     "An image is a program with the rights of its pod.",
		Fix:     "copy the image to your own registry",
		Knobs: []rule.Knob{{
			Name: "registries", Description: "Allowed prefixes of images, for example " +
				"123456789012.dkr.ecr.ap-northeast-2.amazonaws.com. Empty allows all images.",
			Default: []string{},
		}},
		IDs: []string{"KSV-0125", "kyverno:restrict-image-registries"},
		Resource: pod(func(s *rule.Subject, _ rule.Value) {
			trusted := s.Texts("registries")
			if len(trusted) == 0 {
				return
			}
			each(func(value rule.Value, image string) {
				from := func(prefix string) bool {
					return strings.HasPrefix(image, strings.TrimSuffix(prefix, "/")+"/")
				}
				if !slices.ContainsFunc(trusted, from) {
					value.Fail("does not start with one of %s", strings.Join(trusted, ", "))
				}
			})(s)
		}),
	}}
}

// podQuality returns the rules for accounts, labels and replicas.
func podQuality() []*rule.Rule {
	return []*rule.Rule{{
		Name: "k8s-service-account", Severity: rule.Medium, Levels: rule.InProduction,
		Summary: "Pods do not use the default ServiceAccount.",
		Why:     "A right of the default account is a right of every pod that uses it.",
		Fix:     "set serviceAccountName",
		IDs:     []string{"tier:own-service-account"},
		Resource: pod(func(_ *rule.Subject, spec rule.Value) {
			value := spec.Get("serviceAccountName")
			if name, ok := value.Text(""); ok && (name == "" || name == "default") {
				value.Fail("the default account is used")
			}
		}),
	}, {
		Name: "k8s-service-account-token", Severity: rule.Medium, Levels: rule.Always, Knobs: exempt(),
		Summary: "Pods and ServiceAccounts set whether they need a token for the API server.",
		Why:     "By default every pod gets a token, and with it the rights of its account.",
		Fix:     "set automountServiceAccountToken to false, or set this rule's level to remediate",
		IDs:     []string{"CKV_K8S_38", "KSV-0036", "kyverno:restrict-automount-sa-token"},
		Types:   append([]string{types.ServiceAccount}, types.Templates()...),
		Resource: func(s *rule.Subject) {
			value := s.Get("automountServiceAccountToken")
			if s.Type() != types.ServiceAccount {
				value = pods.Spec(s).Get("automountServiceAccountToken")
			} else if pods.Exempted(s) {
				// The pods of these accounts set it.
				return
			}
			if value.Known() && value.Missing() {
				value.Fail("is missing: a token is mounted")
			}
		},
		Remedy: noToken,
	}, {
		Name: "k8s-labels", Severity: rule.Low, Levels: rule.Advice,
		Summary: "Workloads have the recommended labels.",
		Why:     "Selectors, dashboards and people use them.",
		Fix:     "set the labels",
		Knobs: []rule.Knob{{
			Name: "labels", Description: "The required labels.",
			Default: []string{"app.kubernetes.io/name", "app.kubernetes.io/managed-by"},
		}},
		IDs: []string{"kyverno:require-labels", "pulumi:kubernetes.configureRecommendedLabels"},
		Resource: func(s *rule.Subject) {
			labels := s.Get("metadata", "labels")
			if !labels.Known() {
				return
			}
			for _, label := range s.Texts("labels") {
				labels.Get(label).RequireFilled(missing)
			}
		},
	}, {
		Name: "k8s-replicas", Severity: rule.Low, Levels: rule.AdviceInProduction,
		Summary: "A server has at least two replicas.",
		Why:     "With one replica, every update of its node is an outage.",
		Fix:     "raise replicas",
		Knobs: []rule.Knob{
			{Name: "minimum", Description: "Minimum number of replicas.", Default: 2.0},
			pods.Exempt(),
		},
		IDs:   []string{"pulumi:kubernetes.configureMinimumReplicaCount"},
		Types: []string{types.Deployment, types.StatefulSet},
		Resource: unlessExempt(func(s *rule.Subject) {
			s.Get("spec", "replicas").RequireAtLeast(s.Number("minimum"), 1, "")
		}),
	}, {
		Name: "k8s-no-bare-pod", Severity: rule.Medium, Levels: rule.Always,
		Summary: "Pods belong to a workload that recreates them.",
		Why:     "A bare pod is lost with its node.",
		Fix:     "use a Deployment, StatefulSet or Job",
		IDs:     []string{"pulumi:kubernetes.Pod.disallowPod"}, Types: []string{types.Pod},
		Resource: func(s *rule.Subject) {
			if s.Get("metadata", "ownerReferences").Empty() {
				s.Fail("does not belong to a workload")
			}
		},
	}}
}

// noToken sets automountServiceAccountToken to false where it is missing. A pod that needs its token must say so.
func noToken(s *rule.Subject, inputs property.Map) (property.Map, bool) {
	path := []string{"spec", "template", "spec"}
	switch s.Type() {
	case types.ServiceAccount:
		path = nil
	case types.Pod:
		path = []string{"spec"}
	case types.PodTemplate:
		path = []string{"template", "spec"}
	case types.CronJob:
		path = []string{"spec", "jobTemplate", "spec", "template", "spec"}
	}
	return set(inputs, property.New(false), append(path, "automountServiceAccountToken")...)
}

// set sets a value at a path of existing objects.
func set(object property.Map, value property.Value, path ...string) (property.Map, bool) {
	key := path[0]
	if len(path) == 1 {
		return object.Set(key, value), true
	}
	inner := object.Get(key)
	if !inner.IsMap() {
		return object, false
	}
	changed, ok := set(inner.AsMap(), value, path[1:]...)
	return object.Set(key, property.WithGoValue(inner, changed)), ok
}
