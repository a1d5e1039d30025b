// Command dbtier is one program with two entry points. Started by the Pulumi engine, it is the program that declares a
// PostgreSQL tier. Started by a person, it is the driver around the same program (dbtier up, preview, verify, …).
package main

import (
	"embed"
	"os"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"dbtier/internal/driver"
	"dbtier/internal/terminal"
)

// templates are the files that a new project starts from.
//
//go:embed Pulumi.local.yaml Pulumi.prod.yaml config/schema.json
var templates embed.FS

func main() {
	terminal.Restore()
	if startedByEngine() {
		pulumi.Run(deploy)
		return
	}
	os.Exit(driver.Main(deploy, templates))
}

// startedByEngine is true under `pulumi up`, which passes the addresses of the engine to its programs.
func startedByEngine() bool {
	return os.Getenv(pulumi.EnvMonitor) != "" && os.Getenv(pulumi.EnvEngine) != ""
}

// deploy declares the links of the chain that the stack holds: the operator of a cluster, the tier of a service, or
// both.
func deploy(ctx *pulumi.Context) error {
	t, err := newTier(ctx)
	if err != nil {
		return err
	}
	links := []func() error{
		// The operator starts while RDS creates the instance: neither needs the other.
		t.addOperator,
		t.addNamespace,
		t.addDatabase,
		t.addSecretsRole,
		t.addSecrets,
		// Before the migration: the role gets its rights on new tables by default privileges.
		t.addApplicationRole,
		t.addPool,
		t.addTokenRole,
		// The migration bypasses the pool, so it runs while the pool starts.
		t.addMigration,
		// New pods come last: a failed migration leaves the old ones serving.
		t.addService,
		t.addAlerts,
	}
	if !t.stack.HoldsService() {
		links = links[:1]
	}
	for _, link := range links {
		if err := link(); err != nil {
			return err
		}
	}
	for name, value := range t.outputs() {
		ctx.Export(name, value)
	}
	return nil
}
