package rdsca

import (
	"crypto/x509"
	"embed"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"
	"time"
)

//go:embed regions/*.pem
var regions embed.FS

// Regions returns the regions whose certificates are known, sorted.
func Regions() []string {
	entries, err := fs.ReadDir(regions, "regions")
	if err != nil {
		// The folder is embedded.
		panic(err)
	}
	names := make([]string, 0, len(entries))
	for _, entry := range entries {
		names = append(names, strings.TrimSuffix(entry.Name(), path.Ext(entry.Name())))
	}
	slices.Sort(names)
	return names
}

// Bundle returns a region's root certificates as PEM text.
func Bundle(region string) (string, error) {
	text, err := regions.ReadFile("regions/" + region + ".pem")
	if err != nil {
		return "", fmt.Errorf(
			"the RDS root certificates of region %s are unknown: download the region's bundle from AWS "+
				"(Using SSL/TLS to encrypt a connection to a DB instance) and set network.caBundle to the file", region)
	}
	return string(text), nil
}

// Check returns an error if a bundle is empty, holds anything but certificates, or holds an expired certificate.
func Check(bundle string, now time.Time) error {
	rest, count := []byte(bundle), 0
	for {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		if block.Type != "CERTIFICATE" {
			return fmt.Errorf("holds a %s; only certificates are allowed", strings.ToLower(block.Type))
		}
		certificate, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return fmt.Errorf("certificate %d is not a certificate: %w", count+1, err)
		}
		if now.After(certificate.NotAfter) {
			return fmt.Errorf("certificate %q expired on %s", certificate.Subject.CommonName,
				certificate.NotAfter.Format(time.DateOnly))
		}
		count++
	}
	if strings.TrimSpace(string(rest)) != "" || count == 0 {
		return errors.New("is not a list of PEM certificates")
	}
	return nil
}

// Expires returns when the first certificate of a bundle expires.
func Expires(bundle string) (time.Time, error) {
	var first time.Time
	for rest := []byte(bundle); ; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		certificate, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return first, fmt.Errorf("reading a certificate: %w", err)
		}
		if first.IsZero() || certificate.NotAfter.Before(first) {
			first = certificate.NotAfter
		}
	}
	if first.IsZero() {
		return first, errors.New("the bundle holds no certificate")
	}
	return first, nil
}
