//go:build e2e

package rds_test

import (
	"context"
	"crypto"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	sdk "github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	sdkcreds "github.com/aws/aws-sdk-go-v2/credentials"
	awsrds "github.com/aws/aws-sdk-go-v2/service/rds"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	"github.com/pulumi/pulumi/sdk/v3/go/common/resource/plugin"
	pulumirpc "github.com/pulumi/pulumi/sdk/v3/proto/go"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/types/known/structpb"

	"dbtier/localcloud/internal/aws"
	"dbtier/localcloud/internal/awsprovider"
	"dbtier/localcloud/internal/rds"
)

const region = "ap-northeast-2"

type props = map[string]any

// chain is everything between a Pulumi engine and a database: provider server, stand-in and PostgreSQL.
type chain struct {
	t        *testing.T
	engine   *rds.Engine
	provider pulumirpc.ResourceProviderServer
	wire     string
	admin    sdkcreds.StaticCredentialsProvider
}

func newChain(t *testing.T) *chain {
	t.Helper()
	dir, err := os.MkdirTemp("", "chain-") //nolint:usetesting // PostgreSQL's user must get in
	require.NoError(t, err)
	require.NoError(t, os.Chmod(dir, 0o711))
	t.Cleanup(func() { os.RemoveAll(dir) })
	third := byte(os.Getpid() % 250)
	log := slog.New(slog.NewTextHandler(t.Output(), nil))
	c := &chain{t: t}
	c.engine, err = rds.New(rds.Config{
		Dir: filepath.Join(dir, "postgres"), PostgresDir: rds.Distribution(t), PKIDir: filepath.Join(dir, "pki"),
		Prefix: netip.PrefixFrom(netip.AddrFrom4([4]byte{127, 1, third, 0}), 24), Log: log,
	})
	require.NoError(t, err)
	t.Cleanup(c.engine.Close)
	cloud, err := aws.New(aws.Config{
		Dir: filepath.Join(dir, "aws"), CredentialsFile: filepath.Join(dir, "aws-credentials.json"),
		OIDCIssuer: "https://oidc.localcloud.internal/id/local",
		OIDCKeys:   func() ([]crypto.PublicKey, error) { return nil, nil },
		RDS:        c.engine, Log: log,
	})
	require.NoError(t, err)
	require.NoError(t, cloud.Start(t.Context()))
	t.Cleanup(func() { assert.NoError(t, cloud.Close()) })
	text, err := os.ReadFile(filepath.Join(dir, "aws-credentials.json"))
	require.NoError(t, err)
	var key struct{ AccessKeyID, SecretAccessKey string }
	require.NoError(t, json.Unmarshal(text, &key))
	c.admin = sdkcreds.NewStaticCredentialsProvider(key.AccessKeyID, key.SecretAccessKey, "")

	wire := httptest.NewServer(cloud.Wire())
	t.Cleanup(wire.Close)
	c.wire = wire.URL
	socket := filepath.Join(dir, "control.sock")
	listener, err := net.Listen("unix", socket)
	require.NoError(t, err)
	control := &http.Server{Handler: cloud.Control(), ReadHeaderTimeout: time.Minute}
	go func() { _ = control.Serve(listener) }()
	t.Cleanup(func() { _ = control.Close() })

	c.provider, err = awsprovider.New(awsprovider.Options{Endpoint: c.wire, ControlSocket: socket})
	require.NoError(t, err)
	_, err = c.provider.Configure(t.Context(), &pulumirpc.ConfigureRequest{
		Args: c.marshal(props{"region": region, "endpoints": []any{
			props{"sts": c.wire, "rds": c.wire, "secretsmanager": c.wire},
		}}), AcceptSecrets: true,
	})
	require.NoError(t, err)
	return c
}

func (c *chain) marshal(p props) *structpb.Struct {
	c.t.Helper()
	s, err := plugin.MarshalProperties(resource.NewPropertyMapFromMap(p),
		plugin.MarshalOptions{KeepUnknowns: true, KeepSecrets: true})
	require.NoError(c.t, err)
	return s
}

