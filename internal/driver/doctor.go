package driver

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"dbtier/internal/engine"
	"dbtier/internal/kubectl"
	"dbtier/internal/localcloud"
	"dbtier/internal/project"
	"dbtier/internal/pulumicli"
	"dbtier/internal/statelock"
)

// finding is what doctor found out about one thing.
type finding struct {
	Name string `json:"name"`
	// Level is ok, warning or fault.
	Level string `json:"level"`
	Found string `json:"found"`
	// Fix is what to do about it.
	Fix string `json:"fix,omitempty"`
}

// The levels of a finding.
const (
	levelOK      = "ok"
	levelWarning = "warning"
	levelFault   = "fault"
)

func (a *app) doctor() *cobra.Command {
	var f stackFlags
	cmd := &cobra.Command{
		Use:   "doctor --stack <stack>",
		Short: "Check whether everything is there that a run on a stack needs",
		Long: `Checks what a run on a stack needs, and changes nothing: the Pulumi CLI, policies and plugins with their versions, the stack's config, the
backend and its locks, what encrypts secrets, credentials for the stack's AWS account, access to its cluster, and the operator's API
there. Each finding names its fix.

Exit codes: 0, or 1 where a run would fail.`,
		Example: `  dbtier doctor --stack local
  dbtier doctor --stack prod --json | jq '.findings[] | select(.level != "ok")'`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.onStacks(cmd, &f, func(ctx context.Context, t *task) error { return t.examine(ctx) })
		},
	}
	f.add(cmd, a, onSeveral)
	return cmd
}

func (t *task) examine(ctx context.Context) error {
	x := &examination{task: t}
	x.tools(ctx)
	x.backendAndSecrets(ctx)
	if t.stack.Cloud == project.Local {
		x.localCloud(ctx)
	} else {
		x.plugins()
		x.shell(ctx)
		x.credentials(ctx)
	}
	x.clusterAccess(ctx)
	t.report.Findings = x.findings
	faults := 0
	signs := map[string]string{levelOK: "✓", levelWarning: "!", levelFault: "✗"}
	for _, f := range x.findings {
		t.say("  %s %-18s %s", signs[f.Level], f.Name, f.Found)
		if f.Fix != "" {
			t.say("    %-18s fix: %s", "", f.Fix)
		}
		if f.Level == levelFault {
			faults++
		}
	}
	if faults > 0 {
		t.say("stack %s: %s", t.stack.Name, count(faults, "thing is in the way of a run",
			"things are in the way of a run"))
		return localcloud.ErrSaid
	}
	t.say("stack %s: nothing is in the way of a run", t.stack.Name)
	return nil
}

type examination struct {
	*task
	findings []finding
}

// each is how long one question may take.
const each = 15 * time.Second

func (x *examination) ok(name, format string, args ...any) {
	x.findings = append(x.findings, finding{Name: name, Level: levelOK, Found: fmt.Sprintf(format, args...)})
}

func (x *examination) warn(name, fix, format string, args ...any) {
	x.findings = append(x.findings, finding{
		Name: name, Level: levelWarning, Found: fmt.Sprintf(format, args...), Fix: fix,
	})
}

func (x *examination) fault(name, fix, format string, args ...any) {
	x.findings = append(x.findings, finding{
		Name: name, Level: levelFault, Found: fmt.Sprintf(format, args...), Fix: fix,
	})
}

func (x *examination) tools(ctx context.Context) {
	x.ok("dbtier", "%s, built with %s for %s/%s", version, runtime.Version(), runtime.GOOS, runtime.GOARCH)
	if path, found := (pulumicli.Finder{Beside: x.beside}).Look(ctx); found {
		x.ok("Pulumi CLI", "%s at %s", pulumicli.Version, path)
	} else {
		x.fault("Pulumi CLI", "make build, or install this version and put it on PATH",
			"version %s is neither beside dbtier nor on PATH", pulumicli.Version)
	}
	pack := filepath.Join(x.beside, policyPack)
	if info, err := os.Stat(pack); err == nil && info.Mode()&0o111 != 0 {
		x.ok("policy pack", "%s", pack)
	} else {
		x.warn("policy pack", "make build", "not beside dbtier: previews and updates check no policies")
	}
	x.ok("config", "%s: the stack lives on %s", filepath.Base(x.stack.File), x.stack.Cloud)
}

