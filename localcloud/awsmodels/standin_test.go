package awsmodels_test

import (
	"bytes"
	"context"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"maps"
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
	"github.com/golang-jwt/jwt/v5"
	"github.com/stretchr/testify/require"

	"dbtier/localcloud/internal/aws"
	"dbtier/localcloud/internal/rds"
)

const (
	region = "eu-west-1"
	issuer = "https://oidc.localcloud.internal/id/local"
)

type object = map[string]any

// standIn is a stand-in whose databases do nothing.
type standIn struct {
	t       *testing.T
	cloud   *aws.Cloud
	server  *httptest.Server
	models  map[string]*model
	admin   sdk.Credentials
	signing *rsa.PrivateKey
}

// with returns the object with other members. A member that is nil is left out.
func (s *standIn) with(in, more object) object {
	out := maps.Clone(in)
	maps.Copy(out, more)
	maps.DeleteFunc(out, func(_ string, v any) bool { return v == nil })
	return out
}

func start(t *testing.T) *standIn {
	t.Helper()
	dir := t.TempDir()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	require.NoError(t, err)
	cloud, err := aws.New(aws.Config{
		Dir: dir, CredentialsFile: filepath.Join(dir, "credentials.json"), OIDCIssuer: issuer, RDS: noDatabases{},
		OIDCKeys: func() ([]crypto.PublicKey, error) { return []crypto.PublicKey{key.Public()}, nil },
	})
	require.NoError(t, err)
	server := httptest.NewServer(cloud.Wire())
	t.Cleanup(func() { server.Close(); require.NoError(t, cloud.Close()) })
	text, err := os.ReadFile(filepath.Join(dir, "credentials.json"))
	require.NoError(t, err)
	s := &standIn{t: t, cloud: cloud, server: server, signing: key, models: map[string]*model{}}
	require.NoError(t, json.Unmarshal(text, &s.admin))
	for _, service := range []string{"sts", "iam", "rds", "secretsmanager", "kms"} {
		s.models[service] = readModel(t, service)
	}
	return s
}

// token returns a web identity token of the cluster.
func (s *standIn) token() string {
	now := time.Now()
	token, err := jwt.NewWithClaims(jwt.SigningMethodRS256, jwt.MapClaims{
		"iss": issuer, "sub": "system:serviceaccount:shop:reader", "aud": []string{"sts.amazonaws.com"},
		"iat": now.Unix(), "exp": now.Add(time.Hour).Unix(),
	}).SignedString(s.signing)
	require.NoError(s.t, err)
	return token
}

// create creates a resource as the provider does, and returns its outputs, among them its ID.
func (s *standIn) create(kind, name string, inputs object) object {
	s.t.Helper()
	body, err := json.Marshal(object{"type": kind, "name": name, "region": region, "inputs": inputs})
	require.NoError(s.t, err)
	w := httptest.NewRecorder()
	s.cloud.Control().ServeHTTP(w, httptest.NewRequest(http.MethodPost, "/aws/resources", bytes.NewReader(body)))
	require.Equal(s.t, http.StatusOK, w.Code, w.Body.String())
	var out struct {
		ID      string
		Outputs object
	}
	require.NoError(s.t, json.Unmarshal(w.Body.Bytes(), &out))
	out.Outputs["id"] = out.ID
	return out.Outputs
}

// remove deletes a resource as the provider does.
func (s *standIn) remove(kind, id string) {
	s.t.Helper()
	body, err := json.Marshal(object{"type": kind, "id": id, "region": region})
	require.NoError(s.t, err)
	w := httptest.NewRecorder()
	s.cloud.Control().ServeHTTP(w, httptest.NewRequest(http.MethodDelete, "/aws/resources", bytes.NewReader(body)))
	require.Equal(s.t, http.StatusNoContent, w.Code, w.Body.String())
}

