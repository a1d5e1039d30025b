package aws

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"dbtier/localcloud/internal/aws/iam"
	"dbtier/localcloud/internal/aws/wire"
)

var stsActions = map[string]func(*call, *wire.Params) (any, error){
	webIdentityAction:   (*call).assumeRoleWithWebIdentity,
	"AssumeRole":        (*call).assumeRole,
	"GetCallerIdentity": (*call).getCallerIdentity,
}

// oidcClientIDs are the audiences of the account's OIDC provider, the same as for an EKS cluster.
var oidcClientIDs = []string{"sts.amazonaws.com"}

// providerARN returns the ARN of the account's only IAM OIDC provider.
func (c *Cloud) providerARN() string {
	return "arn:aws:iam::" + AccountID + ":oidc-provider/" + c.issuerKey()
}

// issuerKey returns the issuer as condition keys and ARNs contain it, without the scheme.
func (c *Cloud) issuerKey() string { return strings.TrimPrefix(c.cfg.OIDCIssuer, "https://") }

const (
	minSession     = 900
	defaultSession = 3600
	maxSession     = 43200
	maxToken       = 20000
)

var (
	// Unlike the name of a role, that of a session has at least 2 characters.
	sessionNameForm = regexp.MustCompile(`^[\w+=,.@-]{2,64}$`)
	roleARNForm     = regexp.MustCompile(`^arn:aws:iam::([0-9]{12}):role(/[\x21-\x7e]*)?/([\w+=,.@-]{1,64})$`)
)

// assumeInput has the parameters that both actions for assuming a role share.
type assumeInput struct {
	roleARN, sessionName, policy string
	duration                     int
}

func readAssume(p *wire.Params) (assumeInput, func() error) {
	in := assumeInput{
		roleARN: p.Required("RoleArn"), sessionName: p.Required("RoleSessionName"),
		policy: p.String("Policy"), duration: p.Int("DurationSeconds", defaultSession),
	}
	return in, func() error {
		if err := p.Check(); err != nil {
			return err
		}
		switch {
		case !sessionNameForm.MatchString(in.sessionName):
			return wire.Errorf("ValidationError", "RoleSessionName: must be 2 to 64 characters of [\\w+=,.@-]")
		case roleARNForm.FindStringSubmatch(in.roleARN) == nil:
			return wire.Errorf("ValidationError", "%s is invalid", clip(in.roleARN))
		case in.duration < minSession || in.duration > maxSession:
			return wire.Errorf("ValidationError", "DurationSeconds: %d: must be between %d and %d", in.duration,
				minSession, maxSession)
		}
		if in.policy != "" {
			if _, err := iam.Parse(in.policy, iam.Identity); err != nil {
				return wire.Errorf("MalformedPolicyDocument", "%v", err)
			}
		}
		return nil
	}
}

// roleByARN finds the role with exactly this ARN.
func (st *state) roleByARN(arn string) *role {
	m := roleARNForm.FindStringSubmatch(arn)
	if m == nil {
		return nil
	}
	if r := st.Roles[m[3]]; r != nil && r.arn() == arn {
		return r
	}
	return nil
}

type assumedRoleUser struct {
	AssumedRoleID string `xml:"AssumedRoleId"`
	Arn           string
}

