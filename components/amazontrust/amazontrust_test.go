package amazontrust_test

import (
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"dbtier/components/amazontrust"
	"dbtier/components/rdsca"
)

// The fingerprints are from Amazon Trust Services' repository.
func TestTheRootsAreAmazonsAndLastForYears(t *testing.T) {
	t.Parallel()
	bundle := amazontrust.Bundle()
	require.NoError(t, rdsca.Check(bundle, time.Now().AddDate(5, 0, 0)), "there must be five years left to replace them")
	found := map[string]string{}
	for rest := []byte(bundle); ; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		root, err := x509.ParseCertificate(block.Bytes)
		require.NoError(t, err)
		assert.True(t, root.IsCA)
		require.NoError(t, root.CheckSignatureFrom(root), "%s signs itself", root.Subject.CommonName)
		sum := sha256.Sum256(root.Raw)
		found[root.Subject.CommonName] = hex.EncodeToString(sum[:])
	}
	assert.Equal(t, map[string]string{
		"Amazon Root CA 1": "8ecde6884f3d87b1125ba31ac3fcb13d7016de7f57cc904fe1cb97c6ae98196e",
		"Amazon Root CA 2": "1ba5b2aa8c65401a82960118f80bec4f62304d83cec4713a19c39c011ea46db4",
		"Amazon Root CA 3": "18ce6cfe7bf14e60b2e347b8dfe868cb31d02ebb3ada271569f50343b46db3a4",
		"Amazon Root CA 4": "e35d28419ed02025cfa69038cd623962458da5c695fbdea3c22b0bfb25897092",
		"Starfield Services Root Certificate Authority - " +
			"G2": "568d6905a2c88708a4b3025190edcfedb1974a606a13c6e5290fcb2ae63edab5",
	}, found)
	assert.Error(t, rdsca.Check(bundle, time.Date(2038, 1, 1, 0, 0, 0, 0, time.UTC)), "a root has expired by then")
}
