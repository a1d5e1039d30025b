package guard

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/pulumi/pulumi/sdk/v3/go/common/apitype"
	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"

	"dbtier/components/contract"
	"dbtier/internal/progress"
)

// Object is an object of Kubernetes: its names, and for one of the cluster whose it is.
type Object struct {
	APIVersion string   `json:"apiVersion"`
	Kind       string   `json:"kind"`
	Metadata   Metadata `json:"metadata"`
}

// Metadata is the part of an object's metadata that a conflict needs.
type Metadata struct {
	Name              string            `json:"name"`
	Namespace         string            `json:"namespace,omitempty"`
	Labels            map[string]string `json:"labels,omitempty"`
	Annotations       map[string]string `json:"annotations,omitempty"`
	DeletionTimestamp string            `json:"deletionTimestamp,omitempty"`
	ManagedFields     []ManagedField    `json:"managedFields,omitempty"`
}

// ManagedField names a client that has written fields of an object, and the fields.
type ManagedField struct {
	Manager     string         `json:"manager"`
	Operation   string         `json:"operation,omitempty"`
	Subresource string         `json:"subresource,omitempty"`
	Time        string         `json:"time,omitempty"`
	FieldsV1    map[string]any `json:"fieldsV1,omitempty"`
}

// ID is the object's id at the Kubernetes provider.
func (o Object) ID() string {
	if o.Metadata.Namespace == "" {
		return o.Metadata.Name
	}
	return o.Metadata.Namespace + "/" + o.Metadata.Name
}

// is reports whether two objects have the same names. The API server answers without the namespace that a manifest
// gives to an object of the cluster, and with "default" for one that a manifest leaves out.
func (o Object) is(other Object) bool {
	a, b := o.Metadata.Namespace, other.Metadata.Namespace
	return o.APIVersion == other.APIVersion && o.Kind == other.Kind && o.Metadata.Name == other.Metadata.Name &&
		(a == b || a == "" || b == "")
}

// owner describes whose the object is, as far as it says so.
func (o Object) owner() string {
	var parts []string
	labels := o.Metadata.Labels
	if release := o.Metadata.Annotations["meta.helm.sh/release-name"]; release != "" {
		parts = append(parts, "Helm release "+release+" in namespace "+
			o.Metadata.Annotations["meta.helm.sh/release-namespace"])
	} else if manager := labels[contract.ManagedByLabel]; manager != "" {
		parts = append(parts, "managed by "+manager)
		if instance := labels["app.kubernetes.io/instance"]; instance != "" {
			parts = append(parts, "instance "+instance)
		}
	}
	if whole := labels[contract.PartOfLabel]; whole != "" {
		parts = append(parts, "part of "+whole)
	}
	var writers []string
	for _, entry := range o.Metadata.ManagedFields {
		if entry.Subresource == "" && !slices.Contains(writers, entry.Manager) {
			writers = append(writers, entry.Manager)
		}
	}
	if len(writers) > 0 {
		parts = append(parts, "written by "+strings.Join(writers, " and "))
	}
	return strings.Join(parts, ", ")
}

// Creation is an object that a run would create.
type Creation struct {
	URN    string
	Object Object
	// manager is the field manager that the local cloud's provider gives to the object. The provider takes over an
	// object that has it: an interrupted run has created it, or it is a definition that has outlived the stack.
	manager string
}

const (
	// providerType is the type of the Kubernetes provider among a stack's resources.
	providerType  = "pulumi:providers:kubernetes"
	namespaceType = "kubernetes:core/v1:Namespace"
)

// Creations returns the objects of Kubernetes that the steps would create and that must not exist: not those that the
// stack has already, and none if the provider takes over whatever exists (operator.adopt).
func Creations(steps []progress.Step) []Creation {
	var own []Object
	provider := ""
	for _, step := range steps {
		if step.Type == providerType {
			if fmt.Sprint(step.Inputs["upsertExistingObjects"]) == "true" {
				return nil
			}
			provider = step.ID
		}
		if object, ok := objectOf(step.Before); ok && strings.HasPrefix(step.Type, "kubernetes:") {
			own = append(own, object)
		}
	}
	var creations []Creation
	for _, step := range steps {
		creates := step.Op == apitype.OpCreate || step.Op == apitype.OpCreateReplacement
		// A resource of a Patch type writes fields of an object that must exist.
		if !creates || !strings.HasPrefix(step.Type, "kubernetes:") || strings.HasSuffix(step.Type, "Patch") {
			continue
		}
		if object, ok := objectOf(step.Inputs); ok && !slices.ContainsFunc(own, object.is) {
			creations = append(creations, Creation{
				URN: step.URN, Object: object, manager: fieldManager(provider, step.URN, step.Inputs),
			})
		}
	}
	return creations
}

