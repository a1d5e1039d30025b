//go:build e2e

package e2e

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"encoding/json"
	"io"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// spellings returns the forms in which a secret value can appear in a file: plain, URL-encoded, JSON-escaped (with and
// without HTML escaping), and base64 at each of the three alignments within a longer text.
func spellings(value string) [][]byte {
	quoted, _ := json.Marshal(value)
	var plainQuoted bytes.Buffer
	enc := json.NewEncoder(&plainQuoted)
	enc.SetEscapeHTML(false)
	_ = enc.Encode(value)
	twice, _ := json.Marshal(string(bytes.Trim(quoted, `"`)))
	unique := map[string]bool{
		value:                             true,
		url.QueryEscape(value):            true,
		url.PathEscape(value):             true,
		url.User(value).String():          true,
		strings.Trim(string(quoted), `"`): true,
		strings.Trim(strings.TrimSpace(plainQuoted.String()), `"`): true,
		strings.Trim(string(twice), `"`):                           true,
	}
	for shift := range 3 {
		padded := append(make([]byte, shift), value...)
		whole := base64.StdEncoding.EncodeToString(padded)
		// The first and last characters also depend on the adjacent text. The characters between depend only on the
		// value.
		first := []int{0, 2, 3}[shift]
		last := len(padded) * 8 / 6
		unique[whole[first:last]] = true
		unique[strings.NewReplacer("+", "-", "/", "_").Replace(whole[first:last])] = true
	}
	var out [][]byte
	for s := range unique {
		out = append(out, []byte(s))
	}
	return out
}

// search reports every file below the folders, also inside gzip, that contains a value in any spelling.
func search(t *testing.T, values map[string]string, folders ...string) (found []string, files int) {
	t.Helper()
	needles := map[string][][]byte{}
	for name, value := range values {
		require.GreaterOrEqual(t, len(value), 8, "%s is long enough to be distinguished from other text", name)
		needles[name] = spellings(value)
	}
	for _, folder := range folders {
		err := filepath.WalkDir(folder, func(path string, entry fs.DirEntry, err error) error {
			if err != nil || !entry.Type().IsRegular() {
				return nil //nolint:nilerr // A file can disappear while the folder is read.
			}
			content, err := os.ReadFile(path)
			if err != nil {
				return nil //nolint:nilerr // As above.
			}
			files++
			texts := [][]byte{content}
			if zipped, err := gzip.NewReader(bytes.NewReader(content)); err == nil {
				inner, _ := io.ReadAll(zipped)
				texts = append(texts, inner)
			}
			for name, spelled := range needles {
				for _, text := range texts {
					for _, needle := range spelled {
						if bytes.Contains(text, needle) {
							found = append(found, name+" in "+path)
						}
					}
				}
			}
			return nil
		})
		require.NoError(t, err)
	}
	return found, files
}

// secretValues returns the actual secrets of this run.
func secretValues(t *testing.T) map[string]string {
	t.Helper()
	_, master := masterCredentials(t)
	pooled := secret(t, namespace, service+"-db", "DATABASE_URL")
	login, err := url.Parse(pooled)
	require.NoError(t, err)
	loginPassword, _ := login.User.Password()
	return map[string]string{
		"the master password":       master,
		"the consumer's password":   loginPassword,
		"the consumer's DSN":        pooled,
		"the direct DSN":            secret(t, namespace, service+"-db-direct", "DATABASE_URL"),
		"the local passphrase file": strings.TrimSpace(passphrase(t)),
	}
}

func passphrase(t *testing.T) string {
	t.Helper()
	for line := range strings.Lines(mustDbtier(t, "local", "env").stdout) {
		if file, ok := strings.CutPrefix(strings.TrimSpace(line), "export PULUMI_CONFIG_PASSPHRASE_FILE="); ok {
			text, err := os.ReadFile(strings.Trim(file, `'"`))
			require.NoError(t, err)
			return string(text)
		}
	}
	t.Fatal("no PULUMI_CONFIG_PASSPHRASE_FILE in `dbtier local env`")
	return ""
}

func TestNoSecretValueIsInStateLogsPlansConfigMapsOrOutput(t *testing.T) {
	values := secretValues(t)
	said := t.TempDir()
	write := func(name string, r result) {
		require.NoError(t, os.WriteFile(filepath.Join(said, name), []byte(r.stdout+r.stderr), 0o600))
	}
	write("up", mustDbtier(t, "up", "--stack", "local"))
	write("preview", mustDbtier(t, "preview", "--stack", "local"))
	write("verify", mustDbtier(t, "verify", "--stack", "local"))
	write("outputs", mustDbtier(t, "outputs", "--stack", "local", "--json"))
	write("status", mustDbtier(t, "local", "status"))
	write("logs", mustDbtier(t, "local", "logs"))
	write("env", mustDbtier(t, "local", "env"))
	write("configmaps", tryKubectl(t, "", "get", "configmaps", "-A", "-o", "yaml"))
	write("events", tryKubectl(t, "", "get", "events", "-A", "-o", "yaml"))
	for _, pod := range strings.Fields(kubectl(t, "get", "pods", "-A", "-o",
		`jsonpath={range .items[*]}{.metadata.namespace}/{.metadata.name} {end}`)) {
		ns, name, _ := strings.Cut(pod, "/")
		write("podlog-"+name, tryKubectl(t, "", "-n", ns, "logs", name, "--all-containers"))
	}

	// Only the passphrase file may contain the passphrase.
	folders := []string{said}
	for _, f := range []string{
		".localcloud/state/pulumi", ".localcloud/state/logs", ".dbtier",
		".localcloud/cache/charts",
	} {
		folders = append(folders, filepath.Join(root, f))
	}
	found, files := search(t, values, folders...)
	var wrong []string
	for _, f := range found {
		if !strings.HasPrefix(f, "the local passphrase file in ") || !strings.Contains(filepath.Base(f), "passphrase") {
			wrong = append(wrong, f)
		}
	}
	assert.Empty(t, wrong)
	assert.Greater(t, files, 10, "files searched")

	t.Run("the search finds planted secrets", func(t *testing.T) {
		plant := t.TempDir()
		master := values["the master password"]
		var zipped bytes.Buffer
		w := gzip.NewWriter(&zipped)
		_, _ = w.Write([]byte("x" + base64.StdEncoding.EncodeToString([]byte("ab"+master+"cd"))))
		require.NoError(t, w.Close())
		escaped, _ := json.Marshal(map[string]string{"p": master})
		for name, content := range map[string][]byte{
			"plain": []byte("a " + master + " b"), "url": []byte("postgres://u:" + url.QueryEscape(master) + "@h/d"),
			"json": escaped, "base64.gz": zipped.Bytes(),
			"base64": []byte(base64.StdEncoding.EncodeToString([]byte("q" + master))),
		} {
			require.NoError(t, os.WriteFile(filepath.Join(plant, name), content, 0o600))
			found, _ := search(t, values, plant)
			assert.NotEmpty(t, found, "planted as %s", name)
			require.NoError(t, os.Remove(filepath.Join(plant, name)))
		}
	})
}