// made is a resource as the Pulumi engine would record it.
type made struct {
	urn, id      string
	inputs, outs *structpb.Struct
	outputs      props
}

// create calls Check, Create as a preview, and Create, as the engine does.
func (c *chain) create(typ, name string, inputs props) made {
	c.t.Helper()
	urn := "urn:pulumi:local::dbtier::" + typ + "::" + name
	checked, err := c.provider.Check(c.t.Context(),
		&pulumirpc.CheckRequest{Urn: urn, News: c.marshal(inputs), RandomSeed: []byte(name)})
	require.NoError(c.t, err)
	require.Empty(c.t, checked.GetFailures(), "%s %s", typ, name)
	_, err = c.provider.Create(c.t.Context(),
		&pulumirpc.CreateRequest{Urn: urn, Properties: checked.GetInputs(), Preview: true})
	require.NoError(c.t, err, "preview of %s %s", typ, name)
	resp, err := c.provider.Create(c.t.Context(), &pulumirpc.CreateRequest{Urn: urn, Properties: checked.GetInputs()})
	require.NoError(c.t, err, "creation of %s %s", typ, name)
	return made{urn, resp.GetId(), checked.GetInputs(), resp.GetProperties(), resp.GetProperties().AsMap()}
}

// instance creates the database of the example service and everything that it needs.
func (c *chain) instance(name string, more props) made {
	c.t.Helper()
	key := c.create("aws:kms/key:Key", name, props{"description": "of " + name})
	group := c.create("aws:ec2/securityGroup:SecurityGroup", name, props{
		"vpcId": "vpc-0aaaaaaaaaaaaaaa1",
		"ingress": []any{props{
			"protocol": "tcp", "fromPort": 5432, "toPort": 5432, "cidrBlocks": []any{"127.0.0.0/24"},
			"description": "this test",
		}},
	})
	subnets := c.create("aws:rds/subnetGroup:SubnetGroup", name,
		props{"subnetIds": []any{"subnet-0aaaaaaaaaaaaaaa1", "subnet-0aaaaaaaaaaaaaaa2"}})
	parameters := c.create("aws:rds/parameterGroup:ParameterGroup", name, props{
		"family": "postgres16", "parameters": []any{props{"name": "log_min_duration_statement", "value": "1000"}},
	})
	inputs := props{
		"identifier": name, "engine": "postgres", "engineVersion": "16", "instanceClass": "db.t4g.medium",
		"allocatedStorage": 50, "storageType": "gp3",
		"storageEncrypted": true, "kmsKeyId": key.outputs["arn"], "dbName": "myshop", "username": "myshop_admin",
		"manageMasterUserPassword": true,
		"masterUserSecretKmsKeyId": key.outputs["arn"], "dbSubnetGroupName": subnets.outputs["name"],
		"parameterGroupName":  parameters.outputs["name"],
		"vpcSecurityGroupIds": []any{group.id}, "backupRetentionPeriod": 7, "backupWindow": "03:00-04:00",
		"maintenanceWindow": "Mon:04:00-Mon:05:00",
		"skipFinalSnapshot": true, "iamDatabaseAuthenticationEnabled": true, "applyImmediately": true,
	}
	for k, v := range more {
		inputs[k] = v
	}
	return c.create("aws:rds/instance:Instance", name, inputs)
}

func (c *chain) secretARN(db made) string {
	c.t.Helper()
	secrets, ok := db.outputs["masterUserSecrets"].([]any)
	require.True(c.t, ok, "%v", db.outputs)
	require.Len(c.t, secrets, 1)
	arn, ok := secrets[0].(props)["secretArn"].(string)
	require.True(c.t, ok)
	return arn
}

