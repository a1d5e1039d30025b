package guard

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/pulumi/pulumi/sdk/v3/go/common/apitype"

	"dbtier/internal/progress"
)

// holders are the types of resources that hold data, and what goes with them.
var holders = map[string]string{
	"aws:rds/instance:Instance": "the database",
	"aws:rds/cluster:Cluster":   "the database",
	"aws:rds/snapshot:Snapshot": "a snapshot of the database",
	"aws:kms/key:Key": "the key that storage, backups and secrets are " +
		"encrypted with",
	"aws:secretsmanager/secret:Secret": "a secret",
	"aws:rds/proxy:Proxy": "the pool in use, with every connection of the " +
		"service",
	"kubernetes:core/v1:Secret":                        "a secret",
	"kubernetes:core/v1:Namespace":                     "a namespace, with everything in it",
	"kubernetes:core/v1:PersistentVolumeClaim":         "a volume",
	"kubernetes:external-secrets.io/v1:ExternalSecret": "a secret that services log in with",
	"kubernetes:apiextensions.k8s.io/v1:CustomResourceDefinition": "a definition, with every object of its kind in " +
		"the cluster",
}

// The pool's Deployment is one of many; its component is in its URN.
const (
	poolComponent = "dbtier:components:PgBouncerPool$"
	deployment    = "kubernetes:apps/v1:Deployment"
)

// Holds says what would go with a resource, and whether it holds anything.
func Holds(urn, resourceType string) (what string, ok bool) {
	if resourceType == deployment && strings.Contains(urn, poolComponent) {
		return "the pool in use, with every connection of the service", true
	}
	what, ok = holders[resourceType]
	return what, ok
}

// Loss is a resource that a run would take away, with what it holds.
type Loss struct {
	URN  string `json:"urn"`
	Type string `json:"type"`
	Name string `json:"name"`
	// Op is delete or replace.
	Op apitype.OpType `json:"op"`
	// What goes with it.
	What string `json:"what"`
	// Because are the properties whose change forces the replacement.
	Because []string `json:"because,omitempty"`
	// Allowed says that the person has named it.
	Allowed bool `json:"allowed"`
}

// String is the loss on one line.
func (l Loss) String() string {
	doing := "is deleted"
	if l.Op == apitype.OpReplace {
		doing = "is replaced by an empty one"
		if len(l.Because) > 0 {
			doing += " because of " + strings.Join(l.Because, ", ")
		}
	}
	return fmt.Sprintf("%s %s: %s", progress.Subject(l.URN), doing, l.What)
}

// Losses finds in the steps of a run what it would take away. What only leaves the state is none. Allowed are names or
// URNs of resources whose loss the person means.
func Losses(steps []progress.Step, allowed []string) []Loss {
	var losses []Loss
	for _, step := range steps {
		op := apitype.OpDelete
		switch step.Op {
		case apitype.OpDelete:
		case apitype.OpReplace, apitype.OpDeleteReplaced, apitype.OpCreateReplacement:
			op = apitype.OpReplace
		default:
			continue
		}
		what, holds := Holds(step.URN, step.Type)
		if !holds || op == apitype.OpDelete && (step.Retained || hasSuccessor(steps, step)) {
			continue
		}
		at := slices.IndexFunc(losses, func(l Loss) bool { return l.URN == step.URN && l.Op == op })
		if at < 0 {
			losses = append(losses, Loss{
				URN: step.URN, Type: step.Type, Name: step.Name, Op: op, What: what,
				Allowed: slices.ContainsFunc(allowed, func(name string) bool { return named(step.URN, name) }),
			})
			at = len(losses) - 1
		}
		for _, reason := range step.Because {
			if !slices.Contains(losses[at].Because, reason) {
				losses[at].Because = append(losses[at].Because, reason)
			}
		}
	}
	return losses
}

// externalSecret is the type of what services log in with.
const externalSecret = "kubernetes:external-secrets.io/v1:ExternalSecret" //nolint:gosec // a type, no secret

// generation is the number at the end of a resource's name.
var generation = regexp.MustCompile(`-\d+$`)

