package verify_test

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"dbtier/internal/verify"
)

// retried is a cluster whose operator does what it is asked to try again, if what that needs is ready.
type retried struct {
	unready map[string]bool
	// broken never becomes ready.
	broken string
	asked  []string
}

func (r *retried) Get(_ context.Context, into any, _ string, _ ...string) error {
	var items []string
	object := func(kind, name, spec string) {
		ready := "True"
		if r.unready[name] {
			ready = "False"
		}
		items = append(items, fmt.Sprintf(`{"kind":%q,"metadata":{"name":%q},"spec":%s,"status":{"conditions":[
			{"type":"Ready","status":%q,"reason":"SecretSyncedError","message":"could not get secret data"}]}}`,
			kind, name, spec, ready))
	}
	const from = `[{"sourceRef":{"storeRef":{"kind":%q,"name":%q}}}]`
	object("ExternalSecret", "api-db", `{"data":`+fmt.Sprintf(from, "SecretStore", "logins")+`}`)
	object("ExternalSecret", "api-direct", `{"dataFrom":`+fmt.Sprintf(from, "ClusterSecretStore", "aws")+`}`)
	object("ExternalSecret", "another-teams", `{}`)
	object("SecretStore", "logins", `{}`)
	object("SecretStore", "unused", `{}`)
	object("ClusterSecretStore", "aws", `{}`)
	return json.Unmarshal([]byte(`{"items":[`+strings.Join(items, ",")+`]}`), into)
}

func (r *retried) Run(_ context.Context, _ string, args ...string) (string, error) {
	name := args[len(args)-2]
	r.asked = append(r.asked, args[0]+" "+name)
	switch name {
	case r.broken:
	case "api-db":
		r.unready[name] = r.unready["logins"]
	default:
		delete(r.unready, name)
	}
	return "", nil
}

func (r *retried) retry(ctx context.Context) ([]string, error) {
	target := verify.Target{Namespace: "myshop", ExternalSecrets: []string{"api-db", "api-direct"}}
	return (&verify.Verifier{Target: target, Kubectl: r}).RetryExternalSecrets(ctx)
}

func TestWhatTheOperatorFailedToDoIsTriedAgainUntilItIsDone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &retried{unready: map[string]bool{"api-db": true, "logins": true, "another-teams": true, "unused": true}}
		failed, err := r.retry(t.Context())
		require.NoError(t, err)
		assert.Empty(t, failed)
		assert.Equal(t, []string{"annotate logins", "annotate api-db"}, slices.Compact(r.asked), "the store first")
	})
}

func TestNothingIsAskedOfAnOperatorThatHasDoneItsWork(t *testing.T) {
	r := &retried{}
	failed, err := r.retry(t.Context())
	require.NoError(t, err)
	assert.Empty(t, failed)
	assert.Empty(t, r.asked)
}

func TestWhatTheOperatorStillCannotDoIsNamed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		r := &retried{unready: map[string]bool{"api-db": true, "api-direct": true}, broken: "api-direct"}
		failed, err := r.retry(ctx)
		require.NoError(t, err)
		assert.Equal(t, []string{"api-direct is not Ready: SecretSyncedError: could not get secret data"}, failed)
	})
}
