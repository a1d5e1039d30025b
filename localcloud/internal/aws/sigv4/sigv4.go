package sigv4

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"sort"
	"strconv"
	"strings"
	"time"
)

const (
	algorithm  = "AWS4-HMAC-SHA256"
	timeFormat = "20060102T150405Z"
	// MaxSkew is how far a request's time may differ from the server's.
	MaxSkew = 5 * time.Minute
	// maxExpires is the longest lifetime of a presigned request, a week.
	maxExpires = 7 * 24 * time.Hour
)

// Codes of an Error, as the query protocol spells them. JSON services use other names for some of them.
const (
	CodeMissing     = "MissingAuthenticationToken"
	CodeIncomplete  = "IncompleteSignature"
	CodeNoMatch     = "SignatureDoesNotMatch"
	CodeUnsupported = "NotImplemented"
)

// Error is a refused request, with the code that AWS uses for it.
type Error struct{ Code, Message string }

func (e *Error) Error() string { return e.Code + ": " + e.Message }

func refuse(code, format string, args ...any) *Error {
	return &Error{Code: code, Message: fmt.Sprintf(format, args...)}
}

// Signature is what a request says about its signature. Parse verifies none of it; call Verify for that.
type Signature struct {
	AccessKeyID   string
	SecurityToken string // session token of temporary credentials, otherwise ""
	Region        string
	Service       string
	Time          time.Time
	Presigned     bool
	Expires       time.Duration // lifetime of a presigned request

	date          string // of the credential scope
	signedHeaders []string
	signature     string
}

// Scope returns the credential scope without the access key.
func (s *Signature) Scope() string {
	return s.date + "/" + s.Region + "/" + s.Service + "/aws4_request"
}

// Parse reads the signature of a request from its Authorization header or its query.
func Parse(r *http.Request) (*Signature, error) {
	header := r.Header.Values("Authorization")
	query, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return nil, refuse(CodeIncomplete, "the query string is malformed")
	}
	switch {
	case len(header) > 1:
		return nil, refuse(CodeIncomplete, "more than one Authorization header")
	case len(header) == 1 && query.Has("X-Amz-Signature"):
		return nil, refuse(CodeIncomplete, "signed both in the Authorization header and in the query string")
	case len(header) == 1:
		return parseHeader(r, header[0])
	case query.Has("X-Amz-Algorithm") || query.Has("X-Amz-Signature"):
		return parseQuery(query)
	default:
		return nil, refuse(CodeMissing, "Request is missing Authentication Token")
	}
}

func parseHeader(r *http.Request, value string) (*Signature, error) {
	name, rest, _ := strings.Cut(strings.TrimSpace(value), " ")
	if err := checkAlgorithm(name); err != nil {
		return nil, err
	}
	fields := map[string]string{}
	for part := range strings.SplitSeq(rest, ",") {
		k, v, ok := strings.Cut(strings.TrimSpace(part), "=")
		if !ok || k == "" || v == "" {
			return nil, refuse(CodeIncomplete,
				"Authorization header has an invalid key=value pair (missing equal-sign)")
		}
		if _, twice := fields[k]; twice {
			return nil, refuse(CodeIncomplete, "Authorization header has %q twice", k)
		}
		fields[k] = v
	}
	for _, k := range []string{"Credential", "SignedHeaders", "Signature"} {
		if fields[k] == "" {
			return nil, refuse(CodeIncomplete, "Authorization header requires '%s' parameter", k)
		}
	}
	s := &Signature{SecurityToken: r.Header.Get("X-Amz-Security-Token"), signature: fields["Signature"]}
	if err := s.scope(fields["Credential"]); err != nil {
		return nil, err
	}
	if err := s.headers(fields["SignedHeaders"]); err != nil {
		return nil, err
	}
	date := r.Header.Get("X-Amz-Date")
	if date == "" {
		t, err := http.ParseTime(r.Header.Get("Date"))
		if err != nil {
			return nil, refuse(CodeIncomplete,
				"Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header")
		}
		date = t.UTC().Format(timeFormat)
	}
	if err := s.time(date); err != nil {
		return nil, err
	}
	return s, nil
}