func (x *examination) backendAndSecrets(ctx context.Context) {
	url := x.backend()
	if err := engine.CheckSecrets(x.stack, url, x.flags.secretsProvider, os.LookupEnv); err != nil {
		x.fault("secrets", "set PULUMI_CONFIG_PASSPHRASE_FILE, or make the stack with --secrets-provider awskms://…",
			"%s", err)
	} else {
		x.ok("secrets", "something encrypts them in the state")
	}
	dir, isFolder := statelock.FileBackendDir(url)
	if !isFolder {
		x.remoteBackend(ctx, url)
		return
	}
	if err := writable(dir); err != nil {
		x.fault("backend", "give this user the folder, or name another with --backend", "%s: %s", url, err)
		return
	}
	x.ok("backend", "%s", url)
	files := statelock.FileBackend{Dir: dir, Project: x.project.Name, Stack: x.stack.Name}
	locks, err := files.Locks()
	switch {
	case err != nil:
		x.fault("lock", "", "%s", err)
	case len(locks) > 0 && locks[0].Lives:
		x.warn("lock", "wait until it has ended", "held by %s, which lives", locks[0])
	case len(locks) > 0:
		x.warn("lock", "if that update is gone for good: dbtier cancel --stack "+x.stack.Name, "held by %s", locks[0])
	}
	pending, err := files.PendingOperations()
	switch {
	case err != nil:
		x.fault("state", "dbtier import --stack "+x.stack.Name+" --file <backup>", "%s", err)
	case len(pending) > 0:
		x.warn("state", "dbtier up --stack "+x.stack.Name+" settles what can be found by its name, and names the rest",
			"an earlier run was killed while it was %s", strings.Join(pending, ", "))
	}
}

func (x *examination) remoteBackend(ctx context.Context, url string) {
	config, err := x.asking(ctx)
	if err != nil {
		x.warn("backend", "make build", "%s was not tried: there is no Pulumi CLI", url)
		return
	}
	ctx, cancel := context.WithTimeout(ctx, each)
	defer cancel()
	if err := engine.Reach(ctx, config); err != nil {
		x.fault("backend", "check the URL, and that this shell may read it: pulumi login "+url, "%s: %s", url, err)
		return
	}
	x.ok("backend", "%s", url)
}

// writable reports why a folder, or the nearest parent that is there, cannot be written to.
func writable(dir string) error {
	for {
		info, err := os.Stat(dir)
		if errors.Is(err, os.ErrNotExist) && dir != filepath.Dir(dir) {
			dir = filepath.Dir(dir)
			continue
		}
		if err != nil {
			return err
		}
		if !info.IsDir() {
			return fmt.Errorf("%s is no folder", dir)
		}
		probe, err := os.CreateTemp(dir, ".dbtier-*")
		if err != nil {
			return err
		}
		probe.Close()
		return os.Remove(probe.Name())
	}
}

// pinned are the provider plugins, by the modules whose versions they have.
var pinned = []struct{ module, plugin string }{
	{"github.com/pulumi/pulumi-aws/sdk/v6", "aws"}, {"github.com/pulumi/pulumi-kubernetes/sdk/v4", "kubernetes"},
}

func (x *examination) plugins() {
	build, ok := debug.ReadBuildInfo()
	if !ok {
		return
	}
	for _, p := range pinned {
		for _, module := range build.Deps {
			if module.Path != p.module {
				continue
			}
			name := fmt.Sprintf("resource-%s-%s", p.plugin, module.Version)
			if _, err := os.Stat(filepath.Join(pulumicli.UserHome(), "plugins", name)); err != nil {
				x.warn("plugin "+p.plugin,
					fmt.Sprintf("pulumi plugin install resource %s %s, else the first run fetches it", p.plugin,
						module.Version),
					"%s is not installed", module.Version)
				continue
			}
			x.ok("plugin "+p.plugin, "%s", module.Version)
		}
	}
}

func (x *examination) shell(ctx context.Context) {
	if err := x.checkShell(ctx, x.project); err != nil {
		x.fault("shell", `eval "$(bin/dbtier local env --unset)"`, "%s", err)
	}
}

// credentials asks AWS who this is; without the AWS CLI it can only see whether anything is set.
func (x *examination) credentials(ctx context.Context) {
	section, _ := x.stack.Config["dbtier:aws"].(map[string]any)
	wanted := fmt.Sprint(section["accountId"])
	if section["accountId"] == nil {
		return
	}
	path, err := exec.LookPath("aws")
	if err != nil {
		x.credentialsSet(wanted)
		return
	}
	ctx, cancel := context.WithTimeout(ctx, each)
	defer cancel()
	out, err := exec.CommandContext(ctx, path, "sts", "get-caller-identity", "--output", "json").Output()
	var identity struct{ Account, Arn string }
	if err == nil {
		err = json.Unmarshal(out, &identity)
	}
	const fix = "aws sso login, or set AWS_PROFILE; in CI assume a role by OIDC (examples/ci)"
	switch {
	case err != nil:
		x.fault("AWS credentials", fix, "AWS does not say who this is: %s", reason(err))
	case identity.Account != wanted:
		x.fault("AWS credentials", fix, "%s is of account %s, and the stack's is %s", identity.Arn, identity.Account,
			wanted)
	default:
		x.ok("AWS credentials", "%s", identity.Arn)
	}
}