func (c *chain) master(db made) (user, password string) {
	c.t.Helper()
	client := secretsmanager.New(secretsmanager.Options{BaseEndpoint: &c.wire, Region: region, Credentials: c.admin})
	got, err := client.GetSecretValue(c.t.Context(),
		&secretsmanager.GetSecretValueInput{SecretId: sdk.String(c.secretARN(db))})
	require.NoError(c.t, err)
	var s struct{ Username, Password string }
	require.NoError(c.t, json.Unmarshal([]byte(*got.SecretString), &s))
	return s.Username, s.Password
}

// login connects from the given loopback address, because security groups check the source address.
func (c *chain) login(db made, source, user, password string) (*pgx.Conn, error) {
	c.t.Helper()
	host, ok := db.outputs["address"].(string)
	require.True(c.t, ok)
	addr, err := c.engine.Address(fmt.Sprint(db.outputs["identifier"]))
	require.NoError(c.t, err)
	cfg, err := pgx.ParseConfig("postgres://" + netip.AddrPortFrom(addr, 5432).String() +
		"/myshop?sslmode=disable&connect_timeout=2")
	require.NoError(c.t, err)
	roots := x509.NewCertPool()
	require.True(c.t, roots.AppendCertsFromPEM(c.engine.CABundle()))
	cfg.User, cfg.Password, cfg.TLSConfig = user, password,
		&tls.Config{RootCAs: roots, ServerName: host, MinVersion: tls.VersionTLS12}
	cfg.DialFunc = (&net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(source)}, Timeout: 2 * time.Second}).DialContext
	conn, err := pgx.ConnectConfig(c.t.Context(), cfg)
	if err == nil {
		c.t.Cleanup(func() { conn.Close(context.Background()) })
	}
	return conn, err
}

func (c *chain) rds() *awsrds.Client {
	return awsrds.New(awsrds.Options{BaseEndpoint: &c.wire, Region: region, Credentials: c.admin})
}

func scan[T any](t *testing.T, conn *pgx.Conn, query string) T {
	t.Helper()
	var v T
	require.NoError(t, conn.QueryRow(t.Context(), query).Scan(&v))
	return v
}

