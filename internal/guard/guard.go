package guard

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/pulumi/pulumi/sdk/v3/go/common/apitype"

	"dbtier/internal/progress"
	"dbtier/internal/stackstate"
)

// instance is the type of a database instance.
const instance = "aws:rds/instance:Instance"

// holders are the types of resources that hold data, with what is lost with them.
var holders = map[string]string{
	instance:                    "the database",
	"aws:rds/cluster:Cluster":   "the database",
	"aws:rds/snapshot:Snapshot": "a snapshot of the database",
	keyType:                     "the key that encrypts storage, backups and secrets",

	logGroupType: "a log",

	"aws:secretsmanager/secret:Secret":                 "a secret",
	"aws:rds/proxy:Proxy":                              poolInUse,
	"kubernetes:core/v1:Secret":                        "a secret",
	"kubernetes:core/v1:Namespace":                     "a namespace, with everything in it",
	"kubernetes:core/v1:PersistentVolumeClaim":         "a volume",
	"kubernetes:external-secrets.io/v1:ExternalSecret": "a secret that services log in with",

	definitionType: "a definition, with every object of its kind in " +
		"the cluster",
}

const poolInUse = "the pool in use, with every connection of the service"

// The pool's Deployment is recognised by its component, which is in its URN.
const (
	poolComponent = "dbtier:components:PgBouncerPool$"
	deployment    = "kubernetes:apps/v1:Deployment"
)

// Holds returns what would be lost with a resource, and whether it holds anything.
func Holds(urn, resourceType string) (what string, ok bool) {
	if resourceType == deployment && strings.Contains(urn, poolComponent) {
		return poolInUse, true
	}
	what, ok = holders[resourceType]
	return what, ok
}

// Loss is a resource that a run would delete or replace, with the data that it holds.
type Loss struct {
	URN  string `json:"urn"`
	Type string `json:"type"`
	Name string `json:"name"`
	// Op is delete or replace, or create for a resource that is gone.
	Op apitype.OpType `json:"op"`
	// What describes the data that is lost with the resource.
	What string `json:"what"`
	// Because are the properties whose change forces the replacement.
	Because []string `json:"because,omitempty"`
	// Hint is how the change can be made without the loss, if there is a way.
	Hint string `json:"hint,omitempty"`
	// Allowed is true if --allow-data-loss names the resource.
	Allowed bool `json:"allowed"`
	// Protected is true if the engine refuses the step as long as it protects the resource.
	Protected bool `json:"protected,omitempty"`
}

// String describes the loss on one line.
func (l Loss) String() string {
	doing := "is deleted"
	switch l.Op {
	case apitype.OpCreate:
		doing = "is gone, and is created again, empty"
	case apitype.OpReplace:
		doing = "is replaced by an empty one"
		if len(l.Because) > 0 {
			doing += " because of " + strings.Join(l.Because, ", ")
		}
	default:
	}
	line := fmt.Sprintf("%s %s: %s", progress.Subject(l.URN), doing, l.What)
	if l.Hint != "" {
		line += " (" + l.Hint + ")"
	}
	return line
}

