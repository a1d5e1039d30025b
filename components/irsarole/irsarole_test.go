package irsarole_test

import (
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"dbtier/components/componenttest"
	"dbtier/components/irsarole"
)

func arguments() *irsarole.IrsaRoleArgs {
	return &irsarole.IrsaRoleArgs{
		Name:            "myshop-prod-secrets",
		Description:     "Secrets of myshop",
		OIDCProviderArn: "arn:aws:iam::111122223333:oidc-provider/oidc.eks.ap-northeast-2.amazonaws.com/id/EXAMPLED539D4633E53DE1B716D3041E",
		Region:          componenttest.Region,
		Namespace:       "myshop",
		ServiceAccount:  "myshop-secrets",
		Secrets: []irsarole.Secret{{
			Arn: pulumi.String(componenttest.SecretArn), KmsKeyArn: pulumi.String(componenttest.KeyArn),
		}},
	}
}

func create(args *irsarole.IrsaRoleArgs, opts ...pulumi.ResourceOption) pulumi.RunFunc {
	return func(ctx *pulumi.Context) error {
		role, err := irsarole.NewIrsaRole(ctx, "secrets", args, opts...)
		if err != nil {
			return err
		}
		ctx.Export("arn", role.Arn)
		return nil
	}
}

func TestOneServiceAccountMayTakeTheRole(t *testing.T) {
	t.Parallel()
	recorded := componenttest.Run(t, create(arguments()))
	role := recorded.One(t, "aws:iam/role:Role")
	const issuer = "oidc.eks.ap-northeast-2.amazonaws.com/id/EXAMPLED539D4633E53DE1B716D3041E"
	assert.JSONEq(t, `{"Version": "2012-10-17", "Statement": [{
		"Effect": "Allow",
		"Principal": {"Federated": "arn:aws:iam::111122223333:oidc-provider/`+issuer+`"},
		"Action": ["sts:AssumeRoleWithWebIdentity"],
		"Condition": {"StringEquals": {
			"`+issuer+`:aud": "sts.amazonaws.com",
			"`+issuer+`:sub": "system:serviceaccount:myshop:myshop-secrets"}}}]}`, role.Inputs["assumeRolePolicy"].(string))
	assert.Equal(t, "arn:aws:iam::111122223333:role/myshop-prod-secrets", recorded.Outputs["arn"])
	assert.EqualValues(t, 3600, role.Inputs["maxSessionDuration"])
}

func TestTheRoleReadsItsSecretAndNothingElse(t *testing.T) {
	t.Parallel()
	policy := componenttest.Run(t, create(arguments())).One(t, "aws:iam/rolePolicy:RolePolicy")
	assert.JSONEq(t, `{"Version": "2012-10-17", "Statement": [
		{"Sid": "ReadSecrets", "Effect": "Allow",
		 "Action": ["secretsmanager:GetSecretValue", "secretsmanager:DescribeSecret"], "Resource": ["`+componenttest.SecretArn+`"]},
		{"Sid": "DecryptAsSecretsManager", "Effect": "Allow",
		 "Action": ["kms:Decrypt"], "Resource": ["`+componenttest.KeyArn+`"],
		 "Condition": {"StringEquals": {"kms:ViaService": "secretsmanager.ap-northeast-2.amazonaws.com"}}}]}`,
		policy.Inputs["policy"].(string))
}

func TestSecretsThatShareAKeyNameItOnce(t *testing.T) {
	t.Parallel()
	args := arguments()
	args.Secrets = append(args.Secrets, irsarole.Secret{Arn: pulumi.String("arn:b"), KmsKeyArn: pulumi.String(componenttest.KeyArn)})
	policy := componenttest.Run(t, create(args)).One(t, "aws:iam/rolePolicy:RolePolicy").Inputs["policy"].(string)
	assert.Contains(t, policy, `"Resource":["`+componenttest.SecretArn+`","arn:b"]`)
	assert.Contains(t, policy, `"Resource":["`+componenttest.KeyArn+`"]`)
}

func TestSecretAndDependentInputsStayWhatTheyAre(t *testing.T) {
	t.Parallel()
	recorded := componenttest.Run(t, func(ctx *pulumi.Context) error {
		args := arguments()
		args.Secrets[0].Arn = pulumi.ToSecret(pulumi.String(componenttest.SecretArn)).(pulumi.StringOutput)
		_, err := irsarole.NewIrsaRole(ctx, "secrets", args)
		return err
	})
	policy := recorded.One(t, "aws:iam/rolePolicy:RolePolicy")
	assert.Equal(t, []string{"policy"}, policy.Secrets)
	assert.True(t, recorded.Follows(policy, recorded.One(t, "aws:iam/role:Role")))
}

func TestOptionsOfTheComponentStayWithIt(t *testing.T) {
	t.Parallel()
	args := arguments()
	args.PermissionsBoundary = "arn:aws:iam::111122223333:policy/boundary"
	recorded := componenttest.Run(t, create(args, pulumi.IgnoreChanges([]string{"tags"})))
	assert.Equal(t, []string{"tags"}, recorded.One(t, irsarole.Type).IgnoreChanges)
	role := recorded.One(t, "aws:iam/role:Role")
	assert.Empty(t, role.IgnoreChanges)
	assert.Equal(t, irsarole.Type+"::secrets", componenttest.ParentOf(role))
	assert.Equal(t, args.PermissionsBoundary, role.Inputs["permissionsBoundary"])
}

func TestEveryFaultIsReported(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		change func(*irsarole.IrsaRoleArgs)
		fault  string
	}{
		"name":             {func(a *irsarole.IrsaRoleArgs) { a.Name = "a b" }, `name: "a b": want`},
		"issuer's URL":     {func(a *irsarole.IrsaRoleArgs) { a.OIDCProviderArn = "https://oidc/1" }, `oidcProviderArn: "https://oidc/1": is the issuer's URL`},
		"no provider":      {func(a *irsarole.IrsaRoleArgs) { a.OIDCProviderArn = "" }, `oidcProviderArn: "": want the ARN`},
		"region":           {func(a *irsarole.IrsaRoleArgs) { a.Region = "" }, `region: "": want`},
		"any namespace":    {func(a *irsarole.IrsaRoleArgs) { a.Namespace = "*" }, `namespace: "*": want`},
		"any account":      {func(a *irsarole.IrsaRoleArgs) { a.ServiceAccount = "my*" }, `serviceAccount: "my*": want`},
		"any audience":     {func(a *irsarole.IrsaRoleArgs) { a.Audience = "*" }, `audience: "*": want one audience`},
		"nothing to read":  {func(a *irsarole.IrsaRoleArgs) { a.Secrets = nil }, `secrets: is missing`},
		"secret, no key":   {func(a *irsarole.IrsaRoleArgs) { a.Secrets[0] = irsarole.Secret{} }, "secrets[0].kmsKeyArn: is missing"},
		"boundary":         {func(a *irsarole.IrsaRoleArgs) { a.PermissionsBoundary = "b" }, `permissionsBoundary: "b": want`},
		"session too long": {func(a *irsarole.IrsaRoleArgs) { a.MaxSessionDuration = 60 }, `maxSessionDuration: 60: want 3600 to 43200 seconds`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			args := arguments()
			c.change(args)
			recorded, err := componenttest.Try(create(args))
			require.ErrorContains(t, err, c.fault)
			assert.Empty(t, recorded.Each())
		})
	}
	_, err := componenttest.Try(create(nil))
	assert.ErrorContains(t, err, "role secrets: no arguments given")
}