// objectOf reads the names from a resource's properties. It returns false if they are no object, or not known yet.
func objectOf(properties map[string]any) (object Object, ok bool) {
	metadata, _ := properties["metadata"].(map[string]any)
	object.APIVersion, _ = properties["apiVersion"].(string)
	object.Kind, _ = properties["kind"].(string)
	object.Metadata.Name, _ = metadata["name"].(string)
	object.Metadata.Namespace, _ = metadata["namespace"].(string)
	named := object.APIVersion != "" && object.Kind != "" && object.Metadata.Name != ""
	return object, named && !progress.IsUnknown(object.Metadata.Name) && !progress.IsUnknown(object.Metadata.Namespace)
}

// fieldManager is the field manager that the local cloud's provider derives from an object's URN and the id of the
// provider resource (localcloud/internal/kubeprovider). Other providers have other names.
func fieldManager(provider, urn string, inputs map[string]any) string {
	policy, _ := progress.At(inputs, `metadata.annotations["helm.sh/resource-policy"]`)
	if policy == "keep" {
		provider = ""
	}
	sum := sha256.Sum256([]byte(provider + " " + urn))
	return "pulumi-kubernetes-" + hex.EncodeToString(sum[:6])
}

// Conflict is an object that a run would create and that exists already.
type Conflict struct {
	URN string `json:"urn"`
	// Object is the kind and the name.
	Object string `json:"object"`
	// Owner is whose the object is, as far as it says so.
	Owner string `json:"owner,omitempty"`
	// Fix is the setting or the command that solves the conflict without deleting the object.
	Fix string `json:"fix"`
}

// String describes the conflict on one line, without the fix.
func (c Conflict) String() string {
	if c.Owner == "" {
		return c.Object
	}
	return c.Object + " (" + c.Owner + ")"
}

// Conflicts returns those of the creations that meet an object of the cluster, unless that object is being deleted.
func Conflicts(creations []Creation, found []Object, stack string) []Conflict {
	var meets []Creation
	var conflicts []Conflict
	for _, creation := range creations {
		at := slices.IndexFunc(found, creation.Object.is)
		if at < 0 || found[at].Metadata.DeletionTimestamp != "" || creation.takenOver(found[at]) {
			continue
		}
		object := creation.Object
		object.Metadata.Namespace = found[at].Metadata.Namespace
		meets = append(meets, creation)
		conflicts = append(conflicts, Conflict{
			URN: creation.URN, Object: object.Kind + " " + object.ID(), Owner: found[at].owner(),
			Fix: remedy(creation.URN, object.ID(), stack),
		})
	}
	// Definitions alone are what an operator has left, and anybody can have made the namespace. With anything else, the
	// cluster has an operator.
	operates := slices.ContainsFunc(meets, func(c Creation) bool {
		return strings.Contains(c.URN, operatorComponent) && c.Object.Kind != "CustomResourceDefinition" &&
			c.Object.Kind != "Namespace"
	})
	for i := range conflicts {
		if operates && strings.Contains(conflicts[i].URN, operatorComponent) {
			conflicts[i].Fix = useOperator(stack)
		}
	}
	return conflicts
}

// takenOver reports whether the local cloud's provider takes over the existing object.
func (c Creation) takenOver(existing Object) bool {
	return slices.ContainsFunc(existing.Metadata.ManagedFields, func(entry ManagedField) bool {
		return entry.Manager == c.manager && entry.Subresource == ""
	})
}

// The components whose conflicts a setting solves. They are in the URNs of what they contain.
const (
	operatorComponent  = "dbtier:components:ExternalSecretsOperator$"
	namespaceComponent = "dbtier:components:ServiceNamespace$"
)

