package pki

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"slices"
	"time"

	"dbtier/localcloud/internal/safefile"
)

const (
	caLife   = 10 * 365 * 24 * time.Hour
	leafLife = 365 * 24 * time.Hour
	// renewBefore is the remaining lifetime below which a start issues a certificate again, so that none expires while
	// the cloud runs.
	renewBefore = 30 * 24 * time.Hour
)

// Leaf describes one certificate that the authority signs. With DNS names or addresses it is a server certificate,
// otherwise a client certificate.
type Leaf struct {
	// Name is the file name without its extension: <Name>.crt and <Name>.key.
	Name string
	// CommonName and Groups are the user and the groups by which Kubernetes identifies the client.
	CommonName string
	Groups     []string
	DNSNames   []string
	Addresses  []net.IP
}

func (l Leaf) server() bool { return len(l.DNSNames)+len(l.Addresses) > 0 }

// Authority is a certificate authority whose files are in one folder.
type Authority struct {
	dir  string
	cert *x509.Certificate
	key  crypto.Signer
	pem  []byte
}

// Load reads the authority from the folder. It creates a new one if there is none or if it expires soon.
func Load(dir string) (*Authority, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("creating the folder of keys: %w", err)
	}
	a := &Authority{dir: dir}
	cert, key, err := readPair(dir, "ca")
	if err != nil {
		return nil, err
	}
	if cert == nil || time.Until(cert.NotAfter) < renewBefore {
		template := &x509.Certificate{
			Subject:               pkix.Name{CommonName: "localcloud"},
			KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
			BasicConstraintsValid: true,
			IsCA:                  true,
		}
		if cert, key, err = a.issue("ca", template, caLife); err != nil {
			return nil, err
		}
	}
	a.cert, a.key = cert, key
	a.pem = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert.Raw})
	return a, nil
}

// PEM returns the certificate of the authority.
func (a *Authority) PEM() []byte { return a.pem }

// Path returns the path of a file in the authority's folder.
func (a *Authority) Path(file string) string { return filepath.Join(a.dir, file) }

// Ensure issues the certificate and its key unless both exist, match l, are signed by this authority and do not expire
// soon.
func (a *Authority) Ensure(l Leaf) error {
	cert, key, err := readPair(a.dir, l.Name)
	if err != nil {
		return err
	}
	if cert != nil && key != nil && a.current(cert, l) {
		return nil
	}
	template := &x509.Certificate{
		Subject:     pkix.Name{CommonName: l.CommonName, Organization: l.Groups},
		KeyUsage:    x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
		DNSNames:    l.DNSNames,
		IPAddresses: l.Addresses,
	}
	if l.server() {
		template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	}
	_, _, err = a.issue(l.Name, template, leafLife)
	return err
}

func (a *Authority) current(cert *x509.Certificate, l Leaf) bool {
	sameAddresses := slices.EqualFunc(cert.IPAddresses, l.Addresses, func(x, y net.IP) bool { return x.Equal(y) })
	return time.Until(cert.NotAfter) >= renewBefore && cert.CheckSignatureFrom(a.cert) == nil &&
		cert.Subject.CommonName == l.CommonName && slices.Equal(cert.Subject.Organization, l.Groups) &&
		slices.Equal(cert.DNSNames, l.DNSNames) && sameAddresses
}

// issue signs the template with the authority's key and writes both files. Without an authority the certificate signs
// itself.
func (a *Authority) issue(
	name string, template *x509.Certificate, life time.Duration,
) (*x509.Certificate, crypto.Signer, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, fmt.Errorf("creating a key for %s: %w", name, err)
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return nil, nil, fmt.Errorf("creating a serial number for %s: %w", name, err)
	}
	template.SerialNumber = serial
	// The hour allows for a clock that is set back a little.
	template.NotBefore = time.Now().Add(-time.Hour)
	template.NotAfter = time.Now().Add(life)
	parent, signer := a.cert, a.key
	if parent == nil {
		parent, signer = template, crypto.Signer(key)
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), signer)
	if err != nil {
		return nil, nil, fmt.Errorf("signing the certificate of %s: %w", name, err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, nil, fmt.Errorf("writing the key of %s: %w", name, err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, nil, fmt.Errorf("reading back the certificate of %s: %w", name, err)
	}
	return cert, key, errors.Join(
		safefile.Replace(a.Path(name+".key"),
			pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER}), 0o600),
		safefile.Replace(a.Path(name+".crt"),
			pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o644),
	)
}

// EnsureSigningKey creates the RSA key pair that signs service account tokens (RS256, as on EKS): sa.key and sa.pub.
func (a *Authority) EnsureSigningKey() error {
	path := a.Path("sa.key")
	if _, err := os.Stat(path); err == nil {
		if _, err := os.Stat(a.Path("sa.pub")); err == nil {
			return nil
		}
	}
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return fmt.Errorf("creating the key of service account tokens: %w", err)
	}
	public, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		return fmt.Errorf("writing the key of service account tokens: %w", err)
	}
	private := pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)})
	return errors.Join(
		safefile.Replace(path, private, 0o600),
		safefile.Replace(a.Path("sa.pub"), pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: public}), 0o644),
	)
}

// SigningKeys returns the public keys that verify service account tokens.
func (a *Authority) SigningKeys() ([]crypto.PublicKey, error) {
	text, err := os.ReadFile(a.Path("sa.pub"))
	if err != nil {
		return nil, fmt.Errorf("reading the public key of service account tokens: %w", err)
	}
	block, _ := pem.Decode(text)
	if block == nil {
		return nil, fmt.Errorf("%s is not PEM", a.Path("sa.pub"))
	}
	key, err := x509.ParsePKIXPublicKey(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", a.Path("sa.pub"), err)
	}
	return []crypto.PublicKey{key}, nil
}

// readPair returns nil if a file is missing or unusable. The caller then issues the pair again.
func readPair(dir, name string) (*x509.Certificate, crypto.Signer, error) {
	certPEM, err := os.ReadFile(filepath.Join(dir, name+".crt"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil, nil
	}
	if err != nil {
		return nil, nil, fmt.Errorf("reading the certificate of %s: %w", name, err)
	}
	keyPEM, err := os.ReadFile(filepath.Join(dir, name+".key"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil, nil
	}
	if err != nil {
		return nil, nil, fmt.Errorf("reading the key of %s: %w", name, err)
	}
	certBlock, _ := pem.Decode(certPEM)
	keyBlock, _ := pem.Decode(keyPEM)
	if certBlock == nil || keyBlock == nil {
		return nil, nil, nil
	}
	cert, certErr := x509.ParseCertificate(certBlock.Bytes)
	key, keyErr := x509.ParsePKCS8PrivateKey(keyBlock.Bytes)
	if certErr != nil || keyErr != nil {
		return nil, nil, nil //nolint:nilerr // The caller replaces a pair that a crash left half written.
	}
	signer, ok := key.(*ecdsa.PrivateKey)
	if public, same := cert.PublicKey.(*ecdsa.PublicKey); !ok || !same || !signer.PublicKey.Equal(public) {
		return nil, nil, nil
	}
	return cert, signer, nil
}