// send sends a request as the model describes it: of the model's version and target, signed by the administrator.
func (s *standIn) send(service, action string, in object) (status int, body string) {
	s.t.Helper()
	m := s.models[service]
	var text []byte
	header := http.Header{}
	if m.Metadata.Protocol == "json" {
		var err error
		text, err = json.Marshal(in)
		require.NoError(s.t, err)
		header.Set("Content-Type", "application/x-amz-json-1.1")
		header.Set("X-Amz-Target", m.Metadata.TargetPrefix+"."+action)
	} else {
		form := url.Values{"Action": {action}, "Version": {m.Metadata.APIVersion}}
		for name, value := range in {
			form.Set(name, value.(string))
		}
		text = []byte(form.Encode())
		header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	r, err := http.NewRequestWithContext(s.t.Context(), http.MethodPost, s.server.URL+"/", bytes.NewReader(text))
	require.NoError(s.t, err)
	r.Header = header
	if action != "AssumeRoleWithWebIdentity" {
		sum := sha256.Sum256(text)
		require.NoError(s.t, v4.NewSigner().SignHTTP(s.t.Context(), s.admin, r, hex.EncodeToString(sum[:]), service,
			region, time.Now()))
	}
	resp, err := http.DefaultClient.Do(r)
	require.NoError(s.t, err)
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	require.NoError(s.t, err)
	return resp.StatusCode, string(answer)
}

// code returns the code of a refused request.
func (s *standIn) code(service, body string) string {
	s.t.Helper()
	if s.models[service].Metadata.Protocol == "json" {
		var e struct {
			Type string `json:"__type"`
		}
		require.NoError(s.t, json.Unmarshal([]byte(body), &e), body)
		return e.Type
	}
	n, err := parseXML(body)
	require.NoError(s.t, err, body)
	if e := n.child("Error"); e != nil && e.child("Code") != nil {
		return e.child("Code").Text
	}
	return ""
}

// modelled returns the actions of a service that the stand-in claims, from the error for any other.
func (s *standIn) modelled(service string) []string {
	s.t.Helper()
	_, body := s.send(service, "Nothing", object{})
	_, list, found := strings.Cut(body, "the modelled actions of "+service+" are ")
	require.True(s.t, found, body)
	return strings.Split(list[:strings.IndexAny(list, "\"<")], ", ")
}

// noDatabases is an engine that runs nothing.
type noDatabases struct{}

func (noDatabases) Create(context.Context, rds.Spec, string) (netip.Addr, error) {
	return netip.MustParseAddr("198.18.1.1"), nil
}
func (noDatabases) Start(context.Context, string) error                { return nil }
func (noDatabases) Stop(context.Context, string) error                 { return nil }
func (noDatabases) Reboot(context.Context, string) error               { return nil }
func (noDatabases) Delete(context.Context, string) error               { return nil }
func (noDatabases) Instances() []string                                { return nil }
func (noDatabases) Snapshot(context.Context, string, string) error     { return nil }
func (noDatabases) CopySnapshot(context.Context, string, string) error { return nil }
func (noDatabases) DeleteSnapshot(string) error                        { return nil }
func (noDatabases) SetStandby(context.Context, string, bool) error     { return nil }
func (noDatabases) Failover(context.Context, string) error             { return nil }
func (noDatabases) Isolate(context.Context, string, bool, bool) error  { return nil }
func (noDatabases) OnFailover(func(string))                            {}
func (noDatabases) SetArchive(context.Context, string, string) error   { return nil }
func (noDatabases) Flush(context.Context, string) (time.Time, error) {
	return time.Now().Add(time.Hour), nil
}
func (noDatabases) TrimArchive(string, string) error                            { return nil }
func (noDatabases) ArchiveSize(string) (int64, error)                           { return 0, nil }
func (noDatabases) DeleteArchive(string) error                                  { return nil }
func (noDatabases) KeepBackups([]string, []string) error                        { return nil }
func (noDatabases) SetMasterPassword(context.Context, string, string) error     { return nil }
func (noDatabases) Apply(context.Context, string, int, map[string]string) error { return nil }
func (noDatabases) SetAccess(string, func(netip.Addr) error)                    {}
func (noDatabases) SetIAMVerifier(func(context.Context, string, int, string, string) error) {
}
