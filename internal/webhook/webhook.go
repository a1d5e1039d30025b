package webhook

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"syscall"
	"time"
)

const (
	// attempts is how often a delivery is tried.
	attempts = 3
	// answerTimeout limits one attempt.
	answerTimeout = 10 * time.Second
	// tokenLength is the length from which on a part of a URL may be a token.
	tokenLength = 16
)

// Hook is a URL that takes JSON.
type Hook struct {
	url *url.URL
	// Wait waits before the next attempt. Tests replace it.
	Wait func(ctx context.Context, before time.Duration) error
}

// Parse reads a URL: https, or http on this machine.
func Parse(text string) (*Hook, error) {
	// The error of url.Parse has the URL.
	to, err := url.Parse(text)
	switch {
	case text == "":
		return nil, errors.New("is empty: give the URL that takes the findings")
	case err != nil || to.Hostname() == "" || to.Opaque != "":
		return nil, errors.New("is not a URL: want https://<host>/<path>")
	case to.Scheme == "https", to.Scheme == "http" && isLoopback(to.Hostname()):
		return &Hook{url: to, Wait: wait}, nil
	default:
		return nil, errors.New("want https://: without it everyone on the way can read the findings and the URL; " +
			"only a URL of this machine (localhost) can be http://")
	}
}

func isLoopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// Secrets are the texts that no output may show: the URL, its password and its query, and those parts of its path that
// are as long as a token. A short part, such as apps, is a word of other texts.
func (h *Hook) Secrets() []string {
	secrets := []string{h.url.String()}
	if password, has := h.url.User.Password(); has {
		secrets = append(secrets, password)
	}
	if h.url.RawQuery != "" {
		secrets = append(secrets, h.url.RawQuery)
	}
	parts := append(strings.Split(h.url.Path, "/"), h.url.RequestURI())
	for _, values := range h.url.Query() {
		parts = append(parts, values...)
	}
	for _, part := range parts {
		if len(part) >= tokenLength {
			secrets = append(secrets, part)
		}
	}
	return secrets
}

func wait(ctx context.Context, before time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(before):
		return nil
	}
}

// Post delivers a JSON document. It tries again, up to three times in all, when the other side does not answer, is
// overloaded (429) or fails (5xx). It follows no redirects, which could lead to http.
func (h *Hook) Post(ctx context.Context, document []byte) error {
	client := &http.Client{
		Timeout:       answerTimeout,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	defer client.CloseIdleConnections()
	var failed error
	for attempt := range attempts {
		if attempt > 0 {
			if err := h.Wait(ctx, time.Duration(attempt*attempt)*time.Second); err != nil {
				return err
			}
		}
		status, err := h.post(ctx, client, document)
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case err != nil:
			failed = errors.New(reason(err))
		case status >= 200 && status < 300:
			return nil
		default:
			failed = fmt.Errorf("it answered %d %s", status, http.StatusText(status))
			if status != http.StatusTooManyRequests && status != http.StatusRequestTimeout && status < 500 {
				return failed
			}
		}
	}
	return fmt.Errorf("%w, in %d attempts", failed, attempts)
}

func (h *Hook) post(ctx context.Context, client *http.Client, document []byte) (status int, err error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, h.url.String(), bytes.NewReader(document))
	if err != nil {
		return 0, err
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("User-Agent", "dbtier")
	response, err := client.Do(request)
	if err != nil {
		return 0, err
	}
	defer response.Body.Close()
	// The answer says nothing that matters. It is read so that the other side can end in order.
	_, _ = io.Copy(io.Discard, io.LimitReader(response.Body, 1<<16))
	return response.StatusCode, nil
}

// reason says why a request failed, without the URL that the errors of net/http have.
func reason(err error) string {
	var timeout interface{ Timeout() bool }
	var unknown *net.DNSError
	var refused syscall.Errno
	var untrusted *tls.CertificateVerificationError
	var authority x509.UnknownAuthorityError
	switch {
	case errors.As(err, &unknown) && unknown.IsNotFound:
		return "its host name is not known"
	case errors.As(err, &timeout) && timeout.Timeout():
		return fmt.Sprintf("it did not answer within %s", answerTimeout)
	case errors.As(err, &untrusted), errors.As(err, &authority):
		return "its certificate is not trusted, or is for another name"
	case errors.As(err, &refused):
		return refused.Error()
	default:
		return "the connection failed"
	}
}
