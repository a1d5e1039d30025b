package aws

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"time"

	"dbtier/localcloud/internal/aws/iam"
	"dbtier/localcloud/internal/aws/wire"
)

// session is the content of a session token, which is sealed with the account's key. The stand-in does not store
// temporary credentials. As on AWS, they stay valid until they expire, even if the stand-in restarts.
type session struct {
	AccessKeyID string
	RoleName    string
	RoleID      string
	Name        string
	Issued      time.Time
	Expires     time.Time
	Policy      string // session policy, or ""
	Provider    string // ARN of the OIDC provider, or "" if the session is not federated
}

// credentials are temporary credentials as STS returns them.
type credentials struct {
	AccessKeyID     string `xml:"AccessKeyId"`
	SecretAccessKey string
	SessionToken    string
	Expiration      string
}

func newCredentials(st *state, s session) (credentials, error) {
	s.AccessKeyID = "ASIA" + randomID(16)
	plain, err := json.Marshal(s)
	if err != nil {
		return credentials{}, err
	}
	aead, err := sessionCipher(st.SessionKey)
	if err != nil {
		return credentials{}, err
	}
	nonce := randomBytes(aead.NonceSize())
	return credentials{
		AccessKeyID:     s.AccessKeyID,
		SecretAccessKey: sessionSecret(st.SessionKey, s.AccessKeyID),
		SessionToken:    base64.StdEncoding.EncodeToString(aead.Seal(nonce, nonce, plain, []byte(AccountID))),
		Expiration:      s.Expires.Format(time.RFC3339),
	}, nil
}

func openSession(st *state, token string) (session, bool) {
	sealed, err := base64.StdEncoding.DecodeString(token)
	if err != nil {
		return session{}, false
	}
	aead, err := sessionCipher(st.SessionKey)
	if err != nil || len(sealed) < aead.NonceSize() {
		return session{}, false
	}
	plain, err := aead.Open(nil, sealed[:aead.NonceSize()], sealed[aead.NonceSize():], []byte(AccountID))
	if err != nil {
		return session{}, false
	}
	var s session
	return s, json.Unmarshal(plain, &s) == nil
}

func sessionCipher(key []byte) (cipher.AEAD, error) {
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCM(block)
}

// sessionSecret derives the secret access key from the access key ID, so the secret key is not stored.
func sessionSecret(key []byte, accessKeyID string) string {
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte("secret access key of " + accessKeyID))
	return base64.RawStdEncoding.EncodeToString(mac.Sum(nil))[:40]
}

// caller is an authenticated principal.
type caller struct {
	iam.Principal
	session  *session // nil for the administrator
	roleTags map[string]string
}

// userID returns UserId of GetCallerIdentity, which is also aws:userid.
func (c *caller) userID() string { return c.ID }

func errInvalidToken() *wire.Error {
	return wire.Status(http.StatusForbidden, "InvalidClientTokenId",
		"The security token included in the request is invalid.")
}

// secretFor returns the secret key of an access key and its owner. The request is not verified at this point. The
// caller must check the signature first and then the expiry.
func (c *Cloud) secretFor(st *state, accessKeyID, token string) (string, *caller, error) {
	if accessKeyID == st.Admin.AccessKeyID {
		if token != "" {
			return "", nil, errInvalidToken()
		}
		return st.Admin.SecretAccessKey, administrator(st), nil
	}
	if token == "" || !strings.HasPrefix(accessKeyID, "ASIA") {
		return "", nil, errInvalidToken()
	}
	s, ok := openSession(st, token)
	if !ok || s.AccessKeyID != accessKeyID {
		return "", nil, errInvalidToken()
	}
	r := st.Roles[s.RoleName]
	if r == nil || r.ID != s.RoleID {
		return "", nil, errInvalidToken() // the role was deleted; a new role with the same name is another role
	}
	who, err := roleCaller(r, &s)
	return sessionSecret(st.SessionKey, accessKeyID), who, err
}

// administratorPolicy is AdministratorAccess, the policy of the preset user.
var administratorPolicy = mustParse(managedPolicies["arn:aws:iam::aws:policy/AdministratorAccess"])

func administrator(st *state) *caller {
	return &caller{Principal: iam.Principal{
		Kind: iam.User, Account: AccountID, ID: st.Admin.ID,
		ARN:      "arn:aws:iam::" + AccountID + ":user/" + AdministratorName,
		Identity: []*iam.Policy{administratorPolicy},
	}}
}

func sessionARN(roleName, name string) string {
	return "arn:aws:sts::" + AccountID + ":assumed-role/" + roleName + "/" + name
}