func parseQuery(q url.Values) (*Signature, error) {
	for _, k := range []string{
		"X-Amz-Algorithm", "X-Amz-Credential", "X-Amz-Date", "X-Amz-Expires",
		"X-Amz-SignedHeaders", "X-Amz-Signature",
	} {
		if len(q[k]) != 1 || q.Get(k) == "" {
			return nil, refuse(CodeIncomplete, "AWS query-string parameters must include '%s' exactly once", k)
		}
	}
	if err := checkAlgorithm(q.Get("X-Amz-Algorithm")); err != nil {
		return nil, err
	}
	s := &Signature{Presigned: true, SecurityToken: q.Get("X-Amz-Security-Token"), signature: q.Get("X-Amz-Signature")}
	if err := s.scope(q.Get("X-Amz-Credential")); err != nil {
		return nil, err
	}
	if err := s.headers(q.Get("X-Amz-SignedHeaders")); err != nil {
		return nil, err
	}
	seconds, err := strconv.ParseInt(q.Get("X-Amz-Expires"), 10, 32)
	if err != nil || seconds < 1 || time.Duration(seconds)*time.Second > maxExpires {
		return nil, refuse(CodeIncomplete, "X-Amz-Expires must be a number of seconds from 1 to %d",
			int(maxExpires/time.Second))
	}
	s.Expires = time.Duration(seconds) * time.Second
	if err := s.time(q.Get("X-Amz-Date")); err != nil {
		return nil, err
	}
	return s, nil
}

func checkAlgorithm(name string) error {
	switch {
	case name == algorithm:
		return nil
	case strings.HasPrefix(name, "AWS4-ECDSA"):
		return refuse(CodeUnsupported,
			"the local AWS stand-in does not model Signature Version 4A; sign for one region with %s", algorithm)
	default:
		return refuse(CodeIncomplete, "unsupported AWS 'algorithm': %q", clip(name))
	}
}

var scopePart = regexp.MustCompile(`^[A-Za-z0-9_-]{1,128}$`)

func (s *Signature) scope(credential string) error {
	parts := strings.Split(credential, "/")
	if len(parts) != 5 {
		return refuse(CodeIncomplete,
			"Credential must have exactly 5 slash-delimited elements, e.g. keyid/date/region/service/term")
	}
	for _, p := range parts {
		if !scopePart.MatchString(p) {
			return refuse(CodeIncomplete,
				"Credential has an element that is empty or has characters other than letters, digits, - and _")
		}
	}
	if parts[4] != "aws4_request" {
		return refuse(CodeNoMatch, "Credential should be scoped with a valid terminator: 'aws4_request'")
	}
	s.AccessKeyID, s.date, s.Region, s.Service = parts[0], parts[1], parts[2], parts[3]
	return nil
}

var headerName = regexp.MustCompile("^[a-z0-9!#$%&'*+.^_`|~-]+$")

func (s *Signature) headers(list string) error {
	s.signedHeaders = strings.Split(list, ";")
	for _, h := range s.signedHeaders {
		if !headerName.MatchString(h) {
			return refuse(CodeIncomplete, "SignedHeaders must be lower-case header names separated by semicolons")
		}
	}
	if !slices.Contains(s.signedHeaders, "host") {
		return refuse(CodeNoMatch, "'Host' or ':authority' must be a 'SignedHeader' in the AWS Authorization")
	}
	if !sort.StringsAreSorted(s.signedHeaders) {
		return refuse(CodeNoMatch, "SignedHeaders must be sorted")
	}
	return nil
}

