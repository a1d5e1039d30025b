package driver

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"dbtier/components/iampolicy"
	"dbtier/config"
	"dbtier/internal/engine"
	"dbtier/internal/permissions"
	"dbtier/internal/progress"
)

func (a *app) permissions() *cobra.Command {
	var f stackFlags
	return a.onStacks(&f, (*task).runPermissions, &cobra.Command{
		Use:   "permissions --stack <stack>",
		Short: "Write the IAM policy that a deployment of a stack needs",
		Long: `Writes the IAM policy of the identity that deploys a stack, as JSON: what an up, a refresh and a destroy
call for the stack's resources, as far as IAM can limit it to them by name or by tags. It also covers a
state in S3 and a KMS key for its secrets. It makes an offline preview and needs no credentials.

The calls were read in the sources of the AWS provider and in AWS's documentation. Try the policy on a
test account first. Permissions in Kubernetes are apart: EKS gives them by access entries and RBAC.`,
		Example: `  dbtier permissions --stack prod > deployer.json
  dbtier permissions --stack prod --backend s3://my-state --secrets-provider awskms:///alias/pulumi`,
	}, withEngine)
}

func (t *task) runPermissions(ctx context.Context) error {
	if t.stack.Cloud == config.Local {
		return coded(exitConfig, fmt.Errorf("stack %s is on the local cloud, which needs no permissions: choose a "+
			"stack on AWS", t.stack.Name))
	}
	reader, done, err := t.openReader(ctx, operation{command: "preview", offline: true})
	if err != nil {
		return err
	}
	defer done()
	options := t.options()
	options.Progress = progress.Options{Out: t.err, Quiet: true, Secrets: t.secrets} // stdout is for the policy.
	result, err := reader.Preview(ctx, options)
	if err != nil {
		return err
	}
	stack, err := t.stack.Config()
	if err != nil {
		return coded(exitConfig, err)
	}
	statements, unknown := permissions.For(permissions.Stack{
		Partition: stack.AWS.Partition, Region: stack.AWS.Region, Account: stack.AWS.AccountID,
		Resources: result.Steps, SecretsProvider: engine.SecretsProvider(t.stack, t.flags.secretsProvider),
		Backend: engine.Backend(t.project, t.stack, t.flags.backend, os.LookupEnv),
	})
	for _, kind := range unknown {
		t.note(kind + ": the calls for this type are not known here, and the policy does not allow them")
	}
	document, err := iampolicy.JSON(statements...)
	if err != nil {
		return fmt.Errorf("the policy: %w", err)
	}
	if len(document) > permissions.Limit {
		t.note(fmt.Sprintf("the policy has %d characters, and IAM allows a managed policy %d: divide its statements "+
			"into two, or make it an inline policy of a role", len(document), permissions.Limit))
	}
	if t.asJSON {
		t.report.Policy = json.RawMessage(document)
		return nil
	}
	var indented bytes.Buffer
	if err := json.Indent(&indented, []byte(document), "", "  "); err != nil {
		return fmt.Errorf("the policy: %w", err)
	}
	fmt.Fprintln(t.exact, indented.String())
	return nil
}
