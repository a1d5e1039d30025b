package rdsca_test

import (
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"dbtier/components/rdsca"
)

func TestEveryRegionHasItsThreeRootsAndTheyLastForYears(t *testing.T) {
	t.Parallel()
	require.Contains(t, rdsca.Regions(), "ap-northeast-2")
	for _, region := range rdsca.Regions() {
		bundle, err := rdsca.Bundle(region)
		require.NoError(t, err)
		require.NoError(t, rdsca.Check(bundle, time.Now().AddDate(5, 0, 0)), region)
		var names []string
		for rest := []byte(bundle); ; {
			var block *pem.Block
			if block, rest = pem.Decode(rest); block == nil {
				break
			}
			root, err := x509.ParseCertificate(block.Bytes)
			require.NoError(t, err)
			assert.True(t, root.IsCA)
			require.NoError(t, root.CheckSignatureFrom(root), "%s signs itself", root.Subject.CommonName)
			names = append(names, root.Subject.CommonName)
		}
		want := []string{}
		for _, kind := range []string{"RSA2048", "RSA4096", "ECC384"} {
			want = append(want, fmt.Sprintf("Amazon RDS %s Root CA %s G1", region, kind))
		}
		assert.Equal(t, want, names)
	}
}

func TestAnUnknownRegionSaysWhatToDo(t *testing.T) {
	t.Parallel()
	_, err := rdsca.Bundle("mx-central-1")
	assert.ErrorContains(t, err, "set network.caBundle to the file")
}

func TestInvalidBundles(t *testing.T) {
	t.Parallel()
	bundle, err := rdsca.Bundle("ap-northeast-2")
	require.NoError(t, err)
	for text, reason := range map[string]string{
		"":                  "is not a list of PEM certificates",
		"hello":             "is not a list of PEM certificates",
		bundle + "and more": "is not a list of PEM certificates",
		"-----BEGIN PRIVATE KEY-----\n-----END PRIVATE KEY-----\n": "holds a private key; only certificates " +
			"are allowed",
		"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n": "certificate 1 is not a certificate",
	} {
		require.ErrorContains(t, rdsca.Check(text, time.Now()), reason)
	}
	assert.ErrorContains(t, rdsca.Check(bundle, time.Date(2062, 1, 1, 0, 0, 0, 0, time.UTC)),
		`certificate "Amazon RDS ap-northeast-2 Root CA RSA2048 G1" expired on 2061-05-20`)
}
