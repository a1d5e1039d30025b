package aws

import (
	"context"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"dbtier/localcloud/internal/aws/sigv4"
	"dbtier/localcloud/internal/aws/wire"
)

// tokenLife is the longest lifetime of an RDS authentication token.
const tokenLife = 15 * time.Minute

// verifyDatabaseToken checks a login with an IAM authentication token. The token must be a presigned request for the
// action connect of rds-db, for this endpoint and user, by a principal that has rds-db:connect for that user. Errors
// never contain the token.
func (c *Cloud) verifyDatabaseToken(ctx context.Context, host string, port int, user, token string) error {
	refuse := func(format string, args ...any) error {
		return wire.Status(http.StatusForbidden, "AccessDenied",
			"PAM authentication failed for user \""+user+"\": "+format, args...)
	}
	u, err := url.Parse("https://" + token)
	if err != nil {
		return refuse("the password is not an authentication token")
	}
	q := u.Query()
	st := c.store.Read()
	var i *dbInstance
	for _, candidate := range st.Instances {
		if strings.EqualFold(st.endpointHost(candidate), host) && candidate.Port == port {
			i = candidate
		}
	}
	switch {
	case i == nil:
		return refuse("no DB instance has this endpoint")
	case !i.IAMAuth:
		return refuse("IAM database authentication is not enabled for %s", i.Identifier)
	case !strings.EqualFold(u.Host, net.JoinHostPort(host, strconv.Itoa(port))):
		return refuse("the token is for another endpoint")
	case q.Get("Action") != "connect" || q.Get("DBUser") != user:
		return refuse("the token is for another user")
	}
	request := (&http.Request{Method: http.MethodGet, URL: u, Host: u.Host, Header: http.Header{}}).WithContext(ctx)
	sig, err := sigv4.Parse(request)
	switch {
	case err != nil:
		return refuse("%v", err)
	case sig.Service != "rds-db" || sig.Region != i.Region:
		return refuse("the token is for service %s in %s", sig.Service, sig.Region)
	case sig.Expires > tokenLife:
		return refuse("the token is valid for longer than %s", tokenLife)
	}
	k, err := c.verify(request, sig, nil)
	if err != nil {
		return refuse("%v", err)
	}
	if err := k.allow("rds-db:connect", "arn:aws:rds-db:"+i.Region+":"+AccountID+":dbuser:"+i.ResourceID+"/"+user,
		nil); err != nil {
		return refuse("%v", err)
	}
	return nil
}