func (x *examination) credentialsSet(account string) {
	home, _ := os.UserHomeDir()
	for _, name := range []string{
		"AWS_ACCESS_KEY_ID", "AWS_PROFILE", "AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
		"AWS_CONTAINER_CREDENTIALS_FULL_URI",
	} {
		if os.Getenv(name) != "" {
			x.warn("AWS credentials", "install the AWS CLI, and doctor asks AWS",
				"%s is set; whether it is for account %s was not tried", name, account)
			return
		}
	}
	for _, file := range []string{"credentials", "config"} {
		if _, err := os.Stat(filepath.Join(home, ".aws", file)); err == nil {
			x.warn("AWS credentials", "install the AWS CLI, and doctor asks AWS",
				"~/.aws/%s is there; whether it is for account %s was not tried", file, account)
			return
		}
	}
	x.fault("AWS credentials", "aws sso login, or set AWS_PROFILE; in CI assume a role by OIDC (examples/ci)",
		"none are set for account %s", account)
}

// reason is the last line that a program said, or how it ended.
func reason(err error) string {
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		if lines := strings.Split(strings.TrimSpace(string(exit.Stderr)), "\n"); lines[len(lines)-1] != "" {
			return lines[len(lines)-1]
		}
	}
	return err.Error()
}

func (x *examination) localCloud(ctx context.Context) {
	cloud, err := x.cloud(x.project)
	if err != nil {
		x.fault("local cloud", "make build, on Linux", "%s", err)
		return
	}
	if os.Geteuid() != 0 {
		x.fault("local cloud", "run this as root", "it needs root, and this is user %d", os.Geteuid())
		return
	}
	switch state, err := cloud.Ready(ctx); {
	case errors.Is(err, localcloud.ErrNotRunning):
		x.warn("local cloud", "bin/dbtier local start; up does it by itself", "it does not run")
	case err != nil:
		x.fault("local cloud", "bin/dbtier local logs", "%s", err)
	default:
		x.ok("local cloud", "runs: API server on port %d, AWS on %s", state.APIPort, state.AWSEndpoint)
	}
}

// servedAPI is what the tier's ExternalSecrets are written in.
const servedAPI = "external-secrets.io/v1"

func (x *examination) clusterAccess(ctx context.Context) {
	kubeconfig, kubecontext := clusterOf(x.target, "", "")
	client, _, err := x.cluster(ctx, x.target, kubeconfig, kubecontext)
	if errors.Is(err, localcloud.ErrNotRunning) {
		return
	}
	if err != nil {
		x.warn("cluster", "install kubectl, and doctor asks the cluster", "not tried: %s", err)
		return
	}
	ctx, cancel := context.WithTimeout(ctx, each)
	defer cancel()
	var server struct {
		ServerVersion struct{ GitVersion string }
	}
	text, err := client.Run(ctx, "", "version", "--output=json")
	if err == nil {
		err = json.Unmarshal([]byte(text), &server)
	}
	if err != nil || server.ServerVersion.GitVersion == "" {
		x.fault("cluster",
			"check dbtier:cluster.kubeconfig and .context of the stack's file, and log in: aws eks update-kubeconfig …",
			"does not answer: %v", err)
		return
	}
	x.ok("cluster", "Kubernetes %s", server.ServerVersion.GitVersion)
	x.permissions(ctx, client)
	apis, err := client.Run(ctx, "", "api-versions")
	switch {
	case err != nil:
		x.fault("operator", "", "the cluster does not list its APIs: %s", err)
	case strings.Contains("\n"+apis, "\n"+servedAPI+"\n"):
		x.ok("operator", "the cluster serves %s", servedAPI)
	case x.installsOperator():
		x.warn("operator", "dbtier up --stack "+x.stack.Name+" installs it", "the cluster does not serve %s yet",
			servedAPI)
	default:
		x.fault("operator",
			"bring up the stack that installs the cluster's operator, or set dbtier:operator.install: true",
			"the cluster does not serve %s", servedAPI)
	}
}

// installsOperator reports whether this stack brings the operator along; it does unless its file says that another
// does.
func (x *examination) installsOperator() bool {
	section, _ := x.stack.Config["dbtier:operator"].(map[string]any)
	return section["install"] != false
}

// permissions asks for the rights without which an update ends in its midst.
func (x *examination) permissions(ctx context.Context, client *kubectl.Client) {
	section, _ := x.stack.Config["dbtier:service"].(map[string]any)
	namespace := fmt.Sprint(section["namespace"])
	if section["namespace"] == nil {
		namespace = fmt.Sprint(section["name"])
	}
	if section["name"] == nil {
		namespace = "default"
	}
	var denied []string
	for _, right := range [][2]string{
		{"create", "deployments.apps"},
		{"create", "jobs.batch"},
		{"create", "configmaps"},
		{"create", "networkpolicies.networking.k8s.io"},
		{"create", "externalsecrets.external-secrets.io"},
	} {
		out, err := client.Run(ctx, "", "auth", "can-i", right[0], right[1], "--namespace="+namespace)
		if strings.TrimSpace(out) == "no" || err != nil && strings.TrimSpace(out) != "yes" {
			denied = append(denied, right[0]+" "+right[1])
		}
	}
	if len(denied) > 0 {
		x.fault("cluster rights", "bind a role with these rights to this user", "in namespace %s this user may not: %s",
			namespace, strings.Join(denied, ", "))
		return
	}
	x.ok("cluster rights", "this user may make what a service needs in namespace %s", namespace)
}
