package sigv4_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"dbtier/localcloud/internal/aws/sigv4"
)

const (
	keyID  = "AKIAEXAMPLE"
	secret = "a secret access key"
	region = "ap-northeast-2"
	target = "http://aws.localcloud.internal:4566/?b=2&a=1+%2F&a=%C3%A4"
)

var now = time.Date(2026, 11, 23, 10, 0, 0, 0, time.UTC)

var keys = aws.Credentials{AccessKeyID: keyID, SecretAccessKey: secret, SessionToken: "a session token"}

func hash(body []byte) string {
	sum := sha256.Sum256(body)
	return hex.EncodeToString(sum[:])
}

// arrive turns a client's request into the request that a server receives.
func arrive(r *http.Request, body []byte) *http.Request {
	in := httptest.NewRequest(r.Method, r.URL.RequestURI(), bytes.NewReader(body))
	in.Host, in.Header = r.URL.Host, r.Header.Clone()
	if r.Host != "" {
		in.Host = r.Host
	}
	return in
}

// signed returns a request that the SDK signed in its header.
func signed(t *testing.T, method string, body []byte, change func(*http.Request)) *http.Request {
	t.Helper()
	r, err := http.NewRequestWithContext(context.Background(), method, target, bytes.NewReader(body))
	require.NoError(t, err)
	r.Header.Set("X-Amz-Target", "secretsmanager.GetSecretValue")
	r.Header.Set("X-Spaces", "  a   b  ")
	if change != nil {
		change(r)
	}
	require.NoError(t, v4.NewSigner().SignHTTP(context.Background(), keys, r, hash(body), "secretsmanager", region,
		now))
	return arrive(r, body)
}

func verify(r *http.Request, body []byte, at time.Time) (*sigv4.Signature, error) {
	s, err := sigv4.Parse(r)
	if err != nil {
		return nil, err
	}
	err = s.Verify(r, body, secret, at)
	return s, err
}

func code(t *testing.T, err error) string {
	t.Helper()
	if err == nil {
		return ""
	}
	var e *sigv4.Error
	require.ErrorAs(t, err, &e, "%v", err)
	return e.Code
}

func TestRequestsThatTheSDKSignedAreAccepted(t *testing.T) {
	body := []byte(`{"SecretId":"x"}`)
	for _, method := range []string{http.MethodPost, http.MethodGet, http.MethodPut} {
		s, err := verify(signed(t, method, body, nil), body, now.Add(4*time.Minute))
		require.NoError(t, err, method)
		assert.Equal(t, keyID, s.AccessKeyID)
		assert.Equal(t, region, s.Region)
		assert.Equal(t, "secretsmanager", s.Service)
		assert.Equal(t, "a session token", s.SecurityToken)
		assert.False(t, s.Presigned)
	}
	escaped := signed(t, http.MethodGet, nil,
		func(r *http.Request) { r.URL.Path, r.URL.RawPath = "/a b/ä+/", "/a%20b/%C3%A4%2B/" })
	_, err := verify(escaped, nil, now)
	require.NoError(t, err, "path that needs escaping")
}

func TestPresignedRequestsAreAcceptedAsLongAsTheyLive(t *testing.T) {
	r, err := http.NewRequestWithContext(context.Background(), http.MethodGet, target+"&X-Amz-Expires=900", http.NoBody)
	require.NoError(t, err)
	uri, _, err := v4.NewSigner().PresignHTTP(context.Background(), keys, r, hash(nil), "rds-db", region, now)
	require.NoError(t, err)
	u, err := url.Parse(uri)
	require.NoError(t, err)
	in := arrive(&http.Request{Method: http.MethodGet, URL: u}, nil)
	s, err := verify(in, nil, now.Add(15*time.Minute))
	require.NoError(t, err)
	assert.True(t, s.Presigned)
	assert.Equal(t, 15*time.Minute, s.Expires)
	_, err = verify(in, nil, now.Add(15*time.Minute+time.Second))
	require.ErrorContains(t, err, "Signature expired")
	in.Header = http.Header{"X-Amz-Target": {"secretsmanager.DeleteSecret"}, "X-Amz-Date": {"20261123T100000Z"}}
	_, err = verify(in, nil, now)
	assert.Equal(t, sigv4.CodeNoMatch, code(t, err))
	assert.ErrorContains(t, err, "not signed: x-amz-date, x-amz-target")
}

