package aws

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"maps"
	"mime"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"dbtier/localcloud/internal/aws/iam"
	"dbtier/localcloud/internal/aws/sigv4"
	"dbtier/localcloud/internal/aws/wire"
)

// maxBody is larger than any valid request of the modelled actions, in bytes.
const maxBody = 1 << 20

// call is one authenticated request.
type call struct {
	c      *Cloud
	ctx    context.Context
	st     *state // the account when the request arrived
	who    *caller
	region string
	keys   iam.Context
}

// queryService is a service that uses the query protocol.
type queryService struct {
	namespace, version string
	actions            map[string]func(*call, *wire.Params) (any, error)
}

// jsonService is a service that uses the JSON 1.1 protocol.
type jsonService struct {
	target  string // prefix of X-Amz-Target
	actions map[string]func(*call, []byte) (any, error)
}

var queryServices = map[string]queryService{
	"sts": {namespace: "https://sts.amazonaws.com/doc/2011-06-15/", version: "2011-06-15", actions: stsActions},
	"iam": {namespace: "https://iam.amazonaws.com/doc/2010-05-08/", version: "2010-05-08", actions: iamActions},
	"rds": {namespace: "http://rds.amazonaws.com/doc/2014-10-31/", version: "2014-10-31", actions: rdsActions},
}

var jsonServices = map[string]jsonService{
	"secretsmanager": {target: "secretsmanager", actions: secretsActions},
	"kms":            {target: "TrentService", actions: kmsActions},
}

// Services are the names of the modelled services, sorted.
func Services() []string {
	return slices.Sorted(slices.Values(slices.Concat(sortedKeys(queryServices), sortedKeys(jsonServices))))
}

// webIdentityAction is the only action whose requests are not signed, because the token is the credential.
const webIdentityAction = "AssumeRoleWithWebIdentity"

// Wire returns the handler of the AWS protocols. All services share one endpoint. The credential scope of a request's
// signature names the service.
func (c *Cloud) Wire() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		e := &exchange{c: c, w: wire.Negotiate(w, r), r: r, requestID: randomUUID(), json: isJSON(r)}
		e.serve()
	})
}

func isJSON(r *http.Request) bool {
	kind, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	return r.Header.Get("X-Amz-Target") != "" || strings.HasPrefix(kind, "application/x-amz-json")
}

// exchange is one request and its answer.
type exchange struct {
	c         *Cloud
	w         http.ResponseWriter
	r         *http.Request
	requestID string
	json      bool

	service, action, principal string
}

func (e *exchange) serve() {
	body, err := io.ReadAll(http.MaxBytesReader(e.w, e.r.Body, maxBody))
	if err != nil {
		e.fail(wire.Status(http.StatusRequestEntityTooLarge, "RequestEntityTooLarge",
			"the request body is larger than %d bytes, or ended early", maxBody))
		return
	}
	if e.json {
		e.serveJSON(body)
		return
	}
	e.serveQuery(body)
}

func (e *exchange) serveJSON(body []byte) {
	prefix, action, _ := strings.Cut(e.r.Header.Get("X-Amz-Target"), ".")
	e.action = action
	k, err := e.authenticate(body, e.requestedJSONService(prefix))
	if err != nil {
		e.fail(err)
		return
	}
	s := jsonServices[e.service]
	if s.target != prefix {
		e.fail(wire.NotModelled("%s of service %s", e.r.Header.Get("X-Amz-Target"), e.service))
		return
	}
	do := s.actions[action]
	if do == nil {
		e.fail(wire.NotModelled("%s:%s; the modelled actions of %s are %s", e.service, action, e.service,
			names(s.actions)))
		return
	}
	out, err := do(k, body)
	if err != nil {
		e.fail(err)
		return
	}
	e.log(nil)
	if out == nil {
		out = struct{}{}
	}
	wire.WriteJSON(e.w, http.StatusOK, out, e.requestID)
}

func (e *exchange) requestedJSONService(target string) string {
	for name, s := range jsonServices {
		if s.target == target {
			return name
		}
	}
	return ""
}

