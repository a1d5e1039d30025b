package workload

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	corev1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/core/v1"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"dbtier/components/fault"
	"dbtier/validation"
)

// Scheduling says on which nodes pods run, with which priority, and with which secrets their images are pulled.
type Scheduling struct {
	// NodeSelector are the labels that a node must have. Default: any node.
	NodeSelector map[string]string `json:"nodeSelector" example:"{kubernetes.io/arch: arm64}"`
	// Tolerations let the pods run on nodes with these taints. Default none.
	Tolerations []Toleration `json:"tolerations"`
	// Affinity is nodeAffinity, podAffinity and podAntiAffinity as in Kubernetes' pod spec. Default none.
	Affinity map[string]any `json:"affinity" example:"{nodeAffinity: {}}"`
	// TopologySpread spreads the pods of a Deployment. Default: over zones, and the pool over nodes too, as far as
	// possible.
	TopologySpread []TopologySpread `json:"topologySpread"`
	// PriorityClassName of the pods. Default: the cluster's default.
	PriorityClassName string `json:"priorityClassName" example:"business-critical"`
	// ImagePullSecrets are the names of Secrets of the pods' namespace. Default: those of the node.
	ImagePullSecrets []string `json:"imagePullSecrets" example:"[registry]"`
}

// Toleration lets pods run on nodes with a taint.
type Toleration struct {
	// Key of the taint. Default: any, with operator Exists.
	Key string `json:"key" example:"dedicated"`
	// Operator is Equal (default) or Exists, which accepts any value.
	Operator string `json:"operator"`
	// Value of the taint.
	Value string `json:"value" example:"database"`
	// Effect of the taint: NoSchedule, PreferNoSchedule or NoExecute. Default: any.
	Effect string `json:"effect"`
	// TolerationSeconds is how long a pod stays after a node got the taint, with effect NoExecute. Default 0: for good.
	TolerationSeconds int `json:"tolerationSeconds" example:"60"`
}

// TopologySpread spreads pods over the domains of a topology.
type TopologySpread struct {
	// TopologyKey is the label of nodes whose value is their domain, such as topology.kubernetes.io/zone.
	TopologyKey string `json:"topologyKey" example:"topology.kubernetes.io/zone"`
	// MaxSkew is how many more pods one domain may have than another, 1 to 1000.
	MaxSkew int `json:"maxSkew" example:"1"`
	// WhenUnsatisfiable is ScheduleAnyway, which only prefers the spread, or DoNotSchedule.
	WhenUnsatisfiable string `json:"whenUnsatisfiable"`
}

// Over returns the scheduling with the fields that were left out taken from another.
func (s Scheduling) Over(base Scheduling) Scheduling {
	if len(s.NodeSelector) == 0 {
		s.NodeSelector = base.NodeSelector
	}
	if len(s.Tolerations) == 0 {
		s.Tolerations = base.Tolerations
	}
	if len(s.Affinity) == 0 {
		s.Affinity = base.Affinity
	}
	if len(s.TopologySpread) == 0 {
		s.TopologySpread = base.TopologySpread
	}
	if s.PriorityClassName == "" {
		s.PriorityClassName = base.PriorityClassName
	}
	if len(s.ImagePullSecrets) == 0 {
		s.ImagePullSecrets = base.ImagePullSecrets
	}
	return s
}

