package driver

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// validStack is the file of a production stack. The one of the checkout is its user's.
const validStack = `config:
  dbtier:cloud: aws
  dbtier:environment: prod
  dbtier:profile: production
  dbtier:service:
    name: myshop
  dbtier:aws:
    region: ap-northeast-2
    accountId: "123456789012"
  dbtier:network:
    vpcId: vpc-0b1c2d3e4f5a6b7c8
    subnetIds: [subnet-0b1c2d3e4f5a6b7c1, subnet-0b1c2d3e4f5a6b7c2, subnet-0b1c2d3e4f5a6b7c3]
    databaseCidrs: [10.0.192.0/20, 10.0.208.0/20, 10.0.224.0/20]
  dbtier:cluster:
    oidcProviderArn: arn:aws:iam::123456789012:oidc-provider/oidc.eks.ap-northeast-2.amazonaws.com/id/0A1B2C3D
    nodeSecurityGroupId: sg-0b1c2d3e4f5a6b7c9
    context: prod
  dbtier:pool:
    image: 123456789012.dkr.ecr.ap-northeast-2.amazonaws.com/pgbouncer:1.24.1-1_deb13u2
  dbtier:consumer:
    name: myshop-api
    image: 123456789012.dkr.ecr.ap-northeast-2.amazonaws.com/myshop-api:1.4.2
  dbtier:migration:
    command: [alembic, upgrade, head]
`

// rotating is a bench whose stack prod has a valid file, in which another text is in the place of old.
func rotating(t *testing.T, old, other string) *bench {
	t.Helper()
	b := newBench(t)
	require.Contains(t, validStack, old)
	b.writes(map[string]string{"Pulumi.prod.yaml": strings.Replace(validStack, old, other, 1)})
	return b
}

// deployed gives the stack prod the outputs of its last up.
func (b *bench) deployed(outputs string) {
	b.t.Helper()
	b.writes(map[string]string{".dbtier/state/.pulumi/stacks/dbtier/prod.json": `{"version":3,"checkpoint":{"latest":{
		"resources":[{"urn":"urn:pulumi:prod::dbtier::pulumi:pulumi:Stack::dbtier-prod",
		"type":"pulumi:pulumi:Stack","outputs":{` + outputs + `}}]}}}`})
}

// generation are the outputs of a generation that was deployed some days ago.
func generation(number, recoveries, days int) string {
	// Days of UTC have 24 hours. Those of another zone may have 23 or 25.
	created := time.Now().UTC().AddDate(0, 0, -days).Add(-time.Hour).Format(time.RFC3339)
	return fmt.Sprintf(`"roleGeneration":%d,"recoveries":%d,"roleGenerationCreated":%q`, number, recoveries, created)
}

func (b *bench) file(name string) string {
	b.t.Helper()
	text, err := os.ReadFile(filepath.Join(b.dir, name))
	require.NoError(b.t, err)
	return string(text)
}

func TestAnOldPasswordIsRotatedOnce(t *testing.T) {
	b := rotating(t, "config:\n", "config:\n  # Ours.\n  dbtier:role:\n    generation: 4 # rotated in May\n")
	before := b.file("Pulumi.prod.yaml")
	b.deployed(generation(4, 0, 90))
	require.Zero(t, b.run("rotate", "--stack", "prod", "--max-age", "91d"), b.stderr.String())
	assert.Contains(t, b.stdout.String(), "stack prod: nothing to rotate: generation 4 is 90 days old\n")
	assert.Equal(t, before, b.file("Pulumi.prod.yaml"))

	require.Zero(t, b.run("rotate", "--stack", "prod", "--max-age", "90d", "--json"), b.stderr.String())
	r := b.answer().Rotation
	assert.Equal(t, []any{4, 5, 90, false}, []any{r.Generation, r.Next, r.AgeDays, r.Waits})
	want := strings.Replace(before, "generation: 4 #", "generation: 5 #", 1)
	assert.Equal(t, want, b.file("Pulumi.prod.yaml"), "nothing else changes")

	// It is not deployed yet.
	for range 2 {
		require.Zero(t, b.run("rotate", "--stack", "prod", "--max-age", "90d"), b.stderr.String())
		assert.Contains(t, b.stdout.String(), "role.generation is 5 in Pulumi.prod.yaml and 4 in the stack: deploy it with")
		assert.Equal(t, want, b.file("Pulumi.prod.yaml"))
	}
	require.Zero(t, b.run("rotate", "--stack", "prod", "--max-age", "90d", "--json"))
	assert.True(t, b.answer().Rotation.Waits)
	assert.Zero(t, b.answer().Rotation.Next)

	b.deployed(generation(5, 0, 0))
	require.Zero(t, b.run("rotate", "--stack", "prod", "--max-age", "2h"), b.stderr.String())
	assert.Contains(t, b.stdout.String(), "generation 5 is 1 h old")
	require.Zero(t, b.run("rotate", "--stack", "prod", "--max-age", "1h"), b.stderr.String())
	assert.Contains(t, b.file("Pulumi.prod.yaml"), "generation: 6 # rotated in May\n")
}