func (s *Signature) time(text string) error {
	t, err := time.Parse(timeFormat, text)
	if err != nil {
		return refuse(CodeIncomplete, "Date must be in ISO-8601 'basic format', e.g. 20060102T150405Z")
	}
	s.Time = t
	if s.date != t.Format("20060102") {
		return refuse(CodeNoMatch,
			"Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP: '%s' != '%s'",
			s.date, t.Format("20060102"))
	}
	return nil
}

// Verify checks that the secret key signed this request with this body, and that the request is neither expired nor
// from the future.
func (s *Signature) Verify(r *http.Request, body []byte, secretKey string, now time.Time) error {
	if err := s.verifyTime(now); err != nil {
		return err
	}
	payload, err := s.payloadHash(r, body)
	if err != nil {
		return err
	}
	if unsigned := s.unsignedHeaders(r); len(unsigned) > 0 {
		return refuse(CodeNoMatch, "there were headers present in the request which were not signed: %s",
			strings.Join(unsigned, ", "))
	}
	canonical, err := s.canonicalRequest(r, payload)
	if err != nil {
		return err
	}
	digest := sha256.Sum256([]byte(canonical))
	toSign := strings.Join(
		[]string{algorithm, s.Time.Format(timeFormat), s.Scope(), hex.EncodeToString(digest[:])}, "\n")
	key := hmacSHA256([]byte("AWS4"+secretKey), s.date)
	for _, part := range []string{s.Region, s.Service, "aws4_request"} {
		key = hmacSHA256(key, part)
	}
	want := hex.EncodeToString(hmacSHA256(key, toSign))
	if subtle.ConstantTimeCompare([]byte(want), []byte(s.signature)) != 1 {
		return refuse(CodeNoMatch, "The request signature we calculated does not match the signature you provided. "+
			"Check your AWS Secret Access Key and signing method. Consult the service documentation for details.")
	}
	return nil
}

// unsignedHeaders returns the x-amz headers that the signature does not cover. They could have been added on the way,
// and x-amz-target alone decides which action of a JSON service a request performs.
func (s *Signature) unsignedHeaders(r *http.Request) []string {
	var out []string
	for name := range r.Header {
		lower := strings.ToLower(name)
		if strings.HasPrefix(lower, "x-amz-") && !slices.Contains(s.signedHeaders, lower) {
			out = append(out, lower)
		}
	}
	slices.Sort(out)
	return out
}

func (s *Signature) verifyTime(now time.Time) error {
	now = now.UTC()
	format := func(t time.Time) string { return t.UTC().Format(timeFormat) }
	life := MaxSkew
	label := "5 min."
	if s.Presigned {
		life = s.Expires
		label = fmt.Sprintf("%d sec.", int(s.Expires/time.Second))
	}
	switch {
	case s.Time.After(now.Add(MaxSkew)):
		return refuse(CodeNoMatch, "Signature not yet current: %s is still later than %s (%s + 5 min.)", format(s.Time),
			format(now.Add(MaxSkew)), format(now))
	case s.Time.Before(now.Add(-life)):
		return refuse(CodeNoMatch, "Signature expired: %s is now earlier than %s (%s - %s)", format(s.Time),
			format(now.Add(-life)), format(now), label)
	}
	return nil
}

func (s *Signature) payloadHash(r *http.Request, body []byte) (string, error) {
	sum := sha256.Sum256(body)
	actual := hex.EncodeToString(sum[:])
	claimed := r.Header.Get("X-Amz-Content-Sha256")
	switch {
	case claimed == "" || claimed == actual:
		return actual, nil
	case claimed == "UNSIGNED-PAYLOAD" || strings.HasPrefix(claimed, "STREAMING-"):
		return "", refuse(CodeUnsupported,
			"the local AWS stand-in does not model unsigned and streaming payloads (x-amz-content-sha256: %s)",
			clip(claimed))
	default:
		return "", refuse(CodeNoMatch, "the provided x-amz-content-sha256 header does not match what was computed")
	}
}