func TestTamperedRequestsAreRefused(t *testing.T) {
	body := []byte(`{"SecretId":"x"}`)
	replace := func(from, to string) func(*http.Request) {
		return func(r *http.Request) {
			r.Header.Set("Authorization", strings.Replace(r.Header.Get("Authorization"), from, to, 1))
		}
	}
	for name, c := range map[string]struct {
		tamper func(*http.Request)
		body   string
		at     time.Time
		want   string
	}{
		"the body":  {func(*http.Request) {}, `{"SecretId":"y"}`, now, sigv4.CodeNoMatch},
		"the query": {func(r *http.Request) { r.URL.RawQuery = "a=1" }, "", now, sigv4.CodeNoMatch},
		"the path":  {func(r *http.Request) { r.URL.Path = "/x" }, "", now, sigv4.CodeNoMatch},
		"the method": {
			func(r *http.Request) { r.Method = http.MethodPut }, "", now,
			sigv4.CodeNoMatch,
		},
		"the host": {func(r *http.Request) { r.Host = "other" }, "", now, sigv4.CodeNoMatch},
		"a signed header": {func(r *http.Request) {
			r.Header.Set("X-Amz-Target", "secretsmanager.DeleteSecret")
		}, "", now, sigv4.CodeNoMatch},
		"the session token": {
			func(r *http.Request) { r.Header.Set("X-Amz-Security-Token", "another") }, "",
			now, sigv4.CodeNoMatch,
		},
		"a header added": {
			func(r *http.Request) { r.Header.Set("X-Amz-Extra", "1") }, "", now,
			sigv4.CodeNoMatch,
		},
		"a signed header removed": {
			func(r *http.Request) { r.Header.Del("X-Amz-Target") }, "", now,
			sigv4.CodeNoMatch,
		},
		"the region of the scope":  {replace("/"+region+"/", "/eu-west-1/"), "", now, sigv4.CodeNoMatch},
		"the service of the scope": {replace("/secretsmanager/", "/rds/"), "", now, sigv4.CodeNoMatch},
		"the signature":            {replace("Signature=", "Signature=0"), "", now, sigv4.CodeNoMatch},
		"the signed headers' list": {replace("host;", ""), "", now, sigv4.CodeNoMatch},
		"the date": {
			func(r *http.Request) { r.Header.Set("X-Amz-Date", "20261123T100001Z") }, "",
			now, sigv4.CodeNoMatch,
		},
		"the day": {
			func(r *http.Request) { r.Header.Set("X-Amz-Date", "20261124T100001Z") }, "",
			now, sigv4.CodeNoMatch,
		},
		"a claimed hash": {func(r *http.Request) {
			r.Header.Set("X-Amz-Content-Sha256", hash([]byte("z")))
		}, "", now, sigv4.CodeNoMatch},
		"six minutes late":  {func(*http.Request) {}, "", now.Add(6 * time.Minute), sigv4.CodeNoMatch},
		"six minutes early": {func(*http.Request) {}, "", now.Add(-6 * time.Minute), sigv4.CodeNoMatch},
		"no signature": {
			func(r *http.Request) { r.Header.Del("Authorization") }, "", now,
			sigv4.CodeMissing,
		},
		"two signatures": {
			func(r *http.Request) { r.Header.Add("Authorization", "x") }, "", now,
			sigv4.CodeIncomplete,
		},
		"another scheme": {
			func(r *http.Request) { r.Header.Set("Authorization", "Bearer x") }, "", now,
			sigv4.CodeIncomplete,
		},
		"an empty credential": {replace("Credential="+keyID, "Credential="), "", now, sigv4.CodeIncomplete},
		"a scope too short":   {replace("/aws4_request", ""), "", now, sigv4.CodeIncomplete},
		"another terminator":  {replace("/aws4_request", "/aws5_request"), "", now, sigv4.CodeNoMatch},
		"no date": {
			func(r *http.Request) { r.Header.Del("X-Amz-Date") }, "", now,
			sigv4.CodeIncomplete,
		},
		"a date of another form": {
			func(r *http.Request) { r.Header.Set("X-Amz-Date", "2026-11-23") }, "", now,
			sigv4.CodeIncomplete,
		},
		"the asymmetric version": {
			replace("AWS4-HMAC-SHA256", "AWS4-ECDSA-P256-SHA256"), "", now,
			sigv4.CodeUnsupported,
		},
		"a payload that is not signed": {func(r *http.Request) {
			r.Header.Set("X-Amz-Content-Sha256", "UNSIGNED-PAYLOAD")
		}, "", now, sigv4.CodeUnsupported},
		"a field of the header twice": {
			replace("Signature=", "Signature=x, Signature="), "", now,
			sigv4.CodeIncomplete,
		},
		"a field without a value": {
			replace("SignedHeaders=", "SignedHeaders, X="), "", now,
			sigv4.CodeIncomplete,
		},
		"a header name in upper case": {replace("SignedHeaders=", "SignedHeaders=A;"), "", now, sigv4.CodeIncomplete},
		"the headers in another order": {replace("SignedHeaders=content-length;host",
			"SignedHeaders=host;content-length"), "", now, sigv4.CodeNoMatch},
		"a signature in the query also": {
			func(r *http.Request) { r.URL.RawQuery += "&X-Amz-Signature=x" }, "", now,
			sigv4.CodeIncomplete,
		},
	} {
		t.Run(name, func(t *testing.T) {
			r := signed(t, http.MethodPost, body, nil)
			c.tamper(r)
			sent := body
			if c.body != "" {
				sent = []byte(c.body)
			}
			_, err := verify(r, sent, c.at)
			assert.Equal(t, c.want, code(t, err), "%v", err)
			assert.NotContains(t, err.Error(), secret)
		})
	}
}

