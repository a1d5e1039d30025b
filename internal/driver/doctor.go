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

	"dbtier/config"
	"dbtier/internal/engine"
	"dbtier/internal/kubectl"
	"dbtier/internal/localcloud"
	"dbtier/internal/pulumicli"
	"dbtier/internal/statelock"
	"dbtier/internal/text"
)

// finding is the result of one check of doctor.
type finding struct {
	Name string `json:"name"`
	// Level is ok, warning or fault.
	Level string `json:"level"`
	Found string `json:"found"`
	// Fix is what to do, if there is something to do.
	Fix string `json:"fix,omitempty"`
}

// The levels of a finding. A run would fail because of a fault.
const (
	levelOK      = "ok"
	levelWarning = "warning"
	levelFault   = "fault"
)

func (a *app) doctor() *cobra.Command {
	return a.onStacks(&stackFlags{}, (*task).runDoctor, &cobra.Command{
		Use:   "doctor --stack <stack>",
		Short: "Check that a stack has everything that a run needs",
		Long: `Checks what a run on a stack needs, and changes nothing: the Pulumi CLI, policies and plugins with their
versions, the stack's config, the backend and its locks, the encryption of secrets, the credentials for
the stack's AWS account, the access to its cluster, and there the operator's API and objects with names
that the stack needs. Each problem is listed with its fix.

Exit codes: 0, or 1 if a run would fail.`,
		Example: `  dbtier doctor --stack local
  dbtier doctor --stack prod --json | jq '.findings[] | select(.level != "ok")'`,
	}, onSeveral)
}

func (t *task) runDoctor(ctx context.Context) error {
	x := &examination{task: t}
	x.tools(ctx)
	x.configFile()
	x.backendAndSecrets(ctx)
	if t.stack.Cloud == config.Local {
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
		t.say("stack %s: %s", t.stack.Name, text.Count(faults, "problem would make a run fail",
			"problems would make a run fail"))
		return localcloud.ErrReported
	}
	t.say("stack %s: ready for a run", t.stack.Name)
	return nil
}

// examination collects the findings of doctor.
type examination struct {
	*task
	// settings are the stack's config; if it has faults, the values that could be decoded.
	settings *config.Stack
	findings []finding
}

// makeBuild makes the programs beside dbtier. A project of its own has no Makefile.
const makeBuild = "make build, in the checkout of dbtier"

// answerTimeout limits how long the cluster, AWS or a backend may take to answer one question.
const answerTimeout = 15 * time.Second

func (x *examination) find(level, name, fix, format string, args ...any) {
	x.findings = append(x.findings, finding{Name: name, Level: level, Found: fmt.Sprintf(format, args...), Fix: fix})
}

func (x *examination) ok(name, format string, args ...any) {
	x.find(levelOK, name, "", format, args...)
}

func (x *examination) warn(name, fix, format string, args ...any) {
	x.find(levelWarning, name, fix, format, args...)
}

func (x *examination) fault(name, fix, format string, args ...any) {
	x.find(levelFault, name, fix, format, args...)
}

func (x *examination) tools(ctx context.Context) {
	x.ok("dbtier", "%s, built with %s for %s/%s", version, runtime.Version(), runtime.GOOS, runtime.GOARCH)
	if path, found := (pulumicli.Finder{Beside: x.beside}).Look(ctx); found {
		x.ok("Pulumi CLI", "%s at %s", pulumicli.Version, path)
	} else {
		x.fault("Pulumi CLI", makeBuild+", or install this version and put it on PATH",
			"version %s is neither beside dbtier nor on PATH", pulumicli.Version)
	}
	pack := filepath.Join(x.beside, policyPack)
	if info, err := os.Stat(pack); err == nil && info.Mode()&0o111 != 0 {
		x.ok("policy pack", "%s", pack)
	} else {
		x.warn("policy pack", makeBuild, "not beside dbtier: previews and updates check no policies")
	}
}

// configFile checks the stack's file. It cannot read the stacks that the file refers to.
func (x *examination) configFile() {
	file := x.stack.Values.File
	stack, err := x.stack.Config()
	x.settings = stack
	var invalid *config.InvalidError
	switch {
	case errors.As(err, &invalid):
		for _, line := range invalid.Lines() {
			x.fault("config", "edit "+file, "%s", strings.TrimPrefix(line, file+": "))
		}
	case err != nil:
		x.fault("config", "edit "+file, "%s", err)
	default:
		x.ok("config", "%s: the stack is on %s", file, stack.Cloud)
	}
	if unused := x.stack.Values.Unused; len(unused) > 0 {
		x.warn("config", "remove them from "+file, "keys that the tier does not read: %s", strings.Join(unused, ", "))
	}
	if len(stack.Unread) > 0 {
		x.warn("config", "dbtier preview --stack "+x.stack.Name+" reads them",
			"not checked, because they are outputs of %s: %s", strings.Join(x.stack.References(), " and "),
			strings.Join(stack.Unread, ", "))
	}
}