func (s *Signature) canonicalRequest(r *http.Request, payload string) (string, error) {
	var b strings.Builder
	b.WriteString(r.Method + "\n")
	b.WriteString(canonicalPath(r.URL) + "\n")
	query, err := canonicalQuery(r.URL.RawQuery)
	if err != nil {
		return "", err
	}
	b.WriteString(query + "\n")
	for _, name := range s.signedHeaders {
		value, ok := headerValue(r, name)
		if !ok {
			return "", refuse(CodeNoMatch, "the signed header %q is not in the request", name)
		}
		b.WriteString(name + ":" + value + "\n")
	}
	b.WriteString("\n" + strings.Join(s.signedHeaders, ";") + "\n" + payload)
	return b.String(), nil
}

// headerValue returns a header's value as it is signed. net/http keeps some headers outside the map.
func headerValue(r *http.Request, name string) (string, bool) {
	switch name {
	case "host":
		return r.Host, true
	case "content-length":
		if v := r.Header.Get("Content-Length"); v != "" {
			return v, true
		}
		return strconv.FormatInt(max(r.ContentLength, 0), 10), true
	case "transfer-encoding":
		return strings.Join(r.TransferEncoding, ","), len(r.TransferEncoding) > 0
	}
	values, ok := r.Header[http.CanonicalHeaderKey(name)]
	if !ok {
		return "", false
	}
	trimmed := make([]string, len(values))
	for i, v := range values {
		trimmed[i] = strings.Join(strings.Fields(v), " ")
	}
	return strings.Join(trimmed, ","), true
}

// canonicalPath encodes the path's segments twice, as all services except S3 do.
func canonicalPath(u *url.URL) string {
	path := u.EscapedPath()
	if path == "" {
		return "/"
	}
	segments := strings.Split(path, "/")
	for i, s := range segments {
		segments[i] = encode(s)
	}
	return strings.Join(segments, "/")
}

// canonicalQuery sorts the parameters by encoded name and value, and leaves out the signature.
func canonicalQuery(raw string) (string, error) {
	var pairs [][2]string
	for part := range strings.SplitSeq(raw, "&") {
		if part == "" {
			continue
		}
		k, v, _ := strings.Cut(part, "=")
		key, err := url.QueryUnescape(k)
		if err != nil {
			return "", refuse(CodeIncomplete, "the query string is malformed")
		}
		value, err := url.QueryUnescape(v)
		if err != nil {
			return "", refuse(CodeIncomplete, "the query string is malformed")
		}
		if key == "X-Amz-Signature" {
			continue
		}
		pairs = append(pairs, [2]string{encode(key), encode(value)})
	}
	slices.SortFunc(pairs, func(a, b [2]string) int {
		if c := strings.Compare(a[0], b[0]); c != 0 {
			return c
		}
		return strings.Compare(a[1], b[1])
	})
	out := make([]string, len(pairs))
	for i, p := range pairs {
		out[i] = p[0] + "=" + p[1]
	}
	return strings.Join(out, "&"), nil
}

// encode percent-encodes everything except the unreserved characters of RFC 3986.
func encode(s string) string {
	const digits = "0123456789ABCDEF"
	var b strings.Builder
	for i := range len(s) {
		c := s[i]
		if c >= 'A' && c <= 'Z' || c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || strings.IndexByte("-_.~", c) >= 0 {
			b.WriteByte(c)
			continue
		}
		b.WriteByte('%')
		b.WriteByte(digits[c>>4])
		b.WriteByte(digits[c&15])
	}
	return b.String()
}

func hmacSHA256(key []byte, text string) []byte {
	h := hmac.New(sha256.New, key)
	h.Write([]byte(text))
	return h.Sum(nil)
}

func clip(s string) string {
	if len(s) > 40 {
		return s[:40] + "…"
	}
	return s
}