// Validate returns every fault.
func (s Scheduling) Validate() error {
	var faults fault.List
	for _, key := range slices.Sorted(maps.Keys(s.NodeSelector)) {
		checkSelector(&faults, "nodeSelector", key, s.NodeSelector[key])
	}
	for i := range s.Tolerations {
		faults.Within(fmt.Sprintf("tolerations[%d]", i), s.Tolerations[i].validate())
	}
	if affinity, err := readAffinity(s.Affinity); err != nil {
		faults.Add("affinity", nil, "%s; want nodeAffinity, podAffinity and podAntiAffinity as in Kubernetes' pod spec",
			err)
	} else {
		checkAffinity(&faults, affinity)
	}
	for i, spread := range s.TopologySpread {
		at := fmt.Sprintf("topologySpread[%d]", i)
		faults.Form(at+".topologyKey", spread.TopologyKey, validation.LabelKey)
		faults.Between(at+".maxSkew", spread.MaxSkew, 1, 1000, "pods")
		fault.OneOf(&faults, at+".whenUnsatisfiable", spread.WhenUnsatisfiable, "ScheduleAnyway", "DoNotSchedule")
	}
	faults.OptionalForm("priorityClassName", s.PriorityClassName, validation.ObjectName)
	faults.Names("imagePullSecrets", s.ImagePullSecrets, validation.ObjectName)
	return faults.Err()
}

func checkSelector(faults *fault.List, path, key, value string) {
	faults.Check(validation.LabelKey.Matches(key) && validation.LabelValue.Matches(value), path, key+"="+value,
		"want a label of nodes, such as kubernetes.io/arch=arm64")
}

func (t *Toleration) validate() error {
	var faults fault.List
	fault.OneOf(&faults, "operator", t.Operator, "", "Equal", "Exists")
	fault.OneOf(&faults, "effect", t.Effect, "", "NoSchedule", "PreferNoSchedule", "NoExecute")
	faults.OptionalForm("key", t.Key, validation.LabelKey)
	faults.Check(t.Key != "" || t.Operator == "Exists", "key", t.Key,
		"is missing; without a key only operator Exists is possible, which tolerates every taint")
	faults.Form("value", t.Value, validation.LabelValue)
	faults.Check(t.Value == "" || t.Operator != "Exists", "value", t.Value,
		"has no effect with operator Exists; remove one of them")
	faults.Between("tolerationSeconds", t.TolerationSeconds, 0, 1<<31-1, "seconds")
	faults.Check(t.TolerationSeconds <= 0 || t.Effect == "NoExecute", "tolerationSeconds", t.TolerationSeconds,
		"is possible with effect NoExecute only")
	return faults.Err()
}

// readAffinity returns an affinity by Kubernetes' names.
func readAffinity(given map[string]any) (*corev1.Affinity, error) {
	text, err := json.Marshal(given)
	if err != nil {
		return nil, err
	}
	var affinity corev1.Affinity
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&affinity); err != nil {
		return nil, err
	}
	return &affinity, nil
}

// checkAffinity checks what Kubernetes requires and refuses only when pods are created.
func checkAffinity(faults *fault.List, affinity *corev1.Affinity) {
	expressions := func(at string, requirements []corev1.NodeSelectorRequirement) {
		for i, r := range requirements {
			path := fmt.Sprintf("%s[%d]", at, i)
			faults.Check(r.Key != "", path+".key", r.Key, "is missing")
			fault.OneOf(faults, path+".operator", r.Operator, "In", "NotIn", "Exists", "DoesNotExist", "Gt", "Lt")
		}
	}
	terms := func(at string, term corev1.NodeSelectorTerm) {
		expressions(at+".matchExpressions", term.MatchExpressions)
		expressions(at+".matchFields", term.MatchFields)
	}
	pods := func(at string, required []corev1.PodAffinityTerm, preferred []corev1.WeightedPodAffinityTerm) {
		for i, term := range required {
			faults.Form(fmt.Sprintf("%s.requiredDuringSchedulingIgnoredDuringExecution[%d].topologyKey", at, i),
				term.TopologyKey, validation.LabelKey)
		}
		for i, term := range preferred {
			path := fmt.Sprintf("%s.preferredDuringSchedulingIgnoredDuringExecution[%d]", at, i)
			faults.Between(path+".weight", term.Weight, 1, 100, "")
			faults.Form(path+".podAffinityTerm.topologyKey", term.PodAffinityTerm.TopologyKey, validation.LabelKey)
		}
	}
	if node := affinity.NodeAffinity; node != nil {
		if required := node.RequiredDuringSchedulingIgnoredDuringExecution; required != nil {
			at := "affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms"
			faults.Check(len(required.NodeSelectorTerms) > 0, at, nil, "is missing: no node would do")
			for i, term := range required.NodeSelectorTerms {
				terms(fmt.Sprintf("%s[%d]", at, i), term)
			}
		}
		for i, term := range node.PreferredDuringSchedulingIgnoredDuringExecution {
			at := fmt.Sprintf("affinity.nodeAffinity.preferredDuringSchedulingIgnoredDuringExecution[%d]", i)
			faults.Between(at+".weight", term.Weight, 1, 100, "")
			terms(at+".preference", term.Preference)
		}
	}
	if with := affinity.PodAffinity; with != nil {
		pods("affinity.podAffinity", with.RequiredDuringSchedulingIgnoredDuringExecution,
			with.PreferredDuringSchedulingIgnoredDuringExecution)
	}
	if from := affinity.PodAntiAffinity; from != nil {
		pods("affinity.podAntiAffinity", from.RequiredDuringSchedulingIgnoredDuringExecution,
			from.PreferredDuringSchedulingIgnoredDuringExecution)
	}
}

