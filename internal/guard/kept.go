package guard

import (
	"fmt"
	"strings"

	"github.com/pulumi/pulumi/sdk/v3/go/common/apitype"

	"dbtier/internal/progress"
	"dbtier/internal/stackstate"
)

// Kept is something that stays in the account or in the cluster when its resource leaves the stack.
type Kept struct {
	URN string `json:"urn"`
	// What stays.
	What string `json:"what"`
	// End is the command that removes it for good.
	End string `json:"end"`
}

// String describes what stays on two lines.
func (k Kept) String() string { return k.What + "\n    to remove it for good: " + k.End }

const (
	keyType            = "aws:kms/key:Key"
	logGroupType       = "aws:cloudwatch/logGroup:LogGroup"
	definitionType     = "kubernetes:apiextensions.k8s.io/v1:CustomResourceDefinition"
	parameterGroupType = "aws:rds/parameterGroup:ParameterGroup"
)

// Keeps returns what stays after a run's steps: the final snapshot and the backups of a deleted instance, and every
// resource that the stack retains.
func Keeps(steps []progress.Step) []Kept {
	var kept []Kept
	definitions := 0
	for _, step := range steps {
		if step.Op != apitype.OpDelete && step.Op != apitype.OpDeleteReplaced {
			continue
		}
		switch {
		case step.Retained && step.Type == definitionType:
			definitions++
		case step.Retained:
			kept = append(kept, retained(step))
		case step.Type == instance:
			kept = append(kept, backups(step)...)
		}
	}
	if definitions > 0 {
		kept = append(kept, Kept{
			What: fmt.Sprintf("%d custom resource definitions, with every object of their kinds in the cluster",
				definitions),
			End: "kubectl get crd --output=name | grep external-secrets.io, then kubectl delete each",
		})
	}
	return kept
}

// retained describes a resource that only leaves the state.
func retained(step progress.Step) Kept {
	id := step.ID
	kept := Kept{URN: step.URN, What: fmt.Sprintf("%s: %s", progress.Subject(step.URN), id)}
	switch step.Type {
	case keyType:
		kept.What += " encrypts the snapshots, backups and logs that stay; without it they cannot be read"
		kept.End = "aws kms schedule-key-deletion --key-id " + id
	case "aws:kms/alias:Alias":
		kept.End = "aws kms delete-alias --alias-name " + id
	case logGroupType:
		kept.What += " keeps its logs until the end of their retention"
		kept.End = "aws logs delete-log-group --log-group-name " + id
	case parameterGroupType:
		kept.What += " may be in use until the maintenance window"
		kept.End = "aws rds delete-db-parameter-group --db-parameter-group-name " + id
	default:
		kept.End = "delete it by hand"
	}
	return kept
}

// backups are the final snapshot and the retained backups of an instance that is deleted.
func backups(step progress.Step) []Kept {
	var kept []Kept
	if name, _ := step.Before["finalSnapshotIdentifier"].(string); name != "" && takesSnapshot(step.Before) {
		kept = append(kept, Kept{
			URN: step.URN, What: "the final snapshot " + name,
			End: "aws rds delete-db-snapshot --db-snapshot-identifier " + name,
		})
	}
	if days, keeps := keepsBackups(step.Before); keeps {
		id, _ := step.Before["resourceId"].(string)
		kept = append(kept, Kept{
			URN:  step.URN,
			What: fmt.Sprintf("the automated backups of %s, for %.0f days", progress.Subject(step.URN), days),
			End:  strings.TrimSpace("aws rds delete-db-instance-automated-backup --dbi-resource-id " + id),
		})
	}
	return kept
}

func takesSnapshot(instance map[string]any) bool { return instance["skipFinalSnapshot"] != true }

func keepsBackups(instance map[string]any) (days float64, keeps bool) {
	days, _ = instance["backupRetentionPeriod"].(float64)
	return days, days > 0 && instance["deleteAutomatedBackups"] == false
}

// Deletions are the steps that delete every resource of the state, or the targets. A component is not deleted, because
// it exists in the state only.
func Deletions(s *stackstate.State, targets []string) []progress.Step {
	var steps []progress.Step
	for i := range s.Resources {
		r := &s.Resources[i]
		if !targeted(r.URN, targets) {
			continue
		}
		before := r.Outputs()
		if before == nil {
			before = map[string]any{}
		}
		for name, value := range r.Inputs() {
			before[name] = value
		}
		steps = append(steps, progress.Step{
			Op: apitype.OpDelete, URN: r.URN, Type: r.Type, ID: r.ID, Before: before,
			Retained: r.RetainOnDelete, Protected: r.Protect,
		})
	}
	return steps
}

// keyLoss finds a key that would be deleted although something that it encrypts stays: the state of a stack that an
// earlier version brought up does not retain its key yet.
func keyLoss(deletions []progress.Step, stack string) []Obstacle {
	var found []Obstacle
	for _, key := range deletions {
		arn, _ := key.Before["arn"].(string)
		if key.Type != keyType || key.Retained || arn == "" {
			continue
		}
		for _, user := range deletions {
			stays := ""
			_, keeps := keepsBackups(user.Before)
			switch {
			case user.Before["kmsKeyId"] != arn:
			case user.Type == instance && (takesSnapshot(user.Before) || keeps):
				stays = "the final snapshot or the backups of "
			case user.Type == logGroupType && (user.Retained || user.Before["skipDestroy"] == true):
				stays = "the logs of "
			}
			if stays != "" {
				found = append(found, Obstacle{
					URN: key.URN,
					Reason: "encrypts " + stays + progress.Subject(user.URN) +
						", which stay, and would be deleted with the stack",
					Fix: fmt.Sprintf("keep it: dbtier up --stack %s, which marks it as retained", stack),
				})
				break
			}
		}
	}
	return found
}
