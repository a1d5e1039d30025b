package pki_test

import (
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"net"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"dbtier/localcloud/internal/pki"
)

var server = pki.Leaf{
	Name: "apiserver", CommonName: "kube-apiserver",
	DNSNames: []string{"kubernetes.default.svc"}, Addresses: []net.IP{net.IPv4(127, 0, 0, 1)},
}

func load(t *testing.T, dir string) *pki.Authority {
	t.Helper()
	authority, err := pki.Load(dir)
	require.NoError(t, err)
	return authority
}

func certificate(t *testing.T, a *pki.Authority, name string) *x509.Certificate {
	t.Helper()
	pair, err := tls.LoadX509KeyPair(a.Path(name+".crt"), a.Path(name+".key"))
	require.NoError(t, err)
	return pair.Leaf
}

func TestAServerCertificateIsTrustedForItsNames(t *testing.T) {
	a := load(t, t.TempDir())
	require.NoError(t, a.Ensure(server))
	roots := x509.NewCertPool()
	require.True(t, roots.AppendCertsFromPEM(a.PEM()))
	cert := certificate(t, a, "apiserver")
	for _, name := range []string{"127.0.0.1", "kubernetes.default.svc"} {
		_, err := cert.Verify(x509.VerifyOptions{Roots: roots, DNSName: name})
		require.NoError(t, err, name)
	}
	_, err := cert.Verify(x509.VerifyOptions{Roots: roots, DNSName: "elsewhere.example"})
	assert.Error(t, err)
}

func TestAClientCertificateCarriesUserAndGroupsAndIsNoServer(t *testing.T) {
	a := load(t, t.TempDir())
	require.NoError(t, a.Ensure(pki.Leaf{
		Name: "kubelet", CommonName: "system:node:local",
		Groups: []string{"system:nodes"},
	}))
	cert := certificate(t, a, "kubelet")
	assert.Equal(t, "system:node:local", cert.Subject.CommonName)
	assert.Equal(t, []string{"system:nodes"}, cert.Subject.Organization)
	assert.Equal(t, []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}, cert.ExtKeyUsage)
}

func TestEverythingSurvivesALaterStart(t *testing.T) {
	dir := t.TempDir()
	first := load(t, dir)
	require.NoError(t, first.Ensure(server))
	require.NoError(t, first.EnsureSigningKey())
	before := certificate(t, first, "apiserver")
	keys, err := first.SigningKeys()
	require.NoError(t, err)

	second := load(t, dir)
	require.NoError(t, second.Ensure(server))
	require.NoError(t, second.EnsureSigningKey())
	assert.Equal(t, first.PEM(), second.PEM())
	assert.Equal(t, before.Raw, certificate(t, second, "apiserver").Raw)
	again, err := second.SigningKeys()
	require.NoError(t, err)
	assert.Equal(t, keys, again)
	require.IsType(t, &rsa.PublicKey{}, keys[0])
}

func TestACertificateIsMadeAnewWhenItNoLongerFits(t *testing.T) {
	cases := map[string]func(t *testing.T, dir string) pki.Leaf{
		"other names": func(*testing.T, string) pki.Leaf {
			l := server
			l.DNSNames = []string{"localhost"}
			return l
		},
		"half written": func(t *testing.T, dir string) pki.Leaf {
			t.Helper()
			require.NoError(t, os.WriteFile(filepath.Join(dir, "apiserver.crt"), []byte("-----BEGIN"), 0o600))
			return server
		},
		"key gone": func(t *testing.T, dir string) pki.Leaf {
			t.Helper()
			require.NoError(t, os.Remove(filepath.Join(dir, "apiserver.key")))
			return server
		},
		"another authority's": func(t *testing.T, dir string) pki.Leaf {
			t.Helper()
			other := load(t, t.TempDir())
			require.NoError(t, other.Ensure(server))
			for _, file := range []string{"apiserver.crt", "apiserver.key"} {
				content, err := os.ReadFile(other.Path(file))
				require.NoError(t, err)
				require.NoError(t, os.WriteFile(filepath.Join(dir, file), content, 0o600))
			}
			return server
		},
	}
	for name, spoil := range cases {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			a := load(t, dir)
			require.NoError(t, a.Ensure(server))
			want := spoil(t, dir)
			require.NoError(t, a.Ensure(want))
			cert := certificate(t, a, "apiserver")
			assert.Equal(t, want.DNSNames, cert.DNSNames)
			roots := x509.NewCertPool()
			roots.AppendCertsFromPEM(a.PEM())
			_, err := cert.Verify(x509.VerifyOptions{Roots: roots})
			assert.NoError(t, err)
		})
	}
}

func TestPrivateKeysAreForTheOwnerOnly(t *testing.T) {
	a := load(t, t.TempDir())
	require.NoError(t, a.Ensure(server))
	require.NoError(t, a.EnsureSigningKey())
	for _, file := range []string{"ca.key", "apiserver.key", "sa.key"} {
		info, err := os.Stat(a.Path(file))
		require.NoError(t, err)
		assert.Equal(t, os.FileMode(0o600), info.Mode().Perm(), file)
	}
}
