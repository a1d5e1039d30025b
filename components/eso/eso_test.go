package eso_test

import (
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"dbtier/components/componenttest"
	"dbtier/components/eso"
	"dbtier/components/object"
)

const externalSecretType = "kubernetes:external-secrets.io/v1:ExternalSecret"

func meta(name string) object.Meta { return object.Meta{Name: name, Namespace: "shop"} }

func create(ctx *pulumi.Context) error {
	store, err := eso.NewStore(ctx, "store", &eso.StoreArgs{
		Meta: meta("shop"), Kind: eso.SecretStore, Provider: eso.Cluster("shop", pulumi.String("reader")),
	})
	if err != nil {
		return err
	}
	generator, err := eso.NewGenerator(ctx, "generator", meta("shop"), 32)
	if err != nil {
		return err
	}
	login, err := eso.NewLogin(ctx, "login", meta("login"), "shop", generator)
	if err != nil {
		return err
	}
	if _, err := eso.NewExternalSecret(ctx, "url", &eso.ExternalSecretArgs{
		Meta: meta("url"), RefreshInterval: "1m",
		Values:   []eso.Value{{Name: "password", Store: store, Key: login.Name, Property: "password"}},
		Template: pulumi.StringMap{"URL": pulumi.String("x://{{ .password }}")},
	}); err != nil {
		return err
	}
	_, err = eso.NewPushSecret(ctx, "push", &eso.PushSecretArgs{
		Meta: meta("push"), Store: store, Secret: login.Name, RemoteKey: pulumi.String("shop/login"),
	})
	return err
}

func TestWhatTakesANameWaitsForTheObject(t *testing.T) {
	t.Parallel()
	recorded := componenttest.Run(t, create)
	login, url := recorded.Named(t, externalSecretType, "login"), recorded.Named(t, externalSecretType, "url")
	store := recorded.One(t, "kubernetes:external-secrets.io/v1:SecretStore")
	push := recorded.One(t, "kubernetes:external-secrets.io/v1alpha1:PushSecret")
	assert.True(t, recorded.Follows(login, recorded.One(t,
		"kubernetes:generators.external-secrets.io/v1alpha1:Password")))
	for _, later := range []*componenttest.Resource{url, push} {
		assert.True(t, recorded.Follows(later, login), later.Name)
		assert.True(t, recorded.Follows(later, store), later.Name)
	}
	for _, waits := range []*componenttest.Resource{login, url, store, push} {
		assert.Equal(t, "condition=Ready", waits.At("metadata", "annotations", "pulumi.com/waitFor"), waits.Name)
	}
}

func TestALoginIsCreatedOnceAndReplacedByAnother(t *testing.T) {
	t.Parallel()
	login := componenttest.Run(t, create).Named(t, externalSecretType, "login")
	assert.Equal(t, "CreatedOnce", login.At("spec", "refreshPolicy"))
	assert.Equal(t, map[string]any{"username": "shop", "password": "{{ .password }}"},
		login.At("spec", "target", "template", "data"))
	assert.Nil(t, login.At("spec", "data"))
	assert.True(t, login.DeleteBeforeReplace)
}

func TestFaultsOfAStoreReference(t *testing.T) {
	t.Parallel()
	err := eso.StoreRef{Kind: "Store"}.Validate()
	require.ErrorContains(t, err, `kind: "Store": want one of SecretStore, ClusterSecretStore`)
	require.ErrorContains(t, err, "name: is missing")
	require.NoError(t, eso.StoreRef{Kind: eso.SecretStore, Name: pulumi.String("s")}.Validate())
}
