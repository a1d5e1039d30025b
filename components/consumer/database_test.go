package consumer_test

import (
	"fmt"
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"dbtier/components/componenttest"
	"dbtier/components/consumer"
)

const deploymentType = "kubernetes:apps/v1:Deployment"

func withTokens() *consumer.ConsumerArgs {
	args := arguments()
	args.Database = consumer.Database{
		CAConfigMap: pulumi.String("myshop-api-rds-ca"), CAPath: "/etc/rds-ca/ca.pem",
		Revision: pulumi.String("myshop_app_b"),
		IAM: &consumer.IAM{
			URL: pulumi.String("postgresql://myshop_iam@h:5432/myshop"), Region: "ap-northeast-2",
			RoleArn:     pulumi.String("arn:aws:iam::111122223333:role/login"),
			STSEndpoint: "http://sts:4566",
		},
	}
	return args
}

func environmentOf(deployment *componenttest.Resource) map[string]any {
	found := map[string]any{}
	variables, _ := deployment.At("spec", "template", "spec", "containers", 0, "env").([]any)
	for _, variable := range variables {
		found[componenttest.At(variable, "name").(string)] = componenttest.At(variable, "value")
	}
	return found
}

// The pod contains everything that it needs to assume the role, so no webhook of the cluster is needed.
func TestPodsAssumeTheirRoleWithATokenOfTheirServiceAccount(t *testing.T) {
	t.Parallel()
	d := deployment(t, withTokens())
	assert.Equal(t, map[string]any{
		"DATABASE_IAM_URL": "postgresql://myshop_iam@h:5432/myshop", "AWS_REGION": "ap-northeast-2",
		"AWS_ENDPOINT_URL_STS":        "http://sts:4566",
		"AWS_ROLE_ARN":                "arn:aws:iam::111122223333:role/login",
		"AWS_WEB_IDENTITY_TOKEN_FILE": "/var/run/secrets/eks.amazonaws.com/serviceaccount/token",
	}, environmentOf(d))
	pod := d.At("spec", "template", "spec")
	assert.Equal(t, map[string]any{"name": "aws-token", "projected": map[string]any{"sources": []any{map[string]any{
		"serviceAccountToken": map[string]any{
			"audience": "sts.amazonaws.com", "expirationSeconds": 3600.0,
			"path": "token",
		},
	}}}}, componenttest.At(pod, "volumes", 2))
	assert.Equal(t, map[string]any{"name": "database-ca", "configMap": map[string]any{
		"name": "myshop-api-rds-ca", "items": []any{map[string]any{"key": "ca.pem", "path": "ca.pem"}},
	}}, componenttest.At(pod, "volumes", 1))
	assert.Equal(t, []any{
		map[string]any{"name": "tmp", "mountPath": "/tmp"},
		map[string]any{"name": "database-ca", "mountPath": "/etc/rds-ca", "readOnly": true},
		map[string]any{
			"name": "aws-token", "mountPath": "/var/run/secrets/eks.amazonaws.com/serviceaccount",
			"readOnly": true,
		},
	}, componenttest.At(pod, "containers", 0, "volumeMounts"))
	assert.Equal(t, false, componenttest.At(pod, "automountServiceAccountToken"),
		"the token for the API server is another one")
	assert.Equal(t, "myshop_app_b", d.At("spec", "template", "metadata", "annotations", "dbtier/database-revision"))
}

func TestWithPodIdentityTheClusterGivesTheCredentials(t *testing.T) {
	t.Parallel()
	args := withTokens()
	args.Database.IAM.RoleArn, args.Database.IAM.STSEndpoint = nil, ""
	d := deployment(t, args)
	assert.Equal(t, map[string]any{
		"DATABASE_IAM_URL": "postgresql://myshop_iam@h:5432/myshop",
		"AWS_REGION":       "ap-northeast-2",
	}, environmentOf(d))
	assert.Len(t, d.At("spec", "template", "spec", "volumes"), 2)
}

func TestTheZeroDatabaseAddsNothingToThePod(t *testing.T) {
	t.Parallel()
	d := deployment(t, arguments())
	assert.Nil(t, d.At("spec", "template", "spec", "containers", 0, "env"))
	assert.Nil(t, d.At("spec", "template", "metadata", "annotations"))
	assert.Len(t, d.At("spec", "template", "spec", "volumes"), 1)
}

func TestASecretURLStaysSecret(t *testing.T) {
	t.Parallel()
	recorded := componenttest.Run(t, func(ctx *pulumi.Context) error {
		args := withTokens()
		args.Database.IAM.URL = pulumi.ToSecret(pulumi.String("postgresql://u@h/d")).(pulumi.StringOutput)
		_, err := consumer.NewConsumer(ctx, "service", args)
		return err
	})
	assert.Equal(t, []string{"spec.template.spec.containers[0].env[0].value"}, recorded.One(t, deploymentType).Secrets)
}

func TestFaultsOfTheDatabase(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		change func(*consumer.Database)
		fault  string
	}{
		"no path": {
			func(d *consumer.Database) { d.CAPath = "ca.pem" },
			`database.caPath: "ca.pem": want an absolute path`,
		},
		"over /": {func(d *consumer.Database) { d.CAPath = "/ca.pem" }, `database.caPath: "/ca.pem": want`},
		"over /tmp": {
			func(d *consumer.Database) { d.CAPath = "/tmp/ca.pem" },
			`database.caPath: "/tmp/ca.pem": want`,
		},
		"no URL": {func(d *consumer.Database) { d.IAM.URL = nil }, "database.iam.url: is missing"},
		"no region": {
			func(d *consumer.Database) { d.IAM.Region = "" },
			`database.iam.region: "": want an AWS region`,
		},
		"no endpoint": {
			func(d *consumer.Database) { d.IAM.STSEndpoint = "sts" },
			`database.iam.stsEndpoint: "sts": want a URL`,
		},
	} {
		args := withTokens()
		c.change(&args.Database)
		require.ErrorContains(t, args.Validate(), c.fault, name)
	}
}

func ExampleDatabase() {
	recorded, err := componenttest.Try(create(withTokens()))
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(recorded.All(deploymentType)[0].At("spec", "template", "spec", "containers", 0, "env", 0, "name"))
	// Output: DATABASE_IAM_URL
}