// A DB instance from its creation by the provider to its deletion, with a session in the database. Only AWS is not
// real.
func TestAPulumiInstanceIsADatabaseThatItsMasterSecretOpens(t *testing.T) {
	c := newChain(t)
	db := c.instance("myshop-local", nil)
	assert.Regexp(t, `^myshop-local\.[a-z0-9]+\.ap-northeast-2\.rds\.amazonaws\.com$`, db.outputs["address"])
	user, password := c.master(db)
	require.Equal(t, "myshop_admin", user)

	conn, err := c.login(db, "127.0.0.9", user, password)
	require.NoError(t, err)
	assert.Contains(t, scan[string](t, conn, "SELECT version()"), "PostgreSQL 16.")
	assert.Equal(t, "1s", scan[string](t, conn, "SHOW log_min_duration_statement"))
	assert.Greater(t, scan[int](t, conn, "SELECT current_setting('max_connections')::int"), 300)
	_, err = c.login(db, "127.0.1.9", user, password)
	require.ErrorContains(t, err, "timeout", "the security group allows 127.0.0.0/24 only")

	state, err := json.Marshal(db.outs)
	require.NoError(t, err)
	for _, form := range []string{password, url.QueryEscape(password), strings.Trim(jsonText(t, password), `"`)} {
		assert.NotContains(t, string(state), form, "no state holds the master password")
	}

	t.Run("a rotation keeps sessions and ends the old password", func(t *testing.T) {
		_, err := c.rds().ModifyDBInstance(t.Context(), &awsrds.ModifyDBInstanceInput{
			DBInstanceIdentifier: sdk.String("myshop-local"), RotateMasterUserPassword: sdk.Bool(true),
			ApplyImmediately: sdk.Bool(true),
		})
		require.NoError(t, err)
		var after string
		require.Eventually(t, func() bool { _, after = c.master(db); return after != password }, 10*time.Second,
			20*time.Millisecond)
		assert.Equal(t, 1, scan[int](t, conn, "SELECT 1"))
		_, err = c.login(db, "127.0.0.9", user, password)
		var told *pgconn.PgError
		require.ErrorAs(t, err, &told)
		assert.Equal(t, "28P01", told.Code)
		_, err = c.login(db, "127.0.0.9", user, after)
		require.NoError(t, err)
		password = after
	})

	t.Run("an IAM user logs in with a signed token", func(t *testing.T) {
		conn, err := c.login(db, "127.0.0.9", user, password)
		require.NoError(t, err)
		_, err = conn.Exec(t.Context(), "CREATE ROLE app_iam LOGIN; GRANT rds_iam TO app_iam")
		require.NoError(t, err)
		session, err := c.login(db, "127.0.0.9", "app_iam", c.token(db, "app_iam"))
		require.NoError(t, err)
		assert.Equal(t, "app_iam", scan[string](t, session, "SELECT session_user"))
		_, err = c.login(db, "127.0.0.9", "app_iam", c.token(db, "another"))
		require.ErrorContains(t, err, `PAM authentication failed for user "app_iam"`)
	})

	t.Run("a reboot cuts sessions and ends", func(t *testing.T) {
		_, err := c.rds().RebootDBInstance(t.Context(),
			&awsrds.RebootDBInstanceInput{DBInstanceIdentifier: sdk.String("myshop-local")})
		require.NoError(t, err)
		require.Eventually(t, func() bool { return conn.Ping(t.Context()) != nil }, 10*time.Second, 20*time.Millisecond)
		require.Eventually(t, func() bool {
			_, err := c.login(db, "127.0.0.9", user, password)
			return err == nil
		}, 10*time.Second, 50*time.Millisecond)
	})

	_, err = c.provider.Delete(t.Context(), &pulumirpc.DeleteRequest{
		Id: db.id, Urn: db.urn, Properties: db.outs, OldInputs: db.inputs,
	})
	require.NoError(t, err)
	assert.Empty(t, c.engine.Instances())
}

// token returns a token as `aws rds generate-db-auth-token` does.
func (c *chain) token(db made, user string) string {
	c.t.Helper()
	request, err := http.NewRequestWithContext(c.t.Context(), http.MethodGet,
		fmt.Sprintf("https://%s:5432/?Action=connect&DBUser=%s&X-Amz-Expires=900", db.outputs["address"], user),
		http.NoBody)
	require.NoError(c.t, err)
	key, err := c.admin.Retrieve(c.t.Context())
	require.NoError(c.t, err)
	const emptyBody = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
	signed, _, err := v4.NewSigner().PresignHTTP(c.t.Context(), key, request, emptyBody, "rds-db", region, time.Now())
	require.NoError(c.t, err)
	return strings.TrimPrefix(signed, "https://")
}

func jsonText(t *testing.T, v any) string {
	t.Helper()
	text, err := json.Marshal(v)
	require.NoError(t, err)
	return string(text)
}

// The Pulumi engine was killed after the creation and before it wrote its state. It creates the instance again.
func TestACreationThatPulumiDidNotRecordIsAdopted(t *testing.T) {
	c := newChain(t)
	db := c.instance("again", nil)
	user, password := c.master(db)
	conn, err := c.login(db, "127.0.0.9", user, password)
	require.NoError(t, err)
	_, err = conn.Exec(t.Context(), "CREATE TABLE keepsake (x int)")
	require.NoError(t, err)
	resp, err := c.provider.Create(t.Context(), &pulumirpc.CreateRequest{Urn: db.urn, Properties: db.inputs})
	require.NoError(t, err)
	assert.Equal(t, db.id, resp.GetId())
	assert.Equal(t, []string{"again"}, c.engine.Instances())
	assert.True(t, scan[bool](t, conn, "SELECT to_regclass('keepsake') IS NOT NULL"))
}
