package artifacts

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	registryv1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var checkout = filepath.Join("..", "..", "..")

func TestTheLocksOfThePoolAgree(t *testing.T) {
	b := New(checkout, nil)
	versions := map[string]map[string]string{}
	for _, arch := range Architectures {
		var err error
		versions[arch], err = packagesOf(b.lockOf("pool", arch))
		require.NoError(t, err)
		assert.Equal(t, PoolVersion, strings.ReplaceAll(versions[arch]["pgbouncer"], "+", "_"),
			"the image's tag is the package's version: set PoolVersion, and the tag where stacks name the image")
		assert.Contains(t, versions[arch], "libcares2", "libevent's resolver does not recover from a failed lookup")
		text, err := os.ReadFile(b.lockOf("pool", arch))
		require.NoError(t, err)
		assert.Regexp(t, `(?m)^# snapshot \d{8}T\d{6}Z$`, string(text))
	}
	// A rebuild of one architecture (+b1) is the same source.
	rebuild := regexp.MustCompile(`\+b\d+$`)
	source := func(arch, name string) string { return rebuild.ReplaceAllString(versions[arch][name], "") }
	for name := range versions["amd64"] {
		assert.Equal(t, source("amd64", name), source("arm64", name), name)
	}
	assert.Len(t, versions["arm64"], len(versions["amd64"]))
	for _, file := range []string{"Pulumi.local.yaml", "examples/services/Pulumi.orders.yaml"} {
		text, err := os.ReadFile(filepath.Join(checkout, file))
		require.NoError(t, err)
		assert.Contains(t, string(text), "image: "+Registry+"/"+poolRecipe().name+"\n", file)
	}
}

// The Dockerfile and the local cloud make the same image: the same files, by the same script from the same lock, and
// the same configuration.
func TestTheDockerfileMakesTheImageOfTheLocalCloud(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(checkout, imagesDir, "pool", "Dockerfile"))
	require.NoError(t, err)
	build, final, found := strings.Cut(strings.ReplaceAll(string(text), "\\\n", " "), "FROM scratch\n")
	require.True(t, found)
	for _, line := range []string{
		"FROM --platform=$BUILDPLATFORM ",
		"COPY root.sh pool/$TARGETARCH.lock /recipe/\n",
		"RUN sh /recipe/root.sh /recipe/$TARGETARCH.lock /root-file-system /tmp/debs \"$MIRROR\"\n",
	} {
		assert.Contains(t, build, line)
	}
	assert.Equal(t, 1, strings.Count(build, "RUN "), "nothing else changes the files")
	var config registryv1.Config
	for line := range strings.Lines(final) {
		instruction, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
		switch instruction {
		case "COPY":
			assert.Equal(t, "--from=root /root-file-system /", rest)
		case "ENV":
			config.Env = append(config.Env, rest)
		case "USER":
			config.User = rest
		case "WORKDIR":
			config.WorkingDir = rest
		case "ENTRYPOINT":
			require.NoError(t, json.Unmarshal([]byte(rest), &config.Entrypoint))
		case "LABEL":
			config.Labels = map[string]string{}
			for _, label := range strings.Fields(rest) {
				name, value, _ := strings.Cut(label, "=")
				config.Labels[name] = value
			}
		default:
			assert.Fail(t, "an instruction that the recipe does not have", line)
		}
	}
	assert.Equal(t, poolRecipe().config(), config)
}

func TestAChangedLockIsReportedByPackage(t *testing.T) {
	write := func(text string) map[string]string {
		lock := filepath.Join(t.TempDir(), "lock")
		require.NoError(t, os.WriteFile(lock, []byte(text), 0o600))
		packages, err := packagesOf(lock)
		require.NoError(t, err)
		return packages
	}
	before := write("# comment\n0a  pool/main/a/a_1%2bb1_amd64.deb\n0b  pool/main/b/b_1_all.deb\n" +
		"0c  pool/c_1_all.deb\n")
	after := write("0a  pool/main/a/a_2_amd64.deb\n0b  pool/main/b/b_1_all.deb\n0d  pool/d_1_all.deb\n")
	assert.Equal(t, []string{"a 2 (was 1+b1)", "c (gone)", "d 1 (new)"}, changes(before, after))
	assert.Empty(t, changes(before, before))

	_, err := packagesOf(filepath.Join(t.TempDir(), "riscv64.lock"))
	require.ErrorContains(t, err, "images are locked for amd64 and arm64")
	lock := filepath.Join(t.TempDir(), "lock")
	require.NoError(t, os.WriteFile(lock, []byte("<<<<<<< HEAD\n"), 0o600))
	_, err = packagesOf(lock)
	require.ErrorContains(t, err, `"<<<<<<< HEAD" is no line of a lock`)
}