// hasSuccessor reports whether a secret goes because its next generation comes in the same run: a rotation is no loss.
func hasSuccessor(steps []progress.Step, gone progress.Step) bool {
	of := generation.ReplaceAllString(gone.URN, "")
	return gone.Type == externalSecret && of != gone.URN && slices.ContainsFunc(steps, func(s progress.Step) bool {
		return s.Op == apitype.OpCreate && s.Type == gone.Type && s.URN != gone.URN &&
			generation.ReplaceAllString(s.URN, "") == of
	})
}

// Refused are the losses that nobody allowed.
func Refused(losses []Loss) []Loss {
	return slices.DeleteFunc(slices.Clone(losses), func(l Loss) bool { return l.Allowed })
}

// Refusal is the error that names each loss and what allows it.
func Refusal(stack string, refused []Loss) string {
	var out strings.Builder
	fmt.Fprintf(&out, "stack %s: nothing was changed, because data would be lost:", stack)
	var flags []string
	for _, l := range refused {
		fmt.Fprintf(&out, "\n  %s", l)
		if flag := "--allow-data-loss " + l.Name; !slices.Contains(flags, flag) {
			flags = append(flags, flag)
		}
	}
	fmt.Fprintf(&out, "\nif that is meant, add: %s", strings.Join(flags, " "))
	return out.String()
}

// Obstacle is what keeps a resource from being destroyed, and the way on.
type Obstacle struct {
	URN    string `json:"urn"`
	Reason string `json:"reason"`
	Fix    string `json:"fix"`
}

// String is the obstacle for people, on two lines.
func (o Obstacle) String() string {
	return fmt.Sprintf("%s %s\n    %s", progress.Subject(o.URN), o.Reason, o.Fix)
}

// State is a stack's state as the engine exports it, or as a backend of files keeps it.
type State struct {
	Resources []struct {
		URN            string         `json:"urn"`
		Type           string         `json:"type"`
		Delete         bool           `json:"delete"`
		Protect        bool           `json:"protect"`
		RetainOnDelete bool           `json:"retainOnDelete"`
		Inputs         map[string]any `json:"inputs"`
	} `json:"resources"`
}

// ReadState reads an exported state or a state file.
func ReadState(text []byte) (*State, error) {
	if len(text) == 0 {
		return &State{}, nil
	}
	var either struct {
		Deployment *State `json:"deployment"`
		Checkpoint struct {
			Latest *State `json:"latest"`
		} `json:"checkpoint"`
	}
	if err := json.Unmarshal(text, &either); err != nil {
		return nil, fmt.Errorf("reading the state: %w", err)
	}
	for _, state := range []*State{either.Deployment, either.Checkpoint.Latest} {
		if state != nil {
			return state, nil
		}
	}
	return &State{}, nil
}

// HoldsData reports whether anything in the state holds data.
func (s *State) HoldsData() bool {
	for _, r := range s.Resources {
		if _, holds := Holds(r.URN, r.Type); holds {
			return true
		}
	}
	return false
}

// Obstacles lists what keeps the state's resources from being destroyed. Without targets all are meant.
func (s *State) Obstacles(stack string, targets []string) []Obstacle {
	var found []Obstacle
	for _, r := range s.Resources {
		if r.Delete || len(targets) > 0 && !slices.ContainsFunc(targets,
			func(name string) bool { return named(r.URN, name) }) {
			continue
		}
		if r.Protect {
			found = append(found, Obstacle{
				URN: r.URN, Reason: "is protected in the state",
				Fix: fmt.Sprintf("unprotect it: pulumi state unprotect --stack %s '%s'", stack, r.URN),
			})
		}
		if r.Inputs["deletionProtection"] == true && !r.RetainOnDelete {
			found = append(found, Obstacle{
				URN: r.URN, Reason: "has deletion protection, with which AWS refuses to delete it",
				Fix: fmt.Sprintf(
					"take it off: set dbtier:database.deletionProtection: false in Pulumi.%s.yaml, then dbtier up "+
						"--stack %s", stack, stack,
				),
			})
		}
	}
	return found
}

// named reports whether a person who says name, a URN or its last part, means the resource.
func named(urn, name string) bool { return urn == name || strings.HasSuffix(urn, "::"+name) }
