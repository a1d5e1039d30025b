package kubernetes

import (
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/pulumi/pulumi/sdk/v3/go/property"

	"dbtier/policy/internal/pods"
	"dbtier/policy/rule"
)

// podQuality are what pods need to run well.
func podQuality() []*rule.Rule {
	serverRule := func(r *rule.Rule) *rule.Rule {
		r.Types = pods.Servers
		return exempting(r)
	}
	return []*rule.Rule{
		serverRule(podRule("k8s-readiness-probe", "A server says when it takes requests.",
			"Without a readiness probe a Service sends requests to pods that are still starting, and a rolling "+
				"update loses some.",
			"add a readinessProbe", rule.Medium, rule.InProduction, []string{"CKV_K8S_9", "kyverno:require-probes"},
			serving(func(container rule.Value) { present(container.Get("readinessProbe")) }))),
		serverRule(podRule("k8s-liveness-probe", "A server that hangs is started again.",
			"Without a liveness probe it hangs until somebody looks.",
			"add a livenessProbe that fails later than readiness does",
			rule.Low, rule.AdviceInProduction,
			[]string{"CKV_K8S_8"},
			serving(func(container rule.Value) { present(container.Get("livenessProbe")) }))),
		serverRule(podRule("k8s-probes-differ", "Liveness is not the same probe as readiness.",
			"Then a server that is only busy is killed, and the others get its load.",
			"give liveness another question or more failures", rule.Low, rule.InProduction,
			[]string{"kyverno:ensure-probes-different"},
			serving(func(container rule.Value) {
				liveness, readiness := container.Get("livenessProbe"), container.Get("readinessProbe")
				if !liveness.Known() || !readiness.Known() || liveness.Missing() || readiness.Missing() {
					return
				}
				if reflect.DeepEqual(flat(liveness), flat(readiness)) {
					liveness.Fail("is the same as readinessProbe")
				}
			}))),
		podRule("k8s-requests", "Containers say what CPU and memory they need.",
			"The scheduler puts pods where nothing is left, and kills them first when the node is short.",
			"set resources.requests.cpu and memory", rule.Medium, rule.InProduction,
			[]string{"CKV_K8S_10", "CKV_K8S_12", "KSV-0015", "KSV-0016", "kyverno:require-pod-requests-limits"},
			containers(func(_, container rule.Value) {
				for _, key := range []string{"cpu", "memory"} {
					present(container.Get("resources").Get("requests").Get(key))
				}
			})),
		podRule("k8s-memory-limit", "Containers have a limit on memory.",
			"A leak otherwise takes the node, and every pod on it.", "set resources.limits.memory", rule.Medium,
			rule.InProduction,
			[]string{"CKV_K8S_13", "KSV-0018"},
			containers(func(_, container rule.Value) {
				present(container.Get("resources").Get("limits").Get("memory"))
			})),
		podRule("k8s-cpu-limit", "Containers have a limit on CPU.",
			"Off by default: a limit slows a service down long before its node is full, and requests share the CPU "+
				"fairly.",
			"set resources.limits.cpu", rule.Low, rule.OptIn, []string{"CKV_K8S_11", "KSV-0011"},
			containers(func(_, container rule.Value) {
				present(container.Get("resources").Get("limits").Get("cpu"))
			})),
		podRule("k8s-image-tag", "Images have a tag that names a version.",
			"latest is another program tomorrow, and what ran before cannot be said.", "name a version or a digest",
			rule.Medium, rule.Always,
			[]string{"CKV_K8S_14", "KSV-0013", "kyverno:disallow-latest-tag"},
			containers(func(_, container rule.Value) {
				value := container.Get("image")
				image, ok := value.Text("")
				if !ok || image == "" {
					return
				}
				name, digest := image, false
				if at := strings.Index(image, "@"); at >= 0 {
					name, digest = image[:at], true
				}
				tag := name[strings.LastIndex(name, "/")+1:]
				_, tag, found := strings.Cut(tag, ":")
				if !digest && (!found || tag == "latest") {
					value.Fail("names no version")
				}
			})),
		podRule("k8s-image-digest", "Images are named by digest.",
			"Off by default: it needs a pipeline that looks digests up. A tag can be pushed again with other content.",
			"name the image with @sha256:…", rule.Low,
			rule.OptIn, []string{"CKV_K8S_43", "kyverno:require-image-checksum"},
			containers(func(_, container rule.Value) {
				if image, ok := container.Get("image").Text(""); ok && !strings.Contains(image, "@sha256:") {
					container.Get("image").Fail("has no digest")
				}
			})),
		func() *rule.Rule {
			r := podRule("k8s-image-registry", "Images come from registries that are trusted.",
				"An image is a program with the rights of its pod.", "copy the image to a registry of your own",
				rule.Medium, rule.Always,
				[]string{"KSV-0125", "kyverno:restrict-image-registries"},
				pod(func(s *rule.Subject, spec rule.Value) {
					trusted := s.Texts("registries")
					if len(trusted) == 0 {
						return
					}
					for _, container := range pods.Containers(spec) {
						image, ok := container.Get("image").Text("")
						from := func(prefix string) bool {
							return strings.HasPrefix(image,
								strings.TrimSuffix(prefix, "/")+"/")
						}
						if ok && !slices.ContainsFunc(trusted, from) {
							container.Get("image").Fail("is from none of %s", strings.Join(trusted, ", "))
						}
					}
				}))
			r.Knobs = []rule.Knob{{
				Name: "registries",
				Description: "What images may begin with, for example " +
					"123456789012.dkr.ecr.ap-northeast-2.amazonaws.com; none takes all.",
				Default: []string{},
			}}
			return r
		}(),
		podRule("k8s-service-account", "Pods have a ServiceAccount of their own.",
			"What one pod with the default account is given, all of them have.", "set serviceAccountName", rule.Medium,
			rule.InProduction,
			[]string{"CKV_K8S_41", "CKV_K8S_42"},
			pod(func(_ *rule.Subject, spec rule.Value) {
				value := spec.Get("serviceAccountName")
				if name, ok := value.Text(""); ok && (name == "" || name == "default") {
					value.Fail("the namespace's default account is used")
				}
			})),
		{
			Name: "k8s-service-account-token", Family: family, Knobs: []rule.Knob{pods.Exempt},
			Summary:  "Pods and ServiceAccounts say whether they need a token for the API server.",
			Why:      "Where nothing is said every pod has one, and with it whatever its account may do.",
			Fix:      "set automountServiceAccountToken to false, or the rule's level to remediate",
			Severity: rule.Medium, Levels: rule.Always,
			IDs:   []string{"CKV_K8S_38", "KSV-0036", "kyverno:restrict-automount-sa-token"},
			Types: append([]string{serviceAccount}, pods.All...),
			Needs: []string{"automountServiceAccountToken", "metadata", "spec"},
			Resource: func(s *rule.Subject) {
				value := s.Get("automountServiceAccountToken")
				if s.Type() == serviceAccount && pods.Exempted(s) {
					// Their pods say it.
					return
				}
				if s.Type() != serviceAccount {
					value = pods.Spec(s).Get("automountServiceAccountToken")
				}
				if value.Known() && value.Missing() {
					value.Fail("is missing: a token is mounted")
				}
			},
			Remedy: noToken,
		},
		podRule("k8s-empty-dir-limit", "Volumes of type emptyDir have a size.",
			"A volume without one fills the disk of the node, and every pod on it is evicted.",
			"set emptyDir.sizeLimit", rule.Low, rule.InProduction,
			[]string{"kyverno:add-emptydir-sizelimit"},
			pod(func(_ *rule.Subject, spec rule.Value) {
				for _, volume := range spec.Get("volumes").Items() {
					if empty := volume.Get("emptyDir"); empty.Given() {
						present(empty.Get("sizeLimit"))
					}
				}
			})),
		func() *rule.Rule {
			r := podRule("k8s-labels", "Objects that make pods have the recommended labels.",
				"Selectors, dashboards and people find things by them.", "set the labels", rule.Low, rule.Advice,
				[]string{"kyverno:require-labels", "pulumi:kubernetes.configureRecommendedLabels"},
				func(s *rule.Subject) {
					labels := s.Get("metadata", "labels")
					if !labels.Known() {
						return
					}
					for _, label := range s.Texts("labels") {
						present(labels.Get(label))
					}
				})
			r.Knobs = []rule.Knob{{
				Name: "labels", Description: "The labels that there must be.",
				Default: []string{"app.kubernetes.io/name", "app.kubernetes.io/managed-by"},
			}}
			return r
		}(),
		func() *rule.Rule {
			r := podRule("k8s-replicas", "A server has enough replicas that one may go.",
				"With one, every update of its node is an outage.", "raise replicas", rule.Low, rule.AdviceInProduction,
				[]string{"pulumi:kubernetes.configureMinimumReplicaCount"},
				func(s *rule.Subject) {
					if count, ok := s.Get("spec", "replicas").Number(1); ok && count < s.Number("minimum") {
						s.Get("spec", "replicas").Fail("want at least %v", s.Number("minimum"))
					}
				})
			r.Types = []string{pods.Deployment, pods.StatefulSet}
			r.Knobs = []rule.Knob{{Name: "minimum", Description: "How many replicas there are at least.", Default: 2.0}}
			return exempting(r)
		}(),
		{
			Name: "k8s-no-bare-pod", Family: family,
			Summary: "Pods belong to an object that makes them again.",
			Why:     "A bare pod goes with its node and does not come back.",
			Fix:     "use a Deployment, StatefulSet or Job", Severity: rule.Medium, Levels: rule.Always,
			IDs: []string{"pulumi:kubernetes.Pod.disallowPod"}, Types: []string{pods.Pod}, Needs: []string{"metadata"},
			Resource: func(s *rule.Subject) {
				if s.Get("metadata", "ownerReferences").Empty() {
					s.Fail("is a pod of its own")
				}
			},
		},
	}
}

