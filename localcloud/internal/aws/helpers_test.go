package aws

import (
	"bytes"
	"context"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	sdk "github.com/aws/aws-sdk-go-v2/aws"
	sdkcreds "github.com/aws/aws-sdk-go-v2/credentials"
	awsrds "github.com/aws/aws-sdk-go-v2/service/rds"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/smithy-go"
	"github.com/golang-jwt/jwt/v5"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"dbtier/localcloud/internal/rds"
)

const (
	region = "ap-northeast-2"
	issuer = "https://oidc.localcloud.internal/id/local"
)

// *rds.Engine implements RDSEngine.
var _ RDSEngine = (*rds.Engine)(nil)

// engine is an RDSEngine in memory that records its calls.
type engine struct {
	mu        sync.Mutex
	databases map[string]*database
	// snapshots are the passwords of the databases that were copied, by the snapshots' names.
	snapshots map[string]string
	// archives are the sizes of the archives, in bytes. clock is the time that Flush returns.
	archives map[string]int64
	clock    func() time.Time
	// failedOver is told of failovers.
	failedOver func(id string)
	access     map[string]func(netip.Addr) error
	verify     func(ctx context.Context, host string, port int, user, token string) error
	calls      []string
	// fail is called before each call and can make it fail. If block is set, Create waits for it.
	fail  func(call string) error
	block chan struct{}
}

type database struct {
	spec           rds.Spec
	password       string
	running        bool
	maxConnections int
	parameters     map[string]string
}

func newEngine() *engine {
	return &engine{databases: map[string]*database{}, snapshots: map[string]string{}, archives: map[string]int64{}, access: map[string]func(netip.Addr) error{}}
}

func (e *engine) called(call string) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.calls = append(e.calls, call)
	if e.fail != nil {
		return e.fail(call)
	}
	return nil
}

