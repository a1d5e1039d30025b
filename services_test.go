package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"gopkg.in/yaml.v3"

	"dbtier/components/componenttest"
	"dbtier/components/rdsca"
	"dbtier/config"
)

const servicesExample = "examples/services"

// serviceStack runs a stack of the example of several services.
func serviceStack(t *testing.T, stack string) (recorded *componenttest.Recording, checkout string) {
	t.Helper()
	options, checkout := exampleStack(t, servicesExample, stack)
	if stack != "cluster" {
		cluster, _ := serviceStack(t, "cluster")
		options = append(options, componenttest.OtherStack("organization/services/cluster", cluster.Outputs))
	}
	return componenttest.Run(t, deploy, options...), checkout
}

// exampleStack is a stack of an example in its folder of a checkout.
func exampleStack(t *testing.T, example, stack string) (options []componenttest.Option, checkout string) {
	t.Helper()
	checkout = t.TempDir()
	root := filepath.Join(checkout, example)
	for _, folder := range []string{
		root, filepath.Join(checkout, "localcloud"),
		filepath.Join(checkout, ".localcloud", "state"),
	} {
		require.NoError(t, os.MkdirAll(folder, 0o700))
	}
	authorities, err := rdsca.Bundle(componenttest.Region)
	require.NoError(t, err)
	text, err := os.ReadFile(filepath.Join(example, "Pulumi."+stack+".yaml"))
	require.NoError(t, err)
	for file, content := range map[string][]byte{
		filepath.Join(root, "Pulumi."+stack+".yaml"):                  text,
		filepath.Join(checkout, "localcloud", "go.mod"):               nil,
		filepath.Join(checkout, ".localcloud", "state", "rds-ca.pem"): []byte(authorities),
	} {
		require.NoError(t, os.WriteFile(file, content, 0o600))
	}
	var file struct{ Config map[string]any }
	require.NoError(t, yaml.Unmarshal(text, &file))
	values := map[string]string{}
	for key, value := range file.Config {
		if plain, ok := value.(string); ok {
			values[key] = plain
			continue
		}
		encoded, err := json.Marshal(value)
		require.NoError(t, err)
		values[key] = string(encoded)
	}
	return []componenttest.Option{componenttest.Stack(stack), componenttest.Root(root), componenttest.Config(values)},
		checkout
}

func TestGoldenOfSeveralServicesInOneCluster(t *testing.T) {
	t.Parallel()
	for _, stack := range []string{"cluster", "orders", "billing"} {
		t.Run(stack, func(t *testing.T) {
			t.Parallel()
			recorded, checkout := serviceStack(t, stack)
			compareGolden(t, filepath.Join("tests", "golden", "services", stack+".yaml"),
				describe(t, recorded, checkout))
		})
	}
}

func TestAClustersStackMakesNothingOnAWSAndAServicesNoOperator(t *testing.T) {
	t.Parallel()
	cluster, checkout := serviceStack(t, "cluster")
	assert.Len(t, cluster.All(chartType), 1)
	assert.Empty(t, cluster.All("pulumi:providers:aws"))
	assert.Empty(t, cluster.All(instanceType))
	assert.Equal(t, filepath.Join(checkout, ".localcloud", "state", "kubeconfig"),
		cluster.One(t, "pulumi:providers:kubernetes").Inputs["kubeconfig"])
	assert.Equal(t, "external-secrets", cluster.Outputs[config.OutputOperatorNamespace])
	assert.NotContains(t, cluster.Outputs, config.OutputNamespace)

	orders, _ := serviceStack(t, "orders")
	assert.Empty(t, orders.All(chartType))
	assert.Len(t, orders.All(instanceType), 1)
	assert.NotContains(t, orders.Outputs, config.OutputOperatorNamespace)
}

// Two stacks never own the same object: an object without a namespace, or global to the account, has the service's name
// in its own name.
func TestTwoServicesShareNoName(t *testing.T) {
	t.Parallel()
	named := func(stack string) map[string]bool {
		recorded, _ := serviceStack(t, stack)
		names := map[string]bool{}
		for _, resource := range recorded.Each() {
			if !resource.Custom {
				continue
			}
			for _, path := range [][]any{{"metadata"}, {"name"}, {"identifier"}} {
				switch value := resource.At(path...).(type) {
				case string:
					// A policy's name belongs to its role.
					if resource.Type != "aws:iam/rolePolicy:RolePolicy" {
						names[resource.Type+" "+value] = true
					}
				case map[string]any:
					name, _ := value["name"].(string)
					namespace, _ := value["namespace"].(string)
					names[resource.Type+" "+namespace+"/"+name] = true
				}
			}
		}
		return names
	}
	orders, billing := named("orders"), named("billing")
	require.Greater(t, len(orders), 20)
	for name := range orders {
		assert.NotContains(t, billing, name)
	}
}

func TestAdoptingIsForTheOneStackThatAsksForIt(t *testing.T) {
	t.Parallel()
	_, options := projectWith(t, "prod", func(text string) string {
		return text + "  dbtier:operator: {adopt: true}\n"
	})
	assert.Equal(t, true, componenttest.Run(t, deploy, options...).One(t,
		"pulumi:providers:kubernetes").Inputs["upsertExistingObjects"])
	assert.NotContains(t, run(t, "prod").One(t, "pulumi:providers:kubernetes").Inputs, "upsertExistingObjects")
}

// Two services can live in a namespace that neither of them owns, as two stacks.
func TestTwoServicesShareAnExistingNamespaceButNoObject(t *testing.T) {
	t.Parallel()
	for name, pool := range map[string]string{
		"pgbouncer": "  dbtier:pool:\n",
		// The image is the role's then.
		"rdsProxy": "  dbtier:pool: {kind: rdsProxy}\n  dbtier:role:\n",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			seen := map[string]string{}
			for _, service := range []string{"orders", "billing"} {
				_, options := projectWith(t, "prod", func(text string) string {
					return strings.NewReplacer(
						"    name: myshop\n", "    name: "+service+"\n    namespace: shared\n    existingNamespace: true\n",
						"    name: myshop-api\n", "    name: "+service+"-api\n", "  dbtier:pool:\n", pool,
					).Replace(text) + "  dbtier:operator: {install: false}\n"
				})
				recorded := componenttest.Run(t, deploy, options...)
				assert.NotContains(t, recorded.Types(), "kubernetes:core/v1:Namespace")
				for _, resource := range recorded.Each() {
					object, _ := resource.At("metadata", "name").(string)
					if !resource.Custom || object == "" {
						continue
					}
					assert.True(t, strings.HasPrefix(object, service), "%s %s is fixed by something else than the service",
						resource.Type, object)
					key := resource.Type + " " + object
					assert.Empty(t, seen[key], "%s of %s and %s", key, seen[key], service)
					seen[key] = service
				}
			}
			assert.Greater(t, len(seen), 30)
		})
	}
}