func TestRecoveriesOfLostPasswordsAreNoGenerationsOfTheFile(t *testing.T) {
	b := rotating(t, "config:\n", "config:\n  dbtier:role: {generation: 2}\n  dbtier:secrets: {recoveries: 1}\n")
	b.deployed(generation(5, 3, 100))
	require.Zero(t, b.run("rotate", "--stack", "prod", "--max-age", "90d"), b.stderr.String())
	assert.Contains(t, b.file("Pulumi.prod.yaml"), "dbtier:role: {generation: 3}\n")
}

func TestAGenerationThatTheFileLeavesOutIsWritten(t *testing.T) {
	b := rotating(t, "config:\n", "config:\n")
	before := b.file("Pulumi.prod.yaml")
	require.NotContains(t, before, "dbtier:role")
	b.deployed(generation(1, 0, 100))
	require.Zero(t, b.run("rotate", "--stack", "prod", "--max-age", "90d"), b.stderr.String())
	assert.Equal(t, strings.Replace(before, "config:\n", "config:\n  dbtier:role:\n    generation: 2\n", 1),
		b.file("Pulumi.prod.yaml"))

	b = rotating(t, "config:\n", "config:\n  dbtier:role: {waitSeconds: 60}\n")
	b.deployed(generation(1, 0, 100))
	before = b.file("Pulumi.prod.yaml")
	b.says(exitConfig, "write `generation: 2` into the braces of dbtier:role", "rotate", "--stack", "prod", "--max-age",
		"90d")
	assert.Equal(t, before, b.file("Pulumi.prod.yaml"))
}

func TestAStackWithoutARoleOrAnAgeIsLeftAlone(t *testing.T) {
	args := []string{"rotate", "--stack", "prod", "--max-age", "90d"}
	b := rotating(t, "config:\n", "config:\n")
	require.Zero(t, b.run(args...), b.stderr.String())
	assert.Contains(t, b.stdout.String(), "nothing to rotate: it has no outputs, because it was never up, was destroyed, "+
		"or has its state in another backend\n")
	b.writes(map[string]string{
		".dbtier/state/.pulumi/stacks/dbtier/prod.json": `{"version":3,"checkpoint":{"latest":{"resources":[]}}}`,
	})
	require.Zero(t, b.run(args...), b.stderr.String())
	assert.Contains(t, b.stdout.String(), "was destroyed")
	for _, outputs := range []string{
		`"recoveries":0`, `"roleGeneration":1,"roleGenerationCreated":""`,
		`"roleGeneration":1,"roleGenerationCreated":"May"`, `"roleGenerationCreated":"2026-01-01T00:00:00Z"`,
	} {
		b.deployed(outputs)
		b.says(exitTrouble, "do not tell the age of the password: run `dbtier up --stack prod` once", args...)
	}
	b = rotating(t, "config:\n", "config:\n  dbtier:role: {poolUser: master}\n")
	b.deployed(`"recoveries":0`)
	require.Zero(t, b.run(args...), b.stderr.String())
	assert.Contains(t, b.stdout.String(), "nothing to rotate: it has no application role")

	b = rotating(t, "config:\n", "config:\n  dbtier:role: {generation: 2147483647}\n")
	b.deployed(generation(2147483647, 0, 100))
	before := b.file("Pulumi.prod.yaml")
	b.says(exitConfig, "role.generation: 2147483648: want", args...)
	b.writes(map[string]string{"Pulumi.prod.yaml": before + "  dbtier:rol: {}\n"})
	b.says(exitConfig, "dbtier:rol: is not a setting; did you mean role?", args...)
	assert.Equal(t, before+"  dbtier:rol: {}\n", b.file("Pulumi.prod.yaml"))
}

func TestAnAgeIsANumberOfDaysOrHours(t *testing.T) {
	b := rotating(t, "config:\n", "config:\n")
	for _, given := range []string{"", "90", "0d", "-1d", "1.5d", "90 d", "3m", "1d12h", "9999999h", "d", "ninety", "200000d"} {
		b.says(exitUsage, fmt.Sprintf("--max-age %q: ", given), "rotate", "--stack", "prod", "--max-age="+given)
	}
	b.says(exitUsage, `--max-age "": want a whole number of days or hours`, "rotate", "--stack", "prod")
	for given, want := range map[string]time.Duration{"1h": time.Hour, "90d": 90 * 24 * time.Hour, "999999h": 999999 * time.Hour} {
		age, err := parseAge(given)
		require.NoError(t, err)
		assert.Equal(t, want, age)
	}
}