func (e *exchange) serveQuery(body []byte) {
	form, err := queryForm(e.r, body)
	if err != nil {
		e.fail(err)
		return
	}
	params := wire.NewParams(form)
	e.action = params.Action()
	var k *call
	if e.action == webIdentityAction {
		e.service = "sts"
		if err := e.c.outage(e.service); err != nil {
			e.fail(err)
			return
		}
		k = e.c.newCall(e.r, nil, "")
	} else if k, err = e.authenticate(body, ""); err != nil {
		e.fail(err)
		return
	}
	s := queryServices[e.service]
	do := s.actions[e.action]
	switch {
	case e.r.URL.Path != "/" && e.r.URL.Path != "":
		err = wire.NotModelled("the path %q: it has no services with a REST interface", e.r.URL.Path)
	case e.action == "":
		err = wire.Errorf("MissingAction", "the request must contain the parameter Action")
	case form.Get("Version") != s.version:
		err = wire.Errorf("InvalidAction",
			"could not find operation %s for version %s: the local AWS stand-in supports version %s of %s",
			e.action, form.Get("Version"), s.version, e.service)
	case do == nil:
		err = wire.NotModelled("%s:%s; the modelled actions of %s are %s", e.service, e.action, e.service,
			names(s.actions))
	}
	if err != nil {
		e.fail(err)
		return
	}
	out, err := do(k, params)
	if err != nil {
		e.fail(err)
		return
	}
	e.log(nil)
	wire.WriteQuery(e.w, e.action, s.namespace, out, e.requestID)
}

func queryForm(r *http.Request, body []byte) (url.Values, error) {
	malformed := wire.Errorf("MalformedQueryString", "the request's parameters are malformed")
	switch r.Method {
	case http.MethodGet:
		form, err := url.ParseQuery(r.URL.RawQuery)
		if err != nil {
			return nil, malformed
		}
		return form, nil
	case http.MethodPost:
		if p := r.Header.Get("Smithy-Protocol"); p != "" {
			return nil, wire.NotModelled("the protocol %s; use query or JSON 1.1", p)
		}
		form, err := url.ParseQuery(string(body))
		if err != nil {
			return nil, malformed
		}
		return form, nil
	default:
		return nil, wire.NotModelled("the method %s: it has no services with a REST interface", r.Method)
	}
}

// authenticate verifies the signature. expected is the service that the rest of the request names, or "".
func (e *exchange) authenticate(body []byte, expected string) (*call, error) {
	sig, err := sigv4.Parse(e.r)
	if err != nil {
		return nil, authError(err)
	}
	e.service = sig.Service
	_, query := queryServices[sig.Service]
	_, json := jsonServices[sig.Service]
	if !query && !json || query == e.json {
		return nil, wire.NotModelled("the service %q; the modelled services are %s", sig.Service,
			strings.Join(Services(), ", "))
	}
	if err := e.c.outage(sig.Service); err != nil {
		return nil, err
	}
	if expected != "" && expected != sig.Service {
		return nil, authError(&sigv4.Error{
			Code:    sigv4.CodeNoMatch,
			Message: "Credential should be scoped to correct service: '" + expected + "'.",
		})
	}
	k, err := e.c.verify(e.r, sig, body)
	if err != nil {
		return nil, err
	}
	e.principal = k.who.ARN
	return k, nil
}

// verify checks the signature of a request and returns the call.
func (c *Cloud) verify(r *http.Request, sig *sigv4.Signature, body []byte) (*call, error) {
	st := c.store.Read()
	secret, who, err := c.secretFor(st, sig.AccessKeyID, sig.SecurityToken)
	if err != nil {
		return nil, err
	}
	if err := sig.Verify(r, body, secret, c.now()); err != nil {
		return nil, authError(err)
	}
	if who.session != nil && !c.now().Before(who.session.Expires) {
		return nil, wire.Status(http.StatusForbidden, "ExpiredToken",
			"The security token included in the request is expired")
	}
	k := c.newCall(r, who, sig.Region)
	k.st = st
	return k, nil
}