func (x *examination) backendAndSecrets(ctx context.Context) {
	url := engine.Backend(x.project, x.stack, x.flags.backend, os.LookupEnv)
	if err := engine.CheckSecrets(x.stack, url, x.flags.secretsProvider, os.LookupEnv); err != nil {
		x.fault("secrets",
			"set PULUMI_CONFIG_PASSPHRASE_FILE, or create the stack with --secrets-provider awskms://…", "%s", err)
	} else {
		x.ok("secrets", "encrypted in the state")
	}
	dir, isFolder := statelock.FileBackendDir(url)
	if !isFolder {
		x.remoteBackend(ctx, url)
		return
	}
	if err := writable(dir); err != nil {
		x.fault("backend", "give this user access to the folder, or choose another with --backend", "%s: %s", url, err)
		return
	}
	if said := engine.OnlyHere(x.project, x.stack, url); said != "" {
		x.warn("backend", "set backend.url: s3://<bucket> in Pulumi.yaml, or PULUMI_BACKEND_URL", "%s", said)
	} else {
		x.ok("backend", "%s", url)
	}
	files := statelock.FileBackend{Dir: dir, Project: x.project.Name, Stack: x.stack.Name}
	locks, err := files.Locks()
	switch {
	case err != nil:
		x.fault("lock", "", "%s", err)
	case len(locks) > 0 && locks[0].Lives:
		x.warn("lock", "wait until it ends", "held by %s, which is alive", locks[0])
	case len(locks) > 0:
		x.warn("lock", "if that update is gone for good: dbtier cancel --stack "+x.stack.Name, "held by %s", locks[0])
	}
	state, err := files.State()
	if err != nil {
		x.fault("state", "dbtier import --stack "+x.stack.Name+" --file <backup>", "%s", err)
		return
	}
	var pending []string
	for _, operation := range state.Pending {
		pending = append(pending, operation.Type+" "+operation.Resource.URN)
	}
	if len(pending) > 0 {
		x.warn("state", "dbtier up --stack "+x.stack.Name+" settles what it can find by name, and names the rest",
			"an earlier run was killed while it was %s", strings.Join(pending, ", "))
	}
}

func (x *examination) remoteBackend(ctx context.Context, url string) {
	if _, err := x.findCLI(ctx); err != nil {
		x.warn("backend", makeBuild, "%s: not checked: there is no Pulumi CLI", url)
		return
	}
	ctx, cancel := context.WithTimeout(ctx, answerTimeout)
	defer cancel()
	reader := x.reader()
	defer reader.Close()
	if err := reader.Reach(ctx); err != nil {
		x.fault("backend", "check the URL, and that this shell can read it: pulumi login "+url, "%s: %s", url, err)
		return
	}
	x.ok("backend", "%s", url)
}

// writable returns the reason why a folder, or its nearest existing parent, cannot be written to.
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
			return fmt.Errorf("%s is not a folder", dir)
		}
		probe, err := os.CreateTemp(dir, ".dbtier-*")
		if err != nil {
			return err
		}
		probe.Close()
		return os.Remove(probe.Name())
	}
}

// pinned are the provider plugins. Each has the version of its module.
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
					fmt.Sprintf("pulumi plugin install resource %s %s; otherwise the first run downloads it", p.plugin,
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
		x.fault("shell", `eval "$(dbtier local env --unset)"`, "%s", err)
	}
}

// credentials asks AWS for the account of the credentials. Without the AWS CLI it only checks whether any are set.
func (x *examination) credentials(ctx context.Context) {
	wanted := x.settings.AWS.AccountID
	if wanted == "" {
		return
	}
	path, err := exec.LookPath("aws")
	if err != nil {
		x.credentialsSet(wanted)
		return
	}
	ctx, cancel := context.WithTimeout(ctx, answerTimeout)
	defer cancel()
	out, err := exec.CommandContext(ctx, path, "sts", "get-caller-identity", "--output", "json").Output()
	var identity struct{ Account, Arn string }
	if err == nil {
		err = json.Unmarshal(out, &identity)
	}
	switch {
	case err != nil:
		x.fault("AWS credentials", loginAdvice, "AWS does not accept them: %s", reason(err))
	case identity.Account != wanted:
		x.fault("AWS credentials", loginAdvice, "%s is in account %s, but the stack is in %s", identity.Arn,
			identity.Account, wanted)
	default:
		x.ok("AWS credentials", "%s", identity.Arn)
	}
}

