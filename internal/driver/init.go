package driver

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"
)

// schemaFile is the schema of the stacks' files in a new project.
const schemaFile = "dbtier.schema.json"

func (a *app) initialise() *cobra.Command {
	var service string
	cmd := &cobra.Command{
		Use:   "init [folder]",
		Short: "Write the files of a new project",
		Long: `Writes the files of a new project: Pulumi.yaml, the stack local for the local cloud, the stack prod to
start from on AWS, and the schema with which editors complete them. The project needs no checkout of
dbtier, only its binaries.

Files that exist stay as they are, except for the schema: run it again after an upgrade.`,
		Example: `  dbtier init shop --service shop
  dbtier preview --stack prod --offline`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			folder := "."
			if len(args) == 1 {
				folder = args[0]
			}
			return a.runInit(folder, service)
		},
	}
	cmd.Flags().StringVar(&service, "service", "", "name of the service (default: the name of the folder)")
	a.jsonFlag(cmd)
	return cmd
}

const newProject = `name: %[1]s
description: The PostgreSQL tier of %[1]s
runtime:
  name: go
  options:
    # For plain pulumi commands, which look for the program on PATH. dbtier does not need it.
    binary: dbtier
`

const newIgnore = `/.dbtier/
/.localcloud/
`

func (a *app) runInit(folder, service string) error {
	dir, err := filepath.Abs(folder)
	if err != nil {
		return fmt.Errorf("the folder %s: %w", folder, err)
	}
	if service == "" {
		service = filepath.Base(dir)
	}
	local, err := a.template("Pulumi.local.yaml", "name: myshop", "name: "+service)
	if err != nil {
		return err
	}
	prod, err := a.template("Pulumi.prod.yaml", "myshop", service)
	if err != nil {
		return err
	}
	schema, err := fs.ReadFile(a.templates, "config/schema.json")
	if err != nil {
		return fmt.Errorf("the schema: %w", err)
	}
	files := map[string]string{
		"Pulumi.yaml": fmt.Sprintf(newProject, service), "Pulumi.local.yaml": local, "Pulumi.prod.yaml": prod,
		".gitignore": newIgnore,
	}
	for _, stack := range []string{"local", "prod"} {
		if err := tryConfig(stack, files); err != nil {
			return coded(exitConfig, fmt.Errorf("no project can be made for the service %q, choose another name with "+
				"--service:\n%w", service, err))
		}
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("making the project's folder: %w", err)
	}
	for _, name := range slices.Sorted(maps.Keys(files)) {
		said := "written"
		switch err := writeNew(filepath.Join(dir, name), files[name]); {
		case errors.Is(err, fs.ErrExist):
			said = "exists, not changed"
		case err != nil:
			return fmt.Errorf("writing the project: %w", err)
		}
		a.sayInit("%-20s %s", name, said)
	}
	if err := os.WriteFile(filepath.Join(dir, schemaFile), schema, 0o644); err != nil {
		return fmt.Errorf("writing the schema: %w", err)
	}
	a.sayInit("%-20s written", schemaFile)
	a.sayInit("next, in %s:\n"+
		"  dbtier up --stack local                  the tier with an example service on this machine (root, Linux)\n"+
		"  dbtier preview --stack prod --offline    the tier on AWS, without an account", dir)
	return nil
}

func (a *app) sayInit(format string, args ...any) {
	if !a.asJSON {
		fmt.Fprintf(a.stdout, format+"\n", args...)
	}
}

// template returns the text of a stack's file of this checkout for another service.
func (a *app) template(name, old, replacement string) (string, error) {
	text, err := fs.ReadFile(a.templates, name)
	if err != nil {
		return "", fmt.Errorf("the template %s: %w", name, err)
	}
	return strings.NewReplacer(
		"$schema=config/schema.json", "$schema="+schemaFile, old, replacement,
	).Replace(string(text)), nil
}

// writeNew writes a file that does not exist yet.
func writeNew(file, text string) error {
	to, err := os.OpenFile(file, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644) //nolint:gosec // They hold no secrets.
	if err != nil {
		return err //nolint:wrapcheck // The caller compares it.
	}
	_, err = to.WriteString(text)
	return errors.Join(err, to.Close())
}