func (e *engine) with(call, id string, do func(*database)) error {
	if err := e.called(call); err != nil {
		return err
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	d := e.databases[id]
	if d == nil {
		return fmt.Errorf("there is no DB instance %q", id)
	}
	do(d)
	return nil
}

func (e *engine) Create(_ context.Context, spec rds.Spec, password string) (netip.Addr, error) {
	if e.block != nil {
		<-e.block
	}
	if err := e.called("create"); err != nil {
		return netip.Addr{}, err
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if spec.Archive != "" {
		e.archives[spec.Archive] = 0
	}
	e.databases[spec.Identifier] = &database{
		spec: spec, password: password, running: true, maxConnections: spec.MaxConnections,
		parameters: maps.Clone(spec.Parameters),
	}
	return netip.MustParseAddr("198.18.1.1"), nil
}

func (e *engine) Start(_ context.Context, id string) error {
	return e.with("start", id, func(d *database) { d.running = true })
}

func (e *engine) Stop(_ context.Context, id string) error {
	return e.with("stop", id, func(d *database) { d.running = false })
}

func (e *engine) Reboot(_ context.Context, id string) error {
	return e.with("reboot", id, func(*database) {})
}

func (e *engine) Delete(_ context.Context, id string) error {
	if err := e.called("delete"); err != nil {
		return err
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	delete(e.databases, id)
	return nil
}

func (e *engine) Snapshot(_ context.Context, id, name string) error {
	return e.with("snapshot", id, func(d *database) { e.snapshots[name] = d.password })
}

func (e *engine) CopySnapshot(_ context.Context, from, to string) error {
	if err := e.called("copy snapshot"); err != nil {
		return err
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.snapshots[to] = e.snapshots[from]
	return nil
}

func (e *engine) DeleteSnapshot(name string) error {
	if err := e.called("delete snapshot"); err != nil {
		return err
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	delete(e.snapshots, name)
	return nil
}

func (e *engine) SetStandby(_ context.Context, id string, wanted bool) error {
	return e.with("set standby", id, func(d *database) { d.spec.Standby = wanted })
}

func (e *engine) Failover(_ context.Context, id string) error {
	err := e.with("failover", id, func(*database) {})
	if err == nil {
		e.failedOver(id)
	}
	return err
}

func (e *engine) Isolate(_ context.Context, id string, primary, standby bool) error {
	return e.with(fmt.Sprintf("isolate %s %t %t", id, primary, standby), id, func(*database) {})
}

func (e *engine) OnFailover(tell func(id string)) { e.failedOver = tell }

func (e *engine) SetArchive(_ context.Context, id, archive string) error {
	return e.with("set archive", id, func(d *database) {
		d.spec.Archive = archive
		if _, ok := e.archives[archive]; !ok && archive != "" {
			e.archives[archive] = 0
		}
	})
}

func (e *engine) Flush(_ context.Context, id string) (time.Time, error) {
	var stopped error
	err := e.with("flush", id, func(d *database) {
		if !d.running {
			stopped = fmt.Errorf("DB instance %s is stopped", id)
		}
	})
	return e.clock(), errors.Join(err, stopped)
}

func (e *engine) TrimArchive(archive, snapshot string) error {
	return e.called("trim " + archive + " " + snapshot)
}

func (e *engine) ArchiveSize(archive string) (int64, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.archives[archive], nil
}

func (e *engine) DeleteArchive(archive string) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	delete(e.archives, archive)
	return nil
}

func (e *engine) KeepBackups(snapshots, archives []string) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	maps.DeleteFunc(e.snapshots, func(name, _ string) bool { return !slices.Contains(snapshots, name) })
	maps.DeleteFunc(e.archives, func(name string, _ int64) bool { return !slices.Contains(archives, name) })
	return nil
}

func (e *engine) Instances() []string {
	e.mu.Lock()
	defer e.mu.Unlock()
	return slices.Sorted(maps.Keys(e.databases))
}

func (e *engine) SetMasterPassword(_ context.Context, id, password string) error {
	return e.with("password", id, func(d *database) { d.password = password })
}

func (e *engine) Apply(_ context.Context, id string, maxConnections int, params map[string]string) error {
	return e.with("apply", id, func(d *database) {
		d.maxConnections, d.parameters = maxConnections, maps.Clone(params)
	})
}

func (e *engine) SetAccess(id string, allow func(netip.Addr) error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.access[id] = allow
}

func (e *engine) SetIAMVerifier(verify func(context.Context, string, int, string, string) error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.verify = verify
}

// account is a stand-in behind HTTP, with the clients that tests need.
type account struct {
	*Cloud
	t       *testing.T
	dir     string
	engine  *engine
	server  *httptest.Server
	control http.Handler
	key     *rsa.PrivateKey
	log     *bytes.Buffer
	now     time.Time
}

var signingKey = sync.OnceValue(func() *rsa.PrivateKey {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	return key
})

func newAccount(t *testing.T) *account {
	t.Helper()
	a := &account{t: t, dir: t.TempDir(), engine: newEngine(), key: signingKey(), log: &bytes.Buffer{}}
	a.open()
	t.Cleanup(func() { require.NoError(t, a.Close()) })
	return a
}

// open starts the stand-in on the account's folder. If it was open before, this is a start after a kill.
func (a *account) open() {
	a.t.Helper()
	c, err := New(Config{
		Dir: a.dir, CredentialsFile: filepath.Join(a.dir, "credentials.json"), OIDCIssuer: issuer,
		OIDCKeys: func() ([]crypto.PublicKey, error) { return []crypto.PublicKey{a.key.Public()}, nil },
		RDS:      a.engine,
		Log:      slog.New(slog.NewTextHandler(a.log, nil)),
		Now: func() time.Time {
			if a.now.IsZero() {
				return time.Now()
			}
			return a.now
		},
	})
	require.NoError(a.t, err)
	a.engine.clock = c.now
	a.Cloud, a.control = c, c.Control()
	a.server = httptest.NewServer(c.Wire())
	a.t.Cleanup(a.server.Close)
}

func (a *account) admin() sdk.CredentialsProvider {
	admin := a.store.Read().Admin
	return sdkcreds.NewStaticCredentialsProvider(admin.AccessKeyID, admin.SecretAccessKey, "")
}

func (a *account) config(creds sdk.CredentialsProvider) sdk.Config {
	return sdk.Config{Region: region, Credentials: creds, BaseEndpoint: &a.server.URL, RetryMaxAttempts: 1}
}

func (a *account) sts(creds sdk.CredentialsProvider) *sts.Client {
	return sts.NewFromConfig(a.config(creds))
}

func (a *account) secrets(creds sdk.CredentialsProvider) *secretsmanager.Client {
	return secretsmanager.NewFromConfig(a.config(creds))
}

func (a *account) rds(creds sdk.CredentialsProvider) *awsrds.Client {
	return awsrds.NewFromConfig(a.config(creds))
}

// token returns a ServiceAccount token of the cluster.
func (a *account) token(subject, audience string, change func(jwt.MapClaims)) string {
	a.t.Helper()
	now := a.Cloud.now()
	claims := jwt.MapClaims{
		"iss": issuer, "sub": "system:serviceaccount:" + subject, "aud": []string{audience},
		"iat": now.Unix(), "nbf": now.Unix(), "exp": now.Add(time.Hour).Unix(),
	}
	if change != nil {
		change(claims)
	}
	token, err := jwt.NewWithClaims(jwt.SigningMethodRS256, claims).SignedString(a.key)
	require.NoError(a.t, err)
	return token
}

// assume exchanges a token for a role, as the operator does.
func (a *account) assume(roleARN, token string) (sdk.CredentialsProvider, error) {
	out, err := a.sts(nil).AssumeRoleWithWebIdentity(context.Background(), &sts.AssumeRoleWithWebIdentityInput{
		RoleArn: &roleARN, RoleSessionName: sdk.String("test"), WebIdentityToken: &token,
	})
	if err != nil {
		return nil, err
	}
	c := out.Credentials
	return sdkcreds.NewStaticCredentialsProvider(*c.AccessKeyId, *c.SecretAccessKey, *c.SessionToken), nil
}

// refused asserts that an SDK call failed with an AWS error code.
func refused(t *testing.T, err error, code string) smithy.APIError {
	t.Helper()
	var api smithy.APIError
	require.ErrorAs(t, err, &api, "want the AWS error %s", code)
	assert.Equal(t, code, api.ErrorCode(), api.ErrorMessage())
	return api
}

type answer struct {
	ID      string
	Inputs  map[string]any
	Outputs map[string]any
	Code    string
	Message string
	status  int
}

// controlCall sends a request to the control API.
func (a *account) controlCall(method, typ, name, id string, inputs, olds map[string]any) answer {
	a.t.Helper()
	body, err := json.Marshal(map[string]any{
		"type": typ, "name": name, "id": id, "region": region, "inputs": inputs, "olds": olds,
	})
	require.NoError(a.t, err)
	target := "/aws/resources"
	if method == http.MethodGet {
		target += "?type=" + typ + "&id=" + id + "&region=" + region
		body = nil
	}
	w := httptest.NewRecorder()
	a.control.ServeHTTP(w, httptest.NewRequest(method, target, bytes.NewReader(body)))
	out := answer{status: w.Code}
	if w.Body.Len() > 0 {
		require.NoError(a.t, json.Unmarshal(w.Body.Bytes(), &out), w.Body.String())
	}
	return out
}

type m = map[string]any

func (a *account) create(typ, name string, inputs m) answer {
	a.t.Helper()
	out := a.controlCall(http.MethodPost, typ, name, "", inputs, nil)
	require.Equal(a.t, http.StatusOK, out.status, "%s %s", out.Code, out.Message)
	return out
}

func (a *account) update(typ, id string, inputs m) answer {
	a.t.Helper()
	out := a.controlCall(http.MethodPut, typ, "", id, inputs, nil)
	require.Equal(a.t, http.StatusOK, out.status, "%s %s", out.Code, out.Message)
	return out
}

// deny asserts that the control API refuses to create a resource.
func (a *account) deny(typ string, inputs m, code, says string) {
	a.t.Helper()
	out := a.controlCall(http.MethodPost, typ, "denied", "", inputs, nil)
	assert.Equal(a.t, code, out.Code, out.Message)
	assert.Contains(a.t, out.Message, says)
	assert.GreaterOrEqual(a.t, out.status, 400)
}

func with(base, more m) m {
	out := maps.Clone(base)
	maps.Copy(out, more)
	for k, v := range out {
		if v == nil {
			delete(out, k)
		}
	}
	return out
}

const (
	typeKey        = "aws:kms/key:Key"
	typeAlias      = "aws:kms/alias:Alias"
	typeSubnets    = "aws:rds/subnetGroup:SubnetGroup"
	typeParameters = "aws:rds/parameterGroup:ParameterGroup"
	typeInstance   = "aws:rds/instance:Instance"
	typeGroup      = "aws:ec2/securityGroup:SecurityGroup"
	typeLogs       = "aws:cloudwatch/logGroup:LogGroup"
	typeRole       = "aws:iam/role:Role"
	typePolicy     = "aws:iam/rolePolicy:RolePolicy"
	typeAttachment = "aws:iam/rolePolicyAttachment:RolePolicyAttachment"
)

func text(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return string(b)
}

// irsaTrust returns a trust policy for one ServiceAccount.
func irsaTrust(subject string) string { return policy(irsaStatement(subject)) }

func irsaStatement(subject string) m {
	key := issuer[len("https://"):]
	return m{
		"Effect": "Allow", "Action": "sts:AssumeRoleWithWebIdentity",
		"Principal": m{"Federated": "arn:aws:iam::" + AccountID + ":oidc-provider/" + key},
		"Condition": m{"StringEquals": m{
			key + ":sub": "system:serviceaccount:" + subject,
			key + ":aud": "sts.amazonaws.com",
		}},
	}
}

func allow(actions []string, resources ...string) m {
	return m{"Effect": "Allow", "Action": actions, "Resource": resources}
}

func policy(statements ...m) string {
	return text(m{"Version": "2012-10-17", "Statement": statements})
}

// role creates a role with an inline policy that a ServiceAccount may assume.
func (a *account) role(name, subject string, statements ...m) string {
	a.t.Helper()
	out := a.create(typeRole, name, m{"name": name, "assumeRolePolicy": irsaTrust(subject)})
	if len(statements) > 0 {
		a.create(typePolicy, name, m{"name": "inline", "role": name, "policy": policy(statements...)})
	}
	return out.Outputs["arn"].(string)
}

// instance creates a DB instance and everything that it needs. It returns the control API's answers for the instance
// and for its key.
func (a *account) instance(identifier string, more m) (db, key answer) {
	a.t.Helper()
	key = a.create(typeKey, identifier, m{"description": "key of " + identifier, "enableKeyRotation": true})
	a.create(typeSubnets, identifier, m{"name": identifier, "subnetIds": []string{SubnetIDA, SubnetIDB, SubnetIDC}})
	group := a.create(typeGroup, identifier,
		m{"name": identifier, "description": "database", "vpcId": VPCID, "ingress": []m{{
			"protocol": "tcp", "fromPort": 5432, "toPort": 5432, "securityGroups": []string{NodeSecurityGroupID},
		}}})
	return a.create(typeInstance, identifier, with(a.instanceInputs(identifier, key, group), more)), key
}

func (a *account) instanceInputs(identifier string, key, group answer) m {
	return m{
		"identifier": identifier, "engine": "postgres", "engineVersion": "16", "instanceClass": "db.t4g.medium",
		"allocatedStorage": 50, "maxAllocatedStorage": 500,
		"storageType": "gp3", "storageEncrypted": true, "kmsKeyId": key.Outputs["arn"], "username": "myshop_admin",
		"dbName":                   "myshop",
		"manageMasterUserPassword": true, "masterUserSecretKmsKeyId": key.Outputs["arn"],
		"dbSubnetGroupName": identifier, "vpcSecurityGroupIds": []any{group.ID},
		"backupRetentionPeriod": 7, "backupWindow": "03:00-04:00", "maintenanceWindow": "Mon:04:00-Mon:05:00",
		"skipFinalSnapshot": true, "applyImmediately": true,
	}
}

func secretOf(db answer) string {
	return db.Outputs["masterUserSecrets"].([]any)[0].(map[string]any)["secretArn"].(string)
}

// same compares secrets, without printing them if they differ.
func same(a, b string) bool { return a == b }