// remedy says how to bring up a stack although something exists that it would create, without deleting it.
func remedy(urn, id, stack string) string {
	at := resource.URN(urn)
	if !at.IsValid() {
		return ""
	}
	file := "Pulumi." + stack + ".yaml"
	own := fmt.Sprintf("if it is this stack's own, such as after the loss of its state: dbtier import --stack %s %s "+
		"%s %s", stack, at.Type(), at.Name(), id)
	switch {
	case strings.Contains(urn, operatorComponent) && at.Type() == definitionType:
		return fmt.Sprintf("if no operator works in the cluster, these definitions have outlived it: set "+
			"dbtier:operator.adopt: true in %s for one update; otherwise the cluster has an operator of another "+
			"owner: set dbtier:operator.install: false", file)
	case strings.Contains(urn, operatorComponent) && at.Type() == namespaceType:
		return fmt.Sprintf("if an External Secrets Operator works in the cluster, set dbtier:operator.install: false "+
			"in %s; otherwise set another dbtier:operator.namespace", file)
	case strings.Contains(urn, operatorComponent):
		return useOperator(stack)
	case strings.Contains(urn, namespaceComponent) && at.Type() == namespaceType:
		return fmt.Sprintf("to share the namespace, set dbtier:service.existingNamespace: true in %s; otherwise set "+
			"another dbtier:service.namespace; %s", file, own)
	case strings.HasPrefix(string(at.Type()), "kubernetes:"):
		return fmt.Sprintf("%s; otherwise set another dbtier:service.name, dbtier:consumer.name or dbtier:pool.name "+
			"in %s, from which the names follow", own, file)
	case at.Type() == instance:
		return fmt.Sprintf("%s; otherwise set another dbtier:database.identifier in %s", own, file)
	default:
		return fmt.Sprintf("%s; otherwise set another dbtier:service.name or dbtier:environment in %s, from which the "+
			"names follow", own, file)
	}
}

func useOperator(stack string) string {
	return fmt.Sprintf("the cluster has an External Secrets Operator of another owner; to use it, set "+
		"dbtier:operator.install: false in Pulumi.%s.yaml; to take it over for good, set dbtier:operator.adopt: true "+
		"for one update", stack)
}

// conflictsShown is the number of conflicts with the same fix that are listed for people.
const conflictsShown = 8

// ByFix returns the conflicts with the same fix together, in the order of their first.
func ByFix(conflicts []Conflict) [][]Conflict {
	var groups [][]Conflict
	for _, conflict := range conflicts {
		same := func(group []Conflict) bool { return group[0].Fix == conflict.Fix }
		if at := slices.IndexFunc(groups, same); at >= 0 {
			groups[at] = append(groups[at], conflict)
		} else {
			groups = append(groups, []Conflict{conflict})
		}
	}
	return groups
}

// ConflictLines describes conflicts for people: those with the same fix together.
func ConflictLines(conflicts []Conflict) []string {
	var lines []string
	for _, group := range ByFix(conflicts) {
		for _, conflict := range group[:min(len(group), conflictsShown)] {
			lines = append(lines, conflict.String())
		}
		if more := len(group) - conflictsShown; more > 0 {
			lines = append(lines, fmt.Sprintf("and %d more; --json lists all", more))
		}
		lines = append(lines, "  fix: "+group[0].Fix)
	}
	return lines
}

// invalid matches what providers say of an update that the API server refuses because the object would not be valid.
var invalid = regexp.MustCompile(`(?i)\bis invalid: `)

// Refuses reports whether a provider's error on a resource is the API server's refusal of an object that would not be
// valid. An apply merges what the program writes with what others have written, so that an object can be invalid
// although the program is right: two ports with one name, or a variable with a value and a source.
func Refuses(urn, message string) bool {
	head, _, _ := strings.Cut(message, "\n")
	return isOfCluster(urn) && invalid.MatchString(head)
}

func isOfCluster(urn string) bool {
	return strings.Contains(urn, "$kubernetes:") || strings.Contains(urn, "::kubernetes:")
}

// meetsExisting matches what providers say of a creation that meets something of the same name: the API server, Helm,
// and the services of AWS, each of which has its own error code.
var meetsExisting = regexp.MustCompile(`(?i)already ?exists?|ResourceExistsException|InvalidGroup\.Duplicate|` +
	`cannot be imported into the current release`)

// advisesDeletion matches an advice to delete.
var advisesDeletion = regexp.MustCompile(`(?i)\b(delete|remove)\b`)

// Explain returns a provider's error on a resource of the stack. If something exists that the resource would create, it
// adds what to do, and warns of an advice to delete it. Any other error stays as it is.
func Explain(urn, message, stack string) string {
	head := message
	if isOfCluster(urn) {
		// The rest of a message can be the log of a pod, whose program meets things of its own.
		head, _, _ = strings.Cut(message, "\n")
	}
	fix := remedy(urn, "<id>", stack)
	if fix == "" || !meetsExisting.MatchString(head) {
		return message
	}
	explained := message + "\nconflict: it exists already and is not in the state of stack " + stack + ": " + fix
	if advisesDeletion.MatchString(message) {
		explained += "\ndo not follow the advice to delete it before you know its owner: that destroys what the " +
			"owner uses"
	}
	return explained
}