// present is a rule that there is a value.
func present(value rule.Value) {
	if value.Empty() {
		value.Fail("is missing")
	}
}

// serving is a rule on the containers that serve, which probes are for: not those that run before.
func serving(judge func(container rule.Value)) func(*rule.Subject) {
	return pod(func(_ *rule.Subject, spec rule.Value) {
		for _, container := range spec.Get("containers").Items() {
			if container.Known() {
				judge(container)
			}
		}
	})
}

// flat is an object as its leaves by path below it.
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

// noToken says no, where nothing is said: a pod that needs its token then says so, and one that does not is safe.
func noToken(s *rule.Subject) (property.Map, bool) {
	no := property.New(false)
	properties := s.Properties()
	switch s.Type() {
	case serviceAccount:
		return properties.Set("automountServiceAccountToken", no), true
	case pods.Pod:
		return set(properties, no, "spec", "automountServiceAccountToken")
	case pods.CronJob:
		return set(properties, no, "spec", "jobTemplate", "spec", "template", "spec", "automountServiceAccountToken")
	default:
		return set(properties, no, "spec", "template", "spec", "automountServiceAccountToken")
	}
}

// set puts a value under a path of objects that are there.
func set(object property.Map, value property.Value, key string, more ...string) (property.Map, bool) {
	if len(more) == 0 {
		return object.Set(key, value), true
	}
	inner := object.Get(key)
	if !inner.IsMap() {
		return object, false
	}
	changed, ok := set(inner.AsMap(), value, more[0], more[1:]...)
	return object.Set(key, property.WithGoValue(inner, changed)), ok
}
