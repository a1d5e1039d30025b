package config_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"dbtier/config"
)

// strays returns what is wrong with the keys of a stack's file and its project's file.
func strays(t *testing.T, project, stack string) (found, unused []string) {
	t.Helper()
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "Pulumi.yaml"), []byte("name: shop\n"+project), 0o600))
	file := filepath.Join(dir, "Pulumi.test.yaml")
	require.NoError(t, os.WriteFile(file, []byte(stack), 0o600))
	values, err := config.ReadFile(file)
	require.NoError(t, err)
	if _, err := config.Parse(values, noStacks); len(values.Strays) > 0 {
		var invalid *config.InvalidError
		require.ErrorAs(t, err, &invalid)
		assert.Subset(t, invalid.Lines(), values.Strays)
	}
	return values.Strays, values.Unused
}

func TestEveryKeyThatNothingReadsIsTold(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct{ project, stack, want string }{
		"a misspelt namespace": {
			stack: least + "  dbteir:database: {port: 5433}\n",
			want:  "Pulumi.test.yaml: config.dbteir:database: is not in the namespace of the tier; did you mean dbtier:database, below config?",
		},
		"another namespace with a section of ours": {
			stack: least + "  shop:consumer: {image: x}\n",
			want:  "config.shop:consumer: is not in the namespace of the tier; did you mean dbtier:consumer",
		},
		"capitals": {
			stack: least + "  DBTIER:pool: {replicas: 3}\n",
			want:  "config.DBTIER:pool: is not in the namespace of the tier; did you mean dbtier:pool",
		},
		"a dot for the colon": {
			stack: least + "  dbtier.database: {port: 5433}\n",
			want:  "config.dbtier.database: has no namespace; did you mean dbtier:database",
		},
		"no namespace": {
			stack: least + "  database: {port: 5433}\n",
			want:  "config.database: has no namespace; did you mean dbtier:database",
		},
		"a map of sections": {
			stack: least + "  dbtier: {database: {port: 5433}}\n",
			want:  "config.dbtier: has no namespace; write a key for each section",
		},
		"a section beside config": {
			stack: least + "dbtier:database: {port: 5433}\n",
			want:  "Pulumi.test.yaml: dbtier:database: is not a key of a stack's file; did you mean dbtier:database, below config?",
		},
		"a misspelt config": {
			stack: "confg: {}\n" + least,
			want:  "Pulumi.test.yaml: confg: is not a key of a stack's file",
		},
		"the config of a default provider": {
			stack: least + "  aws:region: eu-west-1\n",
			want:  "config.aws:region: is not read: the program configures its aws provider from dbtier:aws",
		},
		"a misspelt key of the project": {
			project: "config:\n  dbteir:pool: {value: 1}\n", stack: least,
			want: "Pulumi.yaml: config.dbteir:pool: is not in the namespace of the tier",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			found, unused := strays(t, test.project, test.stack)
			require.Len(t, found, 1)
			assert.Contains(t, found[0], test.want)
			assert.Empty(t, unused)
		})
	}

	found, unused := strays(t, "", least+"  pulumi:disable-default-providers: [\"*\"]\n  billing:team: shop\n"+
		"secretsprovider: awskms://alias/x\nencryptedkey: x\n")
	assert.Empty(t, found, "keys that Pulumi reads are none of these")
	assert.Equal(t, []string{"billing:team"}, unused, "another program may read this key")
}

func TestMistakesInKeysDoNotShowPasswords(t *testing.T) {
	t.Parallel()
	found, _ := strays(t, "", least+"  DB_PASSWORD=hunter22: x\n")
	require.Len(t, found, 1)
	assert.Contains(t, found[0], "Pulumi.test.yaml: config.DB_PASSWORD=[secret]")
	_, err := config.Parse(read(t, least+"  dbtier:database: {DB_PASSWORD=hunter22: x, restore: postgres://app:hunter22@db}\n"),
		noStacks)
	require.ErrorContains(t, err, "dbtier:database.DB_PASSWORD=[secret]: is not a setting")
	require.ErrorContains(t, err, `dbtier:database.restore: "postgres://app:[secret]@db": want keys and values`)
	assert.NotContains(t, err.Error(), "hunter22")
}

func TestAllMistakesInKeysAreToldWithTheFaults(t *testing.T) {
	t.Parallel()
	_, err := config.Parse(read(t, least+"  dbteir:pool: {}\n  database: {}\n  dbtier:database: {port: 0}\n"), noStacks)
	require.ErrorContains(t, err, "config.dbteir:pool")
	require.ErrorContains(t, err, "config.database")
	require.ErrorContains(t, err, "Pulumi.test.yaml: dbtier:database.port: 0")
}

func TestValuesOfTheProjectAreInherited(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := filepath.Join(dir, "Pulumi.test.yaml")
	require.NoError(t, os.WriteFile(filepath.Join(dir, "Pulumi.yaml"), []byte("name: shop\nconfig:\n"+
		"  dbtier:environment: {value: test}\n  dbtier:pool: {default: {replicas: 3}}\n  dbtier:profile: production\n"),
		0o600))
	require.NoError(t, os.WriteFile(file, []byte("config:\n  dbtier:environment: prod\n"), 0o600))
	values, err := config.ReadFile(file)
	require.NoError(t, err)
	assert.Equal(t, map[string]config.Value{
		"environment": {Text: "prod"}, "pool": {Text: `{"replicas":3}`}, "profile": {Text: "production"},
	}, values.Keys)
}

func TestASecondDocumentIsRefused(t *testing.T) {
	t.Parallel()
	for _, second := range []string{"---\nconfig: {dbtier:environment: prod}\n", "---\n", "---\n[not yaml\n"} {
		file := filepath.Join(t.TempDir(), "Pulumi.test.yaml")
		require.NoError(t, os.WriteFile(file, []byte(least+second), 0o600))
		_, err := config.ReadFile(file)
		require.ErrorContains(t, err, "Pulumi.test.yaml", second)
	}
}

func TestValuesThatAreMeantAsTextAreKnown(t *testing.T) {
	t.Parallel()
	for path, want := range map[string]bool{
		"dbtier:consumer.env.PORT": true, "consumer.image": true, "database.parameters.work_mem.value": true,
		"dbtier:environment": true, "dbtier:pool.replicas": false, "database.multiAz": false, "pool": false,
		"consumer.nothing": false, "nothing": false, "network.subnetIds": false,
	} {
		assert.Equal(t, want, config.IsMeantAsText(path, 3), path)
	}
	assert.False(t, config.IsMeantAsText("consumer.image", "text"))
	assert.False(t, config.IsMeantAsText("consumer.image", []any{1}), "a list is a fault")
	assert.False(t, config.IsMeantAsText("consumer.image", nil))
}

func TestAKeyOfTheCommandLineMustBeASetting(t *testing.T) {
	t.Parallel()
	for path, want := range map[string]string{
		"dbtier:consumer.image":        "",
		"dbtier:consumer.env.ANYTHING": "",
		"dbtier:pool":                  "",
		"dbtier:image":                 "there is no such key; did you mean consumer.image or",
		"dbtier:consmer.image":         "there is no such key; did you mean dbtier:consumer",
		"dbtier:pool.replcas":          "pool has no key replcas; did you mean replicas?",
		"dbtier:database.alarms.x":     "database.alarms has no key x",
		"shop:image":                   "want a key of the tier",
	} {
		err := config.CheckKey(path)
		if want == "" {
			require.NoError(t, err, path)
			continue
		}
		require.Error(t, err, path)
		assert.Contains(t, err.Error(), want, path)
	}
}
