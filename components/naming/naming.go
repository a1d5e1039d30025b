package naming

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"
)

// Limits of the length of names, in characters.
const (
	// LabelLimit is the limit of DNS labels, which most names in Kubernetes are.
	LabelLimit = 63
	// RoleLimit is the limit of IAM roles.
	RoleLimit = 64
	// IdentifierLimit is the limit of RDS instances.
	IdentifierLimit = 63
	// SnapshotLimit is the limit of RDS snapshots.
	SnapshotLimit = 255
)

// digits of a hash in a name: 32 bits are enough to keep the few names of one stack apart.
const digits = 8

// Join joins the parts with hyphens. A result longer than limit is cut and ends in a hash of the whole.
func Join(limit int, parts ...string) string {
	whole := strings.Join(parts, "-")
	if len(whole) <= limit {
		return whole
	}
	head := strings.TrimRight(whole[:limit-digits-1], "-")
	return head + "-" + short([]byte(whole))
}

// Hash returns a short digest of a value's JSON form, for names that must change with their content.
func Hash(value any) (string, error) {
	text, err := json.Marshal(value)
	if err != nil {
		return "", fmt.Errorf("hashing content for a name: %w", err)
	}
	return short(text), nil
}

func short(text []byte) string {
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:])[:digits]
}
