package driver

import (
	"context"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"dbtier/config"
	"dbtier/internal/kubectl"
)

// clusterAccess selects a Kubernetes cluster. Empty fields leave the choice to kubectl.
type clusterAccess struct{ kubeconfig, context string }

// add adds the flags that select a cluster.
func (c *clusterAccess) add(cmd *cobra.Command) {
	cmd.Flags().StringVar(&c.kubeconfig, "kubeconfig", "",
		"kubeconfig of the stack's cluster (default: dbtier:cluster of its config, then kubectl's own choice)")
	cmd.Flags().StringVar(&c.context, "context", "", "context of the kubeconfig")
}

// clusterOf returns the access to the stack's cluster: the given values, then those of the stack's config.
func (t *task) clusterOf(given clusterAccess) clusterAccess {
	stack, _ := t.stack.Config()
	if given.kubeconfig == "" && stack.Cluster.Kubeconfig != "" {
		given.kubeconfig = stack.Cluster.Kubeconfig
		if !filepath.IsAbs(given.kubeconfig) {
			given.kubeconfig = filepath.Join(t.project.Dir, given.kubeconfig)
		}
	}
	if given.context == "" {
		given.context = stack.Cluster.Context
	}
	return given
}

// cluster returns a kubectl for the stack's cluster, and the STS endpoint of the local cloud for a local stack.
func (t *task) cluster(ctx context.Context, access clusterAccess) (client *kubectl.Client, sts string, err error) {
	if t.stack.Cloud == config.Local {
		cloud, err := t.cloud(t.project)
		if err != nil {
			return nil, "", err
		}
		state, err := cloud.Ready(ctx)
		if err != nil {
			return nil, "", err
		}
		return &kubectl.Client{Command: cloud.Kubectl(), Kubeconfig: state.Kubeconfig}, state.AWSEndpoint, nil
	}
	if err := t.checkShell(ctx, t.project); err != nil {
		return nil, "", err
	}
	client = &kubectl.Client{Command: strings.Fields(os.Getenv("KUBECTL"))}
	if len(client.Command) == 0 {
		if client, err = kubectl.OnPath(); err != nil {
			return nil, "", err
		}
	}
	client.Kubeconfig, client.Context = access.kubeconfig, access.context
	return client, "", nil
}

// typed is a command of kubectl as a person would type it for the stack's cluster.
func (t *task) typed(command string) string {
	if rest, ok := strings.CutPrefix(command, "kubectl "); ok {
		return t.command(t.clusterOf(clusterAccess{})) + " " + rest
	}
	return command
}

// command is the kubectl command that a person would type for the stack's cluster.
func (t *task) command(access clusterAccess) string {
	if t.stack.Cloud == config.Local {
		return "dbtier local kubectl"
	}
	words := "kubectl"
	if access.kubeconfig != "" {
		words += " --kubeconfig=" + access.kubeconfig
	}
	if access.context != "" {
		words += " --context=" + access.context
	}
	return words
}
