package rds

import (
	"crypto/hmac"
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
)

// scramIterations is PostgreSQL's default of scram_iterations.
const scramIterations = 4096

// scramSecret returns the secret that PostgreSQL stores for a password (RFC 5803). The server gets the secret and not
// the password, so no setting of log_statement can put a password into its log.
func scramSecret(password string) (string, error) {
	if err := checkPassword(password); err != nil {
		return "", err
	}
	salt := make([]byte, 16)
	if _, err := rand.Read(salt); err != nil {
		return "", fmt.Errorf("generating a salt: %w", err)
	}
	return scramSecretWith(password, salt, scramIterations)
}

func scramSecretWith(password string, salt []byte, iterations int) (string, error) {
	salted, err := pbkdf2.Key(sha256.New, password, salt, iterations, sha256.Size)
	if err != nil {
		return "", fmt.Errorf("hashing the password: %w", err)
	}
	sign := func(text string) []byte {
		mac := hmac.New(sha256.New, salted)
		mac.Write([]byte(text))
		return mac.Sum(nil)
	}
	stored := sha256.Sum256(sign("Client Key"))
	encode := base64.StdEncoding.EncodeToString
	return fmt.Sprintf("SCRAM-SHA-256$%d:%s$%s:%s", iterations, encode(salt), encode(stored[:]),
		encode(sign("Server Key"))), nil
}

// checkPassword applies RDS's rule: 8 to 128 printable ASCII characters without / ' " @ and space. SASLprep changes
// none of these characters. The error does not quote the password.
// https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/CHAP_Limits.html#RDS_Limits.Constraints
func checkPassword(password string) error {
	if len(password) < 8 || len(password) > 128 {
		return errors.New("the master password must have 8 to 128 characters")
	}
	for _, c := range []byte(password) {
		if c <= ' ' || c > '~' || c == '/' || c == '\'' || c == '"' || c == '@' {
			return errors.New(
				`the master password must have printable ASCII characters only, and none of / ' " @ and space`,
			)
		}
	}
	return nil
}