// Schedule sets where the pods called name run. spread is how they are spread if the scheduling does not say it. It is
// a function for the same reason as podOf. The scheduling must be valid.
func Schedule(spec *corev1.PodSpecArgs, on Scheduling, name string, spread ...*corev1.TopologySpreadConstraintArgs) {
	if len(on.NodeSelector) > 0 {
		spec.NodeSelector = pulumi.ToStringMap(on.NodeSelector)
	}
	if len(on.Tolerations) > 0 {
		tolerations := corev1.TolerationArray{}
		for i := range on.Tolerations {
			tolerations = append(tolerations, tolerate(&on.Tolerations[i]))
		}
		spec.Tolerations = tolerations
	}
	if affinity, err := readAffinity(on.Affinity); err == nil && len(on.Affinity) > 0 {
		spec.Affinity = pulumi.String(name).ToStringOutput().ApplyT(func(string) *corev1.Affinity {
			return affinity
		}).(corev1.AffinityPtrOutput)
	}
	if len(on.TopologySpread) > 0 {
		spread = nil
		for _, s := range on.TopologySpread {
			constraint := Spread(name, s.TopologyKey)
			// Without it, the old pods of an update, which are about to go, would push the new ones together.
			constraint.MatchLabelKeys = pulumi.ToStringArray([]string{"pod-template-hash"})
			constraint.MaxSkew, constraint.WhenUnsatisfiable = pulumi.Int(s.MaxSkew), pulumi.String(s.WhenUnsatisfiable)
			spread = append(spread, constraint)
		}
	}
	if len(spread) > 0 {
		constraints := corev1.TopologySpreadConstraintArray{}
		for _, constraint := range spread {
			constraints = append(constraints, constraint)
		}
		spec.TopologySpreadConstraints = constraints
	}
	if on.PriorityClassName != "" {
		spec.PriorityClassName = pulumi.String(on.PriorityClassName)
	}
	if len(on.ImagePullSecrets) > 0 {
		secrets := corev1.LocalObjectReferenceArray{}
		for _, secret := range on.ImagePullSecrets {
			secrets = append(secrets, &corev1.LocalObjectReferenceArgs{Name: pulumi.String(secret)})
		}
		spec.ImagePullSecrets = secrets
	}
}

func tolerate(t *Toleration) *corev1.TolerationArgs {
	optional := func(text string) pulumi.StringPtrInput {
		if text == "" {
			return nil
		}
		return pulumi.String(text)
	}
	args := &corev1.TolerationArgs{
		Key: optional(t.Key), Operator: optional(t.Operator), Value: optional(t.Value), Effect: optional(t.Effect),
	}
	if t.TolerationSeconds > 0 {
		args.TolerationSeconds = pulumi.Int(t.TolerationSeconds)
	}
	return args
}