func TestPresignedRequestsMustBeComplete(t *testing.T) {
	full := url.Values{
		"X-Amz-Algorithm":  {"AWS4-HMAC-SHA256"},
		"X-Amz-Credential": {keyID + "/20261123/" + region + "/rds-db/aws4_request"},
		"X-Amz-Date":       {"20261123T100000Z"},
		"X-Amz-Expires":    {"900"}, "X-Amz-SignedHeaders": {"host"}, "X-Amz-Signature": {"0"},
	}
	for name, value := range map[string]string{
		"X-Amz-Credential": "", "X-Amz-Date": "", "X-Amz-Expires": "0", "X-Amz-SignedHeaders": "",
		"X-Amz-Signature": "", "X-Amz-Algorithm": "x",
	} {
		q := url.Values{}
		for k, v := range full {
			q[k] = v
		}
		q.Set(name, value)
		_, err := sigv4.Parse(httptest.NewRequest(http.MethodGet, "/?"+q.Encode(), http.NoBody))
		assert.Equal(t, sigv4.CodeIncomplete, code(t, err), name)
	}
	for _, expires := range []string{"604801", "x", "99999999999999999999"} {
		q := url.Values{}
		for k, v := range full {
			q[k] = v
		}
		q.Set("X-Amz-Expires", expires)
		_, err := sigv4.Parse(httptest.NewRequest(http.MethodGet, "/?"+q.Encode(), http.NoBody))
		assert.Equal(t, sigv4.CodeIncomplete, code(t, err), expires)
	}
}

func FuzzParse(f *testing.F) {
	f.Add("AWS4-HMAC-SHA256 Credential=A/20261123/r/s/aws4_request, SignedHeaders=host, Signature=0", "",
		"20261123T100000Z")
	f.Add("AWS4-HMAC-SHA256 Credential=,Signature==,SignedHeaders=;;", "X-Amz-Algorithm=x", "")
	f.Add("", "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=A%2F20261123%2Fr%2Fs%2Faws4_request&X-Amz-Date=20261123T100000Z&X-Amz-Expires=900&X-Amz-SignedHeaders=host&X-Amz-Signature=0", "")
	f.Fuzz(func(t *testing.T, header, query, date string) {
		r := &http.Request{
			Method: http.MethodGet, URL: &url.URL{Path: "/", RawQuery: query}, Host: "h",
			Header: http.Header{},
		}
		if header != "" {
			r.Header["Authorization"] = []string{header}
		}
		if date != "" {
			r.Header["X-Amz-Date"] = []string{date}
		}
		s, err := sigv4.Parse(r)
		if err != nil {
			var e *sigv4.Error
			require.ErrorAs(t, err, &e)
			return
		}
		// An invented key cannot have signed the request.
		require.Error(t, s.Verify(r, nil, "q3VzRkN5cmFuZG9tIGtleSB0aGF0IG5vYm9keSBrbm93cw", s.Time))
	})
}

// The worked example of the AWS documentation ("Create a signed AWS API request").
func TestTheExampleOfTheDocumentationVerifies(t *testing.T) {
	r := httptest.NewRequest(http.MethodGet, "https://iam.amazonaws.com/?Action=ListUsers&Version=2010-05-08",
		http.NoBody)
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded; charset=utf-8")
	r.Header.Set("X-Amz-Date", "20150830T123600Z")
	r.Header.Set("Authorization",
		"AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/iam/aws4_request, "+
			"SignedHeaders=content-type;host;x-amz-date, "+
			"Signature=5d672d79c15b13162d9279b0855cfba6789a8edb4c82c400e06b5924a6f2b5d7")
	s, err := sigv4.Parse(r)
	require.NoError(t, err)
	require.NoError(t, s.Verify(r, nil, "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY",
		time.Date(2015, 8, 30, 12, 36, 0, 0, time.UTC)))
}
