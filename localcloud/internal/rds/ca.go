package rds

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"os"
	"path/filepath"
	"sync"
	"time"

	"dbtier/localcloud/internal/safefile"
)

const (
	caLife   = 20 * 365 * 24 * time.Hour
	leafLife = 90 * 24 * time.Hour
	// A certificate is renewed when it expires within this time.
	leafRenewal = 30 * 24 * time.Hour
	// Certificates are valid from this long before their creation, for clients whose clock is behind.
	clockSkew = time.Hour
)

// authority is the local CA of the RDS endpoints.
type authority struct {
	certificate *x509.Certificate
	key         crypto.Signer
	bundle      []byte
	now         func() time.Time
}

// openAuthority loads the CA from dir. If there is none, it creates one. The key is written before the certificate. If
// the process is killed between the two, there is a key without a certificate, and the next run creates both again.
func openAuthority(dir string, now func() time.Time) (*authority, error) {
	certFile, keyFile := filepath.Join(dir, "rds-ca.pem"), filepath.Join(dir, "rds-ca.key")
	bundle, err := os.ReadFile(certFile)
	if errors.Is(err, fs.ErrNotExist) {
		return makeAuthority(dir, certFile, keyFile, now)
	}
	if err != nil {
		return nil, fmt.Errorf("reading the RDS CA: %w", err)
	}
	keyPEM, err := os.ReadFile(keyFile)
	if err != nil {
		return nil, fmt.Errorf("reading the key of the RDS CA: %w", err)
	}
	pair, err := tls.X509KeyPair(bundle, keyPEM)
	if err != nil {
		return nil, fmt.Errorf(
			"the RDS CA %s and its key %s do not belong together: %w; remove both to have them created again", certFile,
			keyFile, err,
		)
	}
	key, ok := pair.PrivateKey.(crypto.Signer)
	if !ok {
		return nil, fmt.Errorf("the key of the RDS CA %s cannot sign", keyFile)
	}
	if now().After(pair.Leaf.NotAfter) {
		return nil, fmt.Errorf("the RDS CA %s expired on %s: remove it and %s to have both created again",
			certFile, pair.Leaf.NotAfter.Format(time.DateOnly), keyFile)
	}
	return &authority{certificate: pair.Leaf, key: key, bundle: bundle, now: now}, nil
}

func makeAuthority(dir, certFile, keyFile string, now func() time.Time) (*authority, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("creating the folder of the RDS CA: %w", err)
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("creating the key of the RDS CA: %w", err)
	}
	serial, err := serialNumber()
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{
		SerialNumber:          serial,
		Subject:               pkix.Name{CommonName: "localcloud RDS Root CA", Organization: []string{"localcloud"}},
		NotBefore:             now().Add(-clockSkew),
		NotAfter:              now().Add(caLife),
		IsCA:                  true,
		BasicConstraintsValid: true,
		MaxPathLenZero:        true,
		KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, fmt.Errorf("creating the RDS CA: %w", err)
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, fmt.Errorf("creating the RDS CA: %w", err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, fmt.Errorf("encoding the key of the RDS CA: %w", err)
	}
	bundle := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	if err := safefile.Replace(keyFile, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER}),
		0o600); err != nil {
		return nil, err
	}
	if err := safefile.Replace(certFile, bundle, 0o644); err != nil {
		return nil, err
	}
	return &authority{certificate: certificate, key: key, bundle: bundle, now: now}, nil
}

// issue creates a server certificate for a host.
func (a *authority) issue(host string) (*tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("creating a key for %s: %w", host, err)
	}
	serial, err := serialNumber()
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{
		SerialNumber: serial,
		// A common name has at most 64 characters. Clients check the alternative name.
		Subject:     pkix.Name{CommonName: host[:min(len(host), 64)]},
		DNSNames:    []string{host},
		NotBefore:   a.now().Add(-clockSkew),
		NotAfter:    a.now().Add(leafLife),
		KeyUsage:    x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.certificate, key.Public(), a.key)
	if err != nil {
		return nil, fmt.Errorf("creating a certificate for %s: %w", host, err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, fmt.Errorf("creating a certificate for %s: %w", host, err)
	}
	return &tls.Certificate{Certificate: [][]byte{der, a.certificate.Raw}, PrivateKey: key, Leaf: leaf}, nil
}

// serverTLS returns the TLS configuration of an endpoint. The certificate is created at the first handshake and renewed
// before it expires.
func (a *authority) serverTLS(host string) *tls.Config {
	var mu sync.Mutex
	var current *tls.Certificate
	return &tls.Config{
		MinVersion: tls.VersionTLS12,
		// Clients with sslnegotiation=direct must ask for this protocol. Others may omit it.
		NextProtos: []string{alpnPostgreSQL},
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
			mu.Lock()
			defer mu.Unlock()
			if current == nil || a.now().After(current.Leaf.NotAfter.Add(-leafRenewal)) {
				next, err := a.issue(host)
				if err != nil {
					return nil, err
				}
				current = next
			}
			return current, nil
		},
	}
}

func serialNumber() (*big.Int, error) {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return nil, fmt.Errorf("generating a serial number: %w", err)
	}
	return serial.Add(serial, big.NewInt(1)), nil
}