func roleCaller(r *role, s *session) (*caller, error) {
	p := iam.Principal{
		Kind: iam.RoleSession, Account: AccountID, ARN: sessionARN(r.Name, s.Name), RoleARN: r.arn(), RoleID: r.ID,
		ID: r.ID + ":" + s.Name,
	}
	var err error
	if p.Identity, p.Boundary, err = rolePolicies(r); err != nil {
		return nil, err
	}
	if s.Policy != "" {
		if p.Session, err = iam.Parse(s.Policy, iam.Identity); err != nil {
			return nil, errInvalidToken()
		}
	}
	return &caller{Principal: p, session: s, roleTags: r.Tags}, nil
}

// rolePolicies parses a role's policies. They were checked when they were stored. If one cannot be parsed, the request
// fails, because an ignored policy might have denied it.
func rolePolicies(r *role) (identity []*iam.Policy, boundary *iam.Policy, err error) {
	broken := func(what string) error {
		return wire.Status(http.StatusInternalServerError, "InternalFailure", "%s of role %s cannot be read", what,
			r.Name)
	}
	for name, document := range r.Inline {
		p, err := iam.Parse(document, iam.Identity)
		if err != nil {
			return nil, nil, broken("inline policy " + name)
		}
		identity = append(identity, p)
	}
	for _, arn := range r.Attached {
		p, err := iam.Parse(managedPolicies[arn], iam.Identity)
		if err != nil {
			return nil, nil, broken("managed policy " + arn)
		}
		identity = append(identity, p)
	}
	if r.Boundary != "" {
		if boundary, err = iam.Parse(managedPolicies[r.Boundary], iam.Identity); err != nil {
			return nil, nil, broken("permissions boundary")
		}
	}
	return identity, boundary, nil
}

// conditionContext returns the condition keys that all requests have.
func (c *Cloud) conditionContext(who *caller, region, sourceIP, userAgent string) iam.Context {
	now := c.now()
	ctx := iam.NewContext()
	ctx.Set("aws:CurrentTime", now.Format(time.RFC3339))
	ctx.Set("aws:EpochTime", strconv.FormatInt(now.Unix(), 10))
	// The stand-in serves plain HTTP inside one machine, but stands for an endpoint with TLS.
	ctx.Set("aws:SecureTransport", "true")
	ctx.Set("aws:ViaAWSService", "false")
	ctx.Set("aws:PrincipalIsAWSService", "false")
	ctx.Set("aws:ResourceAccount", AccountID)
	ctx.Set("aws:RequestedRegion", region)
	if sourceIP != "" {
		ctx.Set("aws:SourceIp", sourceIP)
	}
	if userAgent != "" {
		ctx.Set("aws:UserAgent", userAgent)
	}
	if who == nil {
		return ctx
	}
	ctx.Set("aws:PrincipalAccount", who.Account)
	ctx.Set("aws:userid", who.userID())
	if who.Kind == iam.RoleSession {
		ctx.Set("aws:PrincipalArn", who.RoleARN)
		ctx.Set("aws:PrincipalType", "AssumedRole")
		ctx.Set("aws:TokenIssueTime", who.session.Issued.Format(time.RFC3339))
		if who.session.Provider != "" {
			ctx.Set("aws:FederatedProvider", who.session.Provider)
		}
		ctx.SetTags("aws:PrincipalTag", who.roleTags)
	} else {
		ctx.Set("aws:PrincipalArn", who.ARN)
		ctx.Set("aws:PrincipalType", "User")
		ctx.Set("aws:username", AdministratorName)
	}
	return ctx
}

func mustParse(document string) *iam.Policy {
	p, err := iam.Parse(document, iam.Identity)
	if err != nil {
		panic(err)
	}
	return p
}

// managedPolicies are the AWS managed policies that the stand-in models, as AWS publishes them.
var managedPolicies = map[string]string{
	"arn:aws:iam::aws:policy/AdministratorAccess": `{"Version":"2012-10-17",` +
		`"Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}`,
	"arn:aws:iam::aws:policy/service-role/AmazonRDSEnhancedMonitoringRole": `{"Version":"2012-10-17","Statement":[
		{"Sid":"EnableCreationAndManagementOfRDSCloudwatchLogGroups","Effect":"Allow",
		 "Action":["logs:CreateLogGroup","logs:PutRetentionPolicy"],"Resource":["arn:aws:logs:*:*:log-group:RDS*"]},
		{"Sid":"EnableCreationAndManagementOfRDSCloudwatchLogStreams","Effect":"Allow",
		 "Action":["logs:CreateLogStream","logs:PutLogEvents","logs:DescribeLogStreams","logs:GetLogEvents"],
		 "Resource":["arn:aws:logs:*:*:log-group:RDS*:log-stream:*"]}]}`,
}