func (k *call) assumeRoleWithWebIdentity(p *wire.Params) (any, error) {
	in, check := readAssume(p)
	token := p.Required("WebIdentityToken")
	if err := check(); err != nil {
		return nil, err
	}
	claims, err := k.c.verifyWebIdentity(token)
	if err != nil {
		return nil, err
	}
	provider := k.c.providerARN()
	denied := wire.Status(http.StatusForbidden, "AccessDenied",
		"Not authorized to perform sts:AssumeRoleWithWebIdentity")
	r := k.st.roleByARN(in.roleARN)
	if r == nil {
		return nil, denied
	}
	trust, err := iam.Parse(r.Trust, iam.Trust)
	if err != nil {
		return nil, denied
	}
	keys := k.keys.Clone()
	keys.Set(k.c.issuerKey()+":sub", claims.Subject)
	keys.Set(k.c.issuerKey()+":aud", claims.Audience...)
	keys.Set("aws:FederatedProvider", provider)
	keys.Set("sts:RoleSessionName", in.sessionName)
	keys.SetTags("aws:ResourceTag", r.Tags)
	identity := iam.Principal{Kind: iam.Federated, ARN: provider, Account: AccountID}
	request := iam.Request{Action: "sts:AssumeRoleWithWebIdentity", Resource: r.arn(), Context: keys}
	decision := iam.Evaluate(identity, request, &iam.ResourcePolicy{Policy: trust, Account: AccountID, Required: true})
	if !decision.Allowed {
		k.c.log.Warn("web identity denied", "subject", claims.Subject, "audience", claims.Audience, "reason",
			decision.Explain(identity, request))
		return nil, denied
	}
	out, user, err := k.newSession(r, in, provider)
	if err != nil {
		return nil, err
	}
	return struct {
		Credentials                 credentials
		SubjectFromWebIdentityToken string
		AssumedRoleUser             assumedRoleUser
		Provider, Audience          string
	}{out, claims.Subject, user, provider, strings.Join(claims.Audience, ",")}, nil
}

func (k *call) assumeRole(p *wire.Params) (any, error) {
	in, check := readAssume(p)
	externalID := p.String("ExternalId")
	if err := check(); err != nil {
		return nil, err
	}
	if n := len(externalID); p.Has("ExternalId") && (n < 2 || n > 1224) {
		return nil, wire.Errorf(codeValidation, "ExternalId: has %d characters: must have 2 to 1224", n)
	}
	r := k.st.roleByARN(in.roleARN)
	denied := wire.Status(http.StatusForbidden, "AccessDenied",
		"User: %s is not authorized to perform: sts:AssumeRole on resource: %s",
		k.who.ARN, in.roleARN)
	if r == nil {
		return nil, denied
	}
	trust, err := iam.Parse(r.Trust, iam.Trust)
	if err != nil {
		return nil, denied
	}
	request := iam.Request{Action: "sts:AssumeRole", Resource: in.roleARN, Context: k.keys.Clone()}
	request.Context.Set("sts:RoleSessionName", in.sessionName)
	if externalID != "" {
		request.Context.Set("sts:ExternalId", externalID)
	}
	request.Context.SetTags("aws:ResourceTag", r.Tags)
	if !iam.Evaluate(k.who.Principal, request,
		&iam.ResourcePolicy{Policy: trust, Account: AccountID, Required: true}).Allowed {
		return nil, denied
	}
	if k.who.session != nil && in.duration > defaultSession {
		return nil, wire.Errorf("ValidationError",
			"The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by role chaining")
	}
	out, user, err := k.newSession(r, in, "")
	if err != nil {
		return nil, err
	}
	return struct {
		Credentials     credentials
		AssumedRoleUser assumedRoleUser
	}{out, user}, nil
}

func (k *call) newSession(r *role, in assumeInput, provider string) (credentials, assumedRoleUser, error) {
	if in.duration > r.MaxSession {
		return credentials{}, assumedRoleUser{}, wire.Errorf("ValidationError",
			"The requested DurationSeconds exceeds the MaxSessionDuration set for this role.")
	}
	now := k.c.now()
	out, err := newCredentials(k.st, session{
		RoleName: r.Name, RoleID: r.ID, Name: in.sessionName, Issued: now, Policy: in.policy, Provider: provider,
		Expires: now.Add(time.Duration(in.duration) * time.Second),
	})
	return out, assumedRoleUser{AssumedRoleID: r.ID + ":" + in.sessionName, Arn: sessionARN(r.Name, in.sessionName)},
		err
}