const loginAdvice = "aws sso login, or set AWS_PROFILE; in CI assume a role by OIDC"

// credentialsSet looks for credentials without asking AWS.
func (x *examination) credentialsSet(account string) {
	found := ""
	for _, name := range []string{
		"AWS_ACCESS_KEY_ID", "AWS_PROFILE", "AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
		"AWS_CONTAINER_CREDENTIALS_FULL_URI",
	} {
		if found == "" && os.Getenv(name) != "" {
			found = name + " is set"
		}
	}
	home, _ := os.UserHomeDir()
	for _, file := range []string{"credentials", "config"} {
		if _, err := os.Stat(filepath.Join(home, ".aws", file)); err == nil && found == "" {
			found = "~/.aws/" + file + " exists"
		}
	}
	if found == "" {
		x.fault("AWS credentials", loginAdvice, "none are set for account %s", account)
		return
	}
	x.warn("AWS credentials", "install the AWS CLI, so that doctor can ask AWS",
		"%s; not checked for account %s", found, account)
}

// reason returns the last line that a program printed, or how it ended.
func reason(err error) string {
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		if line := text.LastLine(string(exit.Stderr)); line != "" {
			return line
		}
	}
	return err.Error()
}

func (x *examination) localCloud(ctx context.Context) {
	cloud, err := x.cloud(x.project)
	if err != nil {
		x.fault("local cloud", makeBuild+", on Linux", "%s", err)
		return
	}
	if os.Geteuid() != 0 {
		x.fault("local cloud", "run this as root", "needs root, and this is user %d", os.Geteuid())
		return
	}
	switch state, err := cloud.Ready(ctx); {
	case errors.Is(err, localcloud.ErrNotRunning):
		x.warn("local cloud", "dbtier local start; up also starts it", "not running")
	case err != nil:
		x.fault("local cloud", "dbtier local logs", "%s", err)
	default:
		x.ok("local cloud", "running: API server on port %d, AWS on %s", state.APIPort, state.AWSEndpoint)
	}
}

// servedAPI is the API of the tier's ExternalSecrets.
const servedAPI = "external-secrets.io/v1"

func (x *examination) clusterAccess(ctx context.Context) {
	client, _, err := x.cluster(ctx, x.clusterOf(clusterAccess{}))
	if errors.Is(err, localcloud.ErrNotRunning) {
		return
	}
	if err != nil {
		x.warn("cluster", "install kubectl, so that doctor can ask the cluster", "not checked: %s", err)
		return
	}
	ctx, cancel := context.WithTimeout(ctx, answerTimeout)
	defer cancel()
	var server struct {
		ServerVersion struct{ GitVersion string }
	}
	answer, err := client.Run(ctx, "", "version", "--output=json")
	if err == nil {
		err = json.Unmarshal([]byte(answer), &server)
	}
	if err != nil || server.ServerVersion.GitVersion == "" {
		x.fault("cluster",
			"check dbtier:cluster.kubeconfig and .context in the stack's file, and log in with "+
				"aws eks update-kubeconfig",
			"does not answer: %v", err)
		return
	}
	x.ok("cluster", "Kubernetes %s", server.ServerVersion.GitVersion)
	x.permissions(ctx, client)
	x.existing(ctx, client)
	apis, err := client.Run(ctx, "", "api-versions")
	switch {
	case err != nil:
		x.fault("operator", "", "the cluster does not list its APIs: %s", err)
	case strings.Contains("\n"+apis, "\n"+servedAPI+"\n"):
		x.ok("operator", "the cluster serves %s", servedAPI)
	case x.settings.Operator.Install:
		x.warn("operator", "dbtier up --stack "+x.stack.Name+" installs it", "the cluster does not serve %s yet",
			servedAPI)
	default:
		x.fault("operator",
			"bring up the stack that installs the cluster's operator, or set dbtier:operator.install: true",
			"the cluster does not serve %s", servedAPI)
	}
}

// permissions checks the rights without which an update would fail halfway.
func (x *examination) permissions(ctx context.Context, client *kubectl.Client) {
	namespace := x.settings.Service.Namespace
	if namespace == "" {
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
		x.fault("cluster rights", "bind a role with these rights to this user", "in namespace %s this user cannot: %s",
			namespace, strings.Join(denied, ", "))
		return
	}
	x.ok("cluster rights", "this user can create what a service needs in namespace %s", namespace)
}
