package aws

import (
	"crypto/rand"
	"strings"
)

func randomBytes(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.Read(b) // never fails
	return b
}

// pick returns n random characters of an alphabet, each equally likely.
func pick(alphabet string, n int) string {
	out := make([]byte, 0, n)
	limit := 256 - 256%len(alphabet)
	for len(out) < n {
		for _, b := range randomBytes(n) {
			if int(b) < limit && len(out) < n {
				out = append(out, alphabet[int(b)%len(alphabet)])
			}
		}
	}
	return string(out)
}

const (
	upper   = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
	lower   = "abcdefghijklmnopqrstuvwxyz"
	decimal = "0123456789"
)

// randomID returns the random part of IAM's unique IDs, in the base 32 alphabet.
func randomID(n int) string { return pick(upper+"234567", n) }

func randomSecretKey() string { return pick(upper+lower+decimal, 40) }

func randomHex(n int) string { return pick(decimal+"abcdef", n) }

// passwordSpecials are characters that break URLs, shells, globs and form decoding. Every master password contains all
// of them, so that each run tests their encoding.
const passwordSpecials = ":%#?*[&+" //nolint:gosec // characters, not a password

// passwordAlphabet is RDS's alphabet, printable ASCII without / ' " @ and space. It also leaves out \ and `.
const passwordAlphabet = upper + lower + decimal + passwordSpecials + "!$(),-.;<=>]^_{|}~"

const passwordLength = 32

// newMasterPassword generates a password as RDS does.
func newMasterPassword() string {
	chars := []byte(passwordSpecials + pick(passwordAlphabet, passwordLength-len(passwordSpecials)))
	for i := len(chars) - 1; i > 0; i-- {
		j := uniform(i + 1)
		chars[i], chars[j] = chars[j], chars[i]
	}
	return string(chars)
}

// uniform returns a random number below n. n is at most 256.
func uniform(n int) int {
	limit := 256 - 256%n
	for {
		if b := int(randomBytes(1)[0]); b < limit {
			return b % n
		}
	}
}

func randomUUID() string {
	h := []byte(randomHex(32))
	h[12] = '4'
	h[16] = "89ab"[uniform(4)]
	return strings.Join([]string{string(h[:8]), string(h[8:12]), string(h[12:16]), string(h[16:20]), string(h[20:])},
		"-")
}