// getCallerIdentity needs no permission, and no policy can deny it.
func (k *call) getCallerIdentity(p *wire.Params) (any, error) {
	if err := p.Check(); err != nil {
		return nil, err
	}
	return struct {
		Arn     string
		UserID  string `xml:"UserId"`
		Account string
	}{k.who.ARN, k.who.userID(), AccountID}, nil
}

var signingMethods = []string{"RS256", "RS384", "RS512", "ES256", "ES384", "ES512"}

// verifyWebIdentity checks a token as STS does: signature, issuer, lifetime and audience. Errors never contain the
// token.
func (c *Cloud) verifyWebIdentity(token string) (*jwt.RegisteredClaims, error) {
	invalid := func(format string, args ...any) error { return wire.Errorf("InvalidIdentityToken", format, args...) }
	if len(token) > maxToken {
		return nil, wire.Errorf("ValidationError", "WebIdentityToken: must have length less than or equal to %d",
			maxToken)
	}
	claims := &jwt.RegisteredClaims{}
	parser := jwt.NewParser(jwt.WithValidMethods(signingMethods), jwt.WithoutClaimsValidation())
	if _, _, err := parser.ParseUnverified(token, claims); err != nil {
		return nil, invalid(
			"The ID Token provided is not a valid JWT. (You may see this error if you sent an Access Token)",
		)
	}
	if claims.Issuer != c.cfg.OIDCIssuer {
		return nil, invalid("No OpenIDConnect provider found in your account for %s", clip(claims.Issuer))
	}
	keys, err := c.cfg.OIDCKeys()
	if err != nil {
		return nil, fmt.Errorf("reading the keys of the OIDC issuer: %w", err)
	}
	if !slices.ContainsFunc(keys, func(key crypto.PublicKey) bool { return signedBy(parser, token, key) }) {
		return nil, invalid("Couldn't verify the signature of the web identity token with the keys of %s",
			c.cfg.OIDCIssuer)
	}
	now := c.now()
	switch {
	case claims.ExpiresAt == nil || claims.IssuedAt == nil || claims.Subject == "":
		return nil, invalid("Missing a required claim: one of sub, aud, exp, iat")
	case !now.Before(claims.ExpiresAt.Time):
		return nil, wire.Errorf("ExpiredTokenException",
			"Token expired: current date/time %d must be before the expiration date/time %d",
			now.Unix(), claims.ExpiresAt.Unix())
	case claims.NotBefore != nil && now.Add(clockLeeway).Before(claims.NotBefore.Time),
		now.Add(clockLeeway).Before(claims.IssuedAt.Time):
		return nil, invalid("Token is not yet valid: current date/time %d", now.Unix())
	case !slices.ContainsFunc(claims.Audience, func(a string) bool { return slices.Contains(oidcClientIDs, a) }):
		return nil, invalid("Incorrect token audience")
	}
	return claims, nil
}

// clockLeeway is how far the issuer's clock may be ahead.
const clockLeeway = 5 * time.Minute

var errOtherKey = errors.New("key of another kind")

func signedBy(parser *jwt.Parser, token string, key crypto.PublicKey) bool {
	t, err := parser.ParseWithClaims(token, &jwt.RegisteredClaims{}, func(t *jwt.Token) (any, error) {
		switch t.Method.(type) {
		case *jwt.SigningMethodRSA:
			if k, ok := key.(*rsa.PublicKey); ok {
				return k, nil
			}
		case *jwt.SigningMethodECDSA:
			if k, ok := key.(*ecdsa.PublicKey); ok {
				return k, nil
			}
		}
		return nil, errOtherKey
	})
	return err == nil && t.Valid
}

func clip(s string) string {
	if len(s) > 200 {
		return s[:200] + "…"
	}
	return s
}

// canonicalJSON returns JSON with sorted keys, for comparisons.
func canonicalJSON(v any) string {
	text, err := json.Marshal(v)
	if err != nil {
		return ""
	}
	return string(text)
}