func (c *Cloud) newCall(r *http.Request, who *caller, region string) *call {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		host = ""
	}
	return &call{
		c: c, ctx: r.Context(), st: c.store.Read(), who: who, region: region,
		keys: c.conditionContext(who, region, host, r.UserAgent()),
	}
}

func authError(err error) error {
	var e *sigv4.Error
	if !errors.As(err, &e) {
		return err
	}
	status := http.StatusForbidden
	switch e.Code {
	case sigv4.CodeIncomplete:
		status = http.StatusBadRequest
	case sigv4.CodeUnsupported:
		status = http.StatusNotImplemented
	}
	return &wire.Error{Status: status, Code: e.Code, Message: e.Message}
}

func (e *exchange) fail(err error) {
	var out *wire.Error
	if !errors.As(err, &out) {
		// The cause goes to the log, because AWS would not tell it to the client. It does not contain secrets.
		out = wire.Status(http.StatusInternalServerError, "InternalFailure",
			"the local AWS stand-in failed; find the cause in its log under request ID %s", e.requestID)
		e.c.log.Error("internal failure", "requestId", e.requestID, "error", err)
	}
	e.log(out)
	switch {
	case e.json:
		wire.WriteJSONError(e.w, out, e.requestID)
	case e.service == "ec2":
		wire.WriteEC2Error(e.w, out, e.requestID)
	default:
		wire.WriteQueryError(e.w, out, queryServices[e.service].namespace, e.requestID)
	}
}

// log records the caller, the action and the result. It leaves out parameters, which may be secrets.
func (e *exchange) log(refused *wire.Error) {
	attrs := []any{"service", e.service, "action", e.action, "principal", e.principal, "requestId", e.requestID}
	level := slog.LevelInfo
	if refused != nil {
		attrs = append(attrs, "code", refused.Code, "message", refused.Message)
		level = slog.LevelWarn
	}
	e.c.log.Log(e.r.Context(), level, "request", attrs...)
}

// allow checks that the caller may perform an action on a resource without a resource policy. keys adds condition keys.
func (k *call) allow(action, resource string, keys func(iam.Context)) error {
	ctx := k.keys.Clone()
	if keys != nil {
		keys(ctx)
	}
	request := iam.Request{Action: action, Resource: resource, Context: ctx}
	d := iam.Evaluate(k.who.Principal, request, nil)
	if d.Allowed {
		return nil
	}
	return wire.Status(http.StatusForbidden, "AccessDenied", "%s", d.Explain(k.who.Principal, request))
}

// allowKey checks that a service may use a KMS key on behalf of the caller.
func (k *call) allowKey(key *kmsKey, action, service string, encryptionContext map[string]string) error {
	policy, err := iam.Parse(key.Policy, iam.Key)
	if err != nil {
		return wire.Status(http.StatusInternalServerError, "InternalFailure", "the policy of key %s cannot be read",
			key.ID)
	}
	ctx := k.keys.Clone()
	ctx.Set("kms:CallerAccount", k.who.Account)
	key.conditionKeys(ctx)
	if service != "" {
		ctx.Set("kms:ViaService", service+"."+key.Region+".amazonaws.com")
		ctx.Set("aws:ViaAWSService", "true")
	}
	for name, value := range encryptionContext {
		ctx.Set("kms:EncryptionContext:"+name, value)
	}
	if len(encryptionContext) > 0 {
		ctx.Set("kms:EncryptionContextKeys", sortedKeys(encryptionContext)...)
	}
	request := iam.Request{Action: action, Resource: key.arn(), Context: ctx}
	d := iam.Evaluate(k.who.Principal, request, &iam.ResourcePolicy{Policy: policy, Account: AccountID, Required: true})
	if d.Allowed {
		return nil
	}
	return wire.Status(http.StatusForbidden, "AccessDenied", "%s", d.Explain(k.who.Principal, request))
}

func names[V any](m map[string]V) string { return strings.Join(sortedKeys(m), ", ") }

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