// Losses returns the losses of a run's steps: of what holds data, and of what the stack protects. A resource that is
// only removed from the state is not lost. Allowed are names or URNs of resources that may be lost.
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
		if !holds && step.Protected {
			what, holds = "what the stack protects", true
		}
		if !holds || step.Retained || op == apitype.OpDelete && hasSuccessor(steps, step) {
			continue
		}
		at := slices.IndexFunc(losses, func(l Loss) bool { return l.URN == step.URN && l.Op == op })
		if at < 0 {
			losses = append(losses, Loss{
				URN: step.URN, Type: step.Type, Name: step.Name, Op: op, What: what, Hint: hint(step),
				Protected: step.Protected, Allowed: isAllowed(step.URN, allowed),
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

// hint returns how the step's change can be made without a loss, or "".
func hint(step progress.Step) string {
	switch {
	case slices.Contains(step.Options, "retainOnDelete"):
		return "bring the stack up without this change first: then the old one is kept"
	case step.Type == instance && slices.Contains(step.Because, "identifier") && !restoring(step.Inputs):
		return "to keep the data, give dbtier:database.restore the old identifier as source"
	}
	return ""
}

// restoring reports whether an instance with these inputs begins as a copy.
func restoring(inputs map[string]any) bool {
	return inputs["snapshotIdentifier"] != nil || inputs["restoreToPointInTime"] != nil
}

// irreplaceable are the types whose data nothing in the stack can bring back.
var irreplaceable = []string{instance, "aws:rds/cluster:Cluster", keyType}

// Gone returns the losses that happened before the run: a database or a key that the state has and the run would create
// again, empty. A run sees that after a refresh. A database that begins as a copy is not empty.
func Gone(steps []progress.Step, s *stackstate.State, allowed []string) []Loss {
	known := map[string]bool{}
	for _, r := range s.Resources {
		known[r.URN] = true
	}
	var losses []Loss
	for _, step := range steps {
		if step.Op != apitype.OpCreate || !known[step.URN] || !slices.Contains(irreplaceable, step.Type) ||
			restoring(step.Inputs) {
			continue
		}
		loss := Loss{
			URN: step.URN, Type: step.Type, Name: step.Name, Op: step.Op, What: holders[step.Type],
			Allowed: isAllowed(step.URN, allowed),
		}
		if step.Type == instance {
			loss.Hint = "to begin with its data, set dbtier:database.restore to a snapshot or to its retained backups"
		}
		losses = append(losses, loss)
	}
	return losses
}

func isAllowed(urn string, allowed []string) bool {
	return slices.ContainsFunc(allowed, func(name string) bool { return progress.Matches(urn, name) })
}

// externalSecret is the type of the secrets that services log in with.
const externalSecret = "kubernetes:external-secrets.io/v1:ExternalSecret" //nolint:gosec // a type, no secret

// credential is the end of the names of the tier's own credentials, before their generation.
const credential = "-credential" //nolint:gosec // a part of a name, no secret

// generation is the number at the end of a resource's name.
var generation = regexp.MustCompile(`-\d+$`)

// hasSuccessor reports whether the secret's next generation comes with the run: a rotation loses nothing. The tier's
// own credentials have at most two generations, of which one may be there already if the rotation was interrupted.
// Other secrets can have a number at the end, too: there only a new one is a generation.
func hasSuccessor(steps []progress.Step, gone progress.Step) bool {
	of := generation.ReplaceAllString(gone.URN, "")
	ours := strings.HasSuffix(of, credential)
	return gone.Type == externalSecret && of != gone.URN && slices.ContainsFunc(steps, func(s progress.Step) bool {
		stays := s.Op == apitype.OpCreate || ours && (s.Op == apitype.OpSame || s.Op == apitype.OpUpdate)
		return stays && s.Type == gone.Type && s.URN != gone.URN && generation.ReplaceAllString(s.URN, "") == of
	})
}

// Refused returns the losses that are not allowed.
func Refused(losses []Loss) []Loss {
	return slices.DeleteFunc(slices.Clone(losses), func(l Loss) bool { return l.Allowed })
}

// Refusal is the message that names each loss and the flags that allow them.
func Refusal(stack string, refused []Loss) string {
	return fmt.Sprintf("stack %s: nothing was changed, because data would be lost:%s\nif you want this, add: %s", stack,
		list(refused), allowing(refused))
}

// Unhealed says for a repair what [Refusal] says for an update: a repair has no flags that allow losses.
func Unhealed(stack string, refused []Loss) string {
	return fmt.Sprintf("data would be lost:%s\nif you want this, run `dbtier up --stack %s --refresh %s`",
		list(refused), stack, allowing(refused))
}

// allowing returns the flags of up that allow the losses.
func allowing(losses []Loss) string {
	var flags []string
	for _, l := range losses {
		if flag := "--allow-data-loss " + l.Name; !slices.Contains(flags, flag) {
			flags = append(flags, flag)
		}
	}
	return strings.Join(flags, " ")
}

// list has a line for each loss.
func list(losses []Loss) string {
	var out strings.Builder
	for _, l := range losses {
		fmt.Fprintf(&out, "\n  %s", l)
	}
	return out.String()
}

// Obstacle is a reason why a resource cannot be destroyed, with the fix.
type Obstacle struct {
	URN    string `json:"urn"`
	Reason string `json:"reason"`
	Fix    string `json:"fix"`
}

// String describes the obstacle on two lines.
func (o Obstacle) String() string {
	return fmt.Sprintf("%s %s\n    %s", progress.Subject(o.URN), o.Reason, o.Fix)
}

// Obstacles lists the reasons why resources of the state cannot be destroyed: those of the targets, or all if there are
// no targets. What the tier itself protects is no obstacle: the driver asks before it destroys.
func Obstacles(s *stackstate.State, stack string, targets []string) []Obstacle {
	var found []Obstacle
	for _, r := range s.Resources {
		if r.Delete || !targeted(r.URN, targets) {
			continue
		}
		if r.Protect && !protectedByTier(r.URN) {
			found = append(found, Obstacle{
				URN: r.URN, Reason: "is protected in the state",
				Fix: fmt.Sprintf("unprotect it: pulumi state unprotect --stack %s '%s'", stack, r.URN),
			})
		}
		if r.Inputs()["deletionProtection"] == true && !r.RetainOnDelete {
			found = append(found, deletionProtected(r.URN, stack))
		}
	}
	return append(found, keyLoss(Deletions(s, targets), stack)...)
}

func targeted(urn string, targets []string) bool {
	return len(targets) == 0 ||
		slices.ContainsFunc(targets, func(name string) bool { return progress.Matches(urn, name) })
}

// Blocked lists the instances that a run would delete or replace, and that AWS refuses to delete. Without this, a
// restore would end with two instances, of which the old one can no longer be changed.
func Blocked(losses []Loss, steps []progress.Step, stack string) []Obstacle {
	var found []Obstacle
	for _, loss := range losses {
		if slices.ContainsFunc(steps, func(s progress.Step) bool {
			return s.URN == loss.URN && s.Before["deletionProtection"] == true
		}) {
			found = append(found, deletionProtected(loss.URN, stack))
		}
	}
	return found
}

func deletionProtected(urn, stack string) Obstacle {
	return Obstacle{
		URN: urn, Reason: "has deletion protection, so AWS refuses to delete it",
		Fix: fmt.Sprintf("disable it: set dbtier:database.deletionProtection: false in Pulumi.%s.yaml, then "+
			"`dbtier up --stack %s`; in production the policy needs an exception in the same file, by a line below "+
			"config: dbtier-policy:exceptions: {rds-deletion-protection: [{resource: %s, owner: <team>, "+
			"reason: <why>, expires: <YYYY-MM-DD>}]}", stack, stack, progress.Name(urn)),
	}
}

// tierComponents are the components that protect resources of their own when deletion protection is on.
var tierComponents = []string{
	"dbtier:components:RdsPostgres$", "dbtier:components:ServiceNamespace$", "dbtier:components:Consumer$",
	poolComponent, "dbtier:components:RdsProxy$",
}

func protectedByTier(urn string) bool {
	return slices.ContainsFunc(tierComponents, func(component string) bool { return strings.Contains(urn, component) })
}
