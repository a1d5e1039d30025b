package verify

import (
	"context"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"

	"dbtier/internal/kubectl"
)

// audience is the audience that AWS requires of a web identity token.
const audience = "sts.amazonaws.com"

// irsa exchanges tokens for the role. The ServiceAccount's own token must be accepted; another ServiceAccount's token,
// and a token for another audience, must be denied. Only an answer of STS counts as a denial.
func (v *Verifier) irsa(ctx context.Context) (string, error) {
	t := v.Target
	// The namespace's default ServiceAccount always exists.
	other := "default"
	if t.ServiceAccount == other {
		return "", found(v.up(),
			"the role belongs to the ServiceAccount `default`, which every pod of the namespace has")
	}
	attempts := []struct {
		what, serviceAccount, audience string
		granted                        bool
	}{
		{"its own token", t.ServiceAccount, audience, true},
		{"the token of ServiceAccount " + other, other, audience, false},
		{"a token for another audience", t.ServiceAccount, "https://kubernetes.default.svc", false},
	}
	faults := make([]error, len(attempts))
	denials := make([]string, len(attempts))
	var running sync.WaitGroup
	for i, attempt := range attempts {
		running.Go(func() {
			token, err := v.token(ctx, attempt.serviceAccount, attempt.audience)
			if err != nil {
				faults[i] = err
				return
			}
			denial, err := v.assumeRole(ctx, token)
			switch {
			case err != nil:
				faults[i] = err
			case attempt.granted && denial != "":
				faults[i] = found(fmt.Sprintf("%s --namespace=%s get serviceaccount %s --output=yaml", t.Kubectl,
					t.ServiceAccountNamespace, t.ServiceAccount), "ServiceAccount %s/%s is denied its role %s: %s",
					t.ServiceAccountNamespace, t.ServiceAccount, t.Role, denial)
			case !attempt.granted && denial == "":
				faults[i] = found(v.up(), "%s gets role %s: its trust policy allows more than ServiceAccount %s",
					attempt.what, t.Role, t.ServiceAccount)
			}
			denials[i] = denial
		})
	}
	running.Wait()
	for _, fault := range faults {
		if fault != nil {
			return "", fault
		}
	}
	name := t.Role[strings.LastIndexByte(t.Role, '/')+1:]
	return fmt.Sprintf("%s has %s; another ServiceAccount: %s; another audience: %s", t.ServiceAccount, name,
		denials[1], denials[2]), nil
}

func (v *Verifier) token(ctx context.Context, serviceAccount, forAudience string) (string, error) {
	out, err := v.Kubectl.Run(ctx, "", "create", "token", serviceAccount,
		"--namespace="+v.Target.ServiceAccountNamespace,
		"--audience="+forAudience, "--duration=10m")
	var failed *kubectl.Error
	if errors.As(err, &failed) && failed.NotFound() {
		return "", found(v.up(), "no ServiceAccount %s in namespace %s", serviceAccount,
			v.Target.ServiceAccountNamespace)
	}
	if err != nil {
		return "", err
	}
	token := strings.TrimSpace(out)
	v.secrets.Add(token)
	return token, nil
}

// assumeRole asks STS for the role with the token. It returns the code of a denial, or "" if the role is granted. It
// does not read the credentials.
func (v *Verifier) assumeRole(ctx context.Context, token string) (denial string, err error) {
	form := url.Values{
		"Action": {"AssumeRoleWithWebIdentity"}, "Version": {"2011-06-15"}, "RoleArn": {v.Target.Role},
		"RoleSessionName": {"dbtier-verify"}, "DurationSeconds": {"900"}, "WebIdentityToken": {token},
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, v.Target.STS, strings.NewReader(form.Encode()))
	if err != nil {
		return "", fmt.Errorf("asking STS at %s: %w", v.Target.STS, err)
	}
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	answer, err := v.HTTP.Do(request)
	if err != nil {
		return "", found("curl --head "+v.Target.STS, "STS at %s does not answer: %s", v.Target.STS, lastCause(err))
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(io.LimitReader(answer.Body, 1<<20))
	if err != nil {
		return "", fmt.Errorf("reading the answer of STS: %w", err)
	}
	if answer.StatusCode == http.StatusOK {
		return "", nil
	}
	var refusal struct {
		Error struct {
			Code    string `xml:"Code"`
			Message string `xml:"Message"`
		} `xml:"Error"`
	}
	if answer.StatusCode >= http.StatusInternalServerError || xml.Unmarshal(body, &refusal) != nil ||
		refusal.Error.Code == "" {
		return "", fmt.Errorf("STS at %s answered %s", v.Target.STS, answer.Status)
	}
	switch refusal.Error.Code {
	case "AccessDenied", "InvalidIdentityToken", "ExpiredTokenException", "IDPRejectedClaim":
		return refusal.Error.Code, nil
	}
	return "", fmt.Errorf("STS answered %s: %s", refusal.Error.Code, refusal.Error.Message)
}

func lastCause(err error) string {
	for {
		inner := errors.Unwrap(err)
		if inner == nil {
			return err.Error()
		}
		err = inner
	}
}
