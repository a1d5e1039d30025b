package rds

import (
	"crypto/tls"
	"crypto/x509"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestTheAuthorityIsMadeOnceAndFoundAgain(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "pki")
	first, err := openAuthority(dir, time.Now)
	require.NoError(t, err)
	second, err := openAuthority(dir, time.Now)
	require.NoError(t, err)
	assert.Equal(t, first.bundle, second.bundle)

	info, err := os.Stat(filepath.Join(dir, "rds-ca.key"))
	require.NoError(t, err)
	assert.Equal(t, os.FileMode(0o600), info.Mode().Perm())
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	assert.Len(t, entries, 2, "no temporary file is left")
}

func TestAKillBetweenKeyAndCertificateIsRecovered(t *testing.T) {
	dir := t.TempDir()
	_, err := openAuthority(dir, time.Now)
	require.NoError(t, err)
	require.NoError(t, os.Remove(filepath.Join(dir, "rds-ca.pem")))
	a, err := openAuthority(dir, time.Now)
	require.NoError(t, err)
	_, err = a.issue("db.example.com")
	assert.NoError(t, err)
}

func TestAnAuthorityThatCannotBeUsedIsRefusedWithAFix(t *testing.T) {
	dir, other := t.TempDir(), t.TempDir()
	for _, d := range []string{dir, other} {
		_, err := openAuthority(d, time.Now)
		require.NoError(t, err)
	}
	_, err := openAuthority(dir, func() time.Time { return time.Now().Add(caLife + time.Hour) })
	require.ErrorContains(t, err, "expired")
	foreign, err := os.ReadFile(filepath.Join(other, "rds-ca.key"))
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "rds-ca.key"), foreign, 0o600))
	_, err = openAuthority(dir, time.Now)
	require.ErrorContains(t, err, "do not belong together")
	require.ErrorContains(t, err, "remove both")
	require.NoError(t, os.Remove(filepath.Join(dir, "rds-ca.key")))
	_, err = openAuthority(dir, time.Now)
	assert.ErrorContains(t, err, "rds-ca.key")
}

func TestACertificateIsForItsHostOnlyAndRenewedBeforeItExpires(t *testing.T) {
	now := time.Now()
	a, err := openAuthority(t.TempDir(), func() time.Time { return now })
	require.NoError(t, err)
	const host = "myshop-local.cabcdefghijk.ap-northeast-2.rds.amazonaws.com"
	cfg := a.serverTLS(host)
	leaf := func() *x509.Certificate {
		c, err := cfg.GetCertificate(&tls.ClientHelloInfo{})
		require.NoError(t, err)
		return c.Leaf
	}
	first := leaf()
	roots := x509.NewCertPool()
	require.True(t, roots.AppendCertsFromPEM(a.bundle))
	_, err = first.Verify(x509.VerifyOptions{Roots: roots, DNSName: host})
	require.NoError(t, err)
	_, err = first.Verify(x509.VerifyOptions{Roots: roots, DNSName: "other.rds.amazonaws.com"})
	require.Error(t, err)
	_, err = first.Verify(x509.VerifyOptions{Roots: x509.NewCertPool(), DNSName: host})
	require.Error(t, err)

	now = now.Add(leafLife - leafRenewal - time.Minute)
	assert.Equal(t, first.SerialNumber, leaf().SerialNumber)
	now = now.Add(2 * time.Minute)
	assert.NotEqual(t, first.SerialNumber, leaf().SerialNumber)
}
