package kuberules_test

import (
	"strings"
	"testing"

	"dbtier/validation/kuberules"
)

func TestQuantities(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"1": "1", "0.5": "1/2", "250m": "1/4", "64Mi": "67108864", "1Ti": "1099511627776", "1e3": "1000", "1E-3": "1/1000",
		"1E": "1000000000000000000", "1.5Gi": "1610612736", "+1": "1", "-1": "-1", ".5": "1/2", "1.": "1", "100n": "1/10000000",
		"3u": "3/1000000", "1Ei": "1152921504606846976", "2k": "2000", "7P": "7000000000000000", "9Pi": "10133099161583616",
	} {
		value, ok := kuberules.ParseQuantity(text)
		if !ok || value.RatString() != want {
			t.Errorf("%s: %v, %t, want %s", text, value, ok, want)
		}
	}
	for _, text := range []string{"", "64MB", "a", "Mi", "1 Gi", "1Gi ", "1mi", "1K", "1e", "1e1.5", "--1", "0x10", "1Mi2", ".", "1,5"} {
		if value, ok := kuberules.ParseQuantity(text); ok {
			t.Errorf("%q is %v", text, value)
		}
	}
}

func TestProcessorsAndMemory(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"0", "1m", "0.001", "250m", "2", "1e1", "2k"} {
		if _, err := kuberules.CheckCPU(text); err != nil {
			t.Errorf("%s: %s", text, err)
		}
	}
	for text, want := range map[string]string{
		"0.5m": "finer than 1m", "100u": "finer than 1m", "128Mi": "more processors than any node", "-1": "want a number of",
		"two": "want a number of", "": "want a number of",
	} {
		if _, err := kuberules.CheckCPU(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", text, err)
		}
	}
	for _, text := range []string{"0", "64Mi", "1Ti", "1G", "134217728", "128e6", "1.5Gi", "134217728000m"} {
		if _, err := kuberules.CheckMemory(text); err != nil {
			t.Errorf("%s: %s", text, err)
		}
	}
	for text, want := range map[string]string{
		"512m": "is a part of a byte: m is a thousandth; want 512Mi", "512": "is 512 bytes", "1M": "is 1000000 bytes",
		"-1Gi": "want an amount", "64MB": "want an amount", "": "want an amount",
	} {
		if _, err := kuberules.CheckMemory(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", text, err)
		}
	}
}

// A sum of what the grammar allows: no text panics, and a quantity with a space or a letter before it never passes.
func FuzzQuantities(f *testing.F) {
	for _, text := range []string{"1Gi", "-.5e-9", "9999999999999999999E", "1e999"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		value, ok := kuberules.ParseQuantity(text)
		if !ok {
			return
		}
		if _, spaced := kuberules.ParseQuantity(" " + text); spaced || value == nil {
			t.Errorf("%q", text)
		}
	})
}

func TestImages(t *testing.T) {
	t.Parallel()
	digest := "sha256:" + strings.Repeat("0f", 32)
	for _, text := range []string{
		"a", "a:1", "library/postgres:16", "r.example/a:1@" + digest, "localhost:5000/a/b-c__d:V1.0", "r.example:443/a@" + digest,
		"123456789012.dkr.ecr.ap-northeast-2.amazonaws.com/myshop-api:1.4.2", "R.example/a", "[fd00::1]:5000/a:1",
	} {
		if err := kuberules.CheckImage(text); err != nil {
			t.Errorf("%s: %s", text, err)
		}
	}
	for text, want := range map[string]string{
		"": "is missing", "a b": "white space", " a": "white space", "https://r.example/a": "is a URL",
		"a:${TAG}": "a variable", "a:1:2": "two tags", "r.example/A:1": "capitals", "Shop/a": "capitals", "a:": "empty tag",
		"a@sha256:0f": "want the name", "/a": "want the name", "a/": "want the name",
		"a:-1": "want the name", "a:" + strings.Repeat("1", 129): "want the name", "a--": "want the name", "a..b": "want",
		strings.Repeat("a/", 130) + "a": "more than 255", "a@sha256:" + strings.Repeat("0", 63): "64 digits", "a:1\n": "white",
	} {
		if err := kuberules.CheckImage(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %s", text, err, want)
		}
	}
}

func TestNamesOfVariablesAndNamespaces(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]bool{
		"A": true, "_a1": true, "my.var-1": true, "": false, "1A": false, "A B": false, "A=B": false, "ä": false, "..": false,
		".": false, "..a": false, strings.Repeat("A", 254): false,
	} {
		if kuberules.IsEnvName(name) != want {
			t.Errorf("%q: %t", name, !want)
		}
	}
	for name, reserved := range map[string]bool{
		"kube-system": true, "kube-anything": true, "default": true, "kubecost": false, "shop": false,
	} {
		if (kuberules.ReservedNamespace(name) != "") != reserved {
			t.Errorf("%s: %t", name, !reserved)
		}
	}
}
