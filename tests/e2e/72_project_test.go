//go:build e2e

package e2e

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// A project of its own has no sources, so the programs must bring everything that they need.
func TestAProjectWithoutACheckoutIsPreviewedAndItsPolicyWritten(t *testing.T) {
	dir := t.TempDir()
	in := command{dir: dir}
	dbtier := filepath.Join(root, "bin", "dbtier")
	r := in.run(t, dbtier, "init", "--service", "shop")
	require.Zero(t, r.code, "%s", r)
	r = in.run(t, dbtier, "preview", "--stack", "prod", "--offline")
	require.Zero(t, r.code, "%s", r)
	assert.Contains(t, r.all(), "aws:rds:Instance")
	r = in.run(t, dbtier, "permissions", "--stack", "prod")
	require.Zero(t, r.code, "%s", r)
	var policy struct{ Statement []map[string]any }
	decode(t, r.stdout, &policy)
	assert.Greater(t, len(policy.Statement), 10)
	assert.Contains(t, r.stdout, ":db:shop-prod")
	for _, stack := range []string{"pgbouncer", "proxy"} {
		r = command{dir: filepath.Join(root, "tests", "golden", "everything")}.run(t, dbtier, "permissions", "--stack", stack)
		require.Zero(t, r.code, "%s", r)
		assert.NotContains(t, r.stderr, "are not known here")
	}
}

// image is an archive of an image with one program, as docker save writes it, or an OCI layout without a name.
func image(t *testing.T, name, program string) (docker, oci string) {
	t.Helper()
	content, err := os.ReadFile(program)
	require.NoError(t, err)
	type file struct {
		name string
		data []byte
	}
	archive := func(files ...file) []byte {
		var out bytes.Buffer
		w := tar.NewWriter(&out)
		for _, f := range files {
			require.NoError(t, w.WriteHeader(&tar.Header{Name: f.name, Mode: 0o755, Size: int64(len(f.data))}))
			_, err := w.Write(f.data)
			require.NoError(t, err)
		}
		require.NoError(t, w.Close())
		return out.Bytes()
	}
	text := func(value any) []byte {
		encoded, err := json.Marshal(value)
		require.NoError(t, err)
		return encoded
	}
	digest := func(data []byte) string {
		sum := sha256.Sum256(data)
		return hex.EncodeToString(sum[:])
	}
	type object = map[string]any
	described := func(kind string, data []byte) object {
		return object{
			"mediaType": "application/vnd.oci.image." + kind, "digest": "sha256:" + digest(data), "size": len(data),
		}
	}
	layer := archive(file{"program", content})
	config := text(object{
		"architecture": "amd64", "os": "linux", "config": object{"Entrypoint": []string{"/program"}, "User": "65534"},
		"rootfs": object{"type": "layers", "diff_ids": []string{"sha256:" + digest(layer)}},
	})
	manifest := text(object{
		"schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json",
		"config": described("config.v1+json", config), "layers": []any{described("layer.v1.tar", layer)},
	})
	docker, oci = filepath.Join(t.TempDir(), "docker.tar"), filepath.Join(t.TempDir(), "oci.tar")
	require.NoError(t, os.WriteFile(docker, archive(
		file{"config.json", config}, file{"layer.tar", layer}, file{"manifest.json", text([]any{object{
			"Config": "config.json", "RepoTags": []string{name}, "Layers": []string{"layer.tar"},
		}})},
	), 0o600))
	blob := func(data []byte) file { return file{"blobs/sha256/" + digest(data), data} }
	require.NoError(t, os.WriteFile(oci, archive(
		file{"oci-layout", text(object{"imageLayoutVersion": "1.0.0"})}, blob(config), blob(layer), blob(manifest),
		file{"index.json", text(object{
			"schemaVersion": 2, "manifests": []any{described("manifest.v1+json", manifest)},
		})},
	), 0o600))
	return docker, oci
}

func TestAnImageThatWasLoadedRuns(t *testing.T) {
	settled(t)
	docker, oci := image(t, "shop-api:1.0", filepath.Join(root, ".localcloud", "cache", "bin", "pause"))
	loaded := mustDbtier(t, "local", "load", docker)
	assert.Equal(t, "docker.io/library/shop-api:1.0\n", loaded.stdout)
	again := mustDbtier(t, "local", "load", docker)
	assert.Equal(t, loaded.stdout, again.stdout, "the same archive again")
	r := dbtier(t, "local", "load", oci)
	assert.NotZero(t, r.code)
	assert.Contains(t, r.stderr, "does not name its image: add --name")
	named := mustDbtier(t, "local", "load", "--name", "shop-api:2.0", oci)
	assert.Equal(t, "docker.io/library/shop-api:2.0\n", named.stdout)
	r = dbtier(t, "local", "load", filepath.Join(root, "go.mod"))
	assert.NotZero(t, r.code)
	assert.Contains(t, r.stderr, "is not an archive of an image")

	for _, version := range []string{"1.0", "2.0"} {
		pod := "loaded-" + version[:1]
		apply(t, encode(t, map[string]any{
			"apiVersion": "v1", "kind": "Pod", "metadata": map[string]any{"name": pod, "namespace": "default"},
			"spec": map[string]any{
				"terminationGracePeriodSeconds": 0,
				"containers":                    []any{map[string]any{"name": "shop", "image": "shop-api:" + version}},
			},
		}))
		t.Cleanup(func() { kubectl(t, "delete", "pod", pod, "-n", "default", "--wait=false") })
		eventually(t, time.Minute, fmt.Sprintf("the pod of shop-api:%s", version), func() (bool, string) {
			r := tryKubectl(t, "", "get", "pod", pod, "-n", "default", "-o", "jsonpath={.status.phase}")
			return r.stdout == "Running", r.all()
		})
	}
}
