package awsprovider

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
)

// control is the client of the stand-in's control API. Requests and answers use Pulumi's names and plain JSON values.
type control struct {
	client *http.Client
	socket string
}

// answer is the control API's description of a resource.
type answer struct {
	ID      string         `json:"id"`
	Inputs  map[string]any `json:"inputs"`
	Outputs map[string]any `json:"outputs"`
}

// controlRequest is a request to the control API.
type controlRequest struct {
	Type   string         `json:"type"`
	Name   string         `json:"name,omitempty"`
	ID     string         `json:"id,omitempty"`
	Region string         `json:"region"`
	Olds   map[string]any `json:"olds,omitempty"`
	Inputs map[string]any `json:"inputs,omitempty"`
}

// controlError is an error of the control API, with the code that AWS would use.
type controlError struct {
	Status  int    `json:"-"`
	Code    string `json:"code"`
	Message string `json:"message"`
}

func (e *controlError) Error() string {
	switch {
	case e.Code == "":
		return e.Message
	case e.Message == "":
		return e.Code
	default:
		return e.Code + ": " + e.Message
	}
}

func newControl(socket string) *control {
	dialer := &net.Dialer{}
	return &control{
		socket: socket,
		client: &http.Client{Transport: &http.Transport{
			DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
				return dialer.DialContext(ctx, "unix", socket)
			},
		}},
	}
}

func (c *control) create(ctx context.Context, r controlRequest) (answer, error) {
	var a answer
	err := c.call(ctx, http.MethodPost, "", r, &a)
	if err == nil && a.ID == "" {
		err = errors.New("the stand-in answered without an id: see `dbtier local logs`")
	}
	return a, err
}

func (c *control) update(ctx context.Context, r controlRequest) (answer, error) {
	var a answer
	err := c.call(ctx, http.MethodPut, "", r, &a)
	return a, err
}

// read returns false if the resource does not exist.
func (c *control) read(ctx context.Context, r controlRequest) (answer, bool, error) {
	var a answer
	query := url.Values{"type": {r.Type}, "id": {r.ID}, "region": {r.Region}}
	err := c.call(ctx, http.MethodGet, "?"+query.Encode(), nil, &a)
	if refused := (*controlError)(nil); errors.As(err, &refused) && refused.Status == http.StatusNotFound {
		return answer{}, false, nil
	}
	return a, err == nil, err
}

// remove deletes a resource. It succeeds if the resource does not exist.
func (c *control) remove(ctx context.Context, r controlRequest) error {
	err := c.call(ctx, http.MethodDelete, "", r, nil)
	if refused := (*controlError)(nil); errors.As(err, &refused) && refused.Status == http.StatusNotFound {
		return nil
	}
	return err
}

func (c *control) call(ctx context.Context, method, query string, in, out any) error {
	var body io.Reader
	if in != nil {
		encoded, err := json.Marshal(in)
		if err != nil {
			return fmt.Errorf("encoding the request: %w", err)
		}
		body = bytes.NewReader(encoded)
	}
	req, err := http.NewRequestWithContext(ctx, method, "http://localcloud/aws/resources"+query, body)
	if err != nil {
		return fmt.Errorf("building the request: %w", err)
	}
	if in != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	resp, err := c.client.Do(req)
	if err != nil {
		return c.explain(ctx, err)
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		return c.explain(ctx, err)
	}
	if resp.StatusCode >= http.StatusBadRequest {
		refused := &controlError{Status: resp.StatusCode}
		if json.Unmarshal(data, refused) != nil || (refused.Code == "" && refused.Message == "") {
			refused.Message = fmt.Sprintf("the stand-in answered %s: %s", resp.Status, strings.TrimSpace(string(data)))
		}
		return refused
	}
	if out == nil || len(data) == 0 {
		return nil
	}
	if err := json.Unmarshal(data, out); err != nil {
		return fmt.Errorf("the stand-in's answer is not valid JSON: %w", err)
	}
	return nil
}

// explain says what to do about a call that got no answer.
func (c *control) explain(ctx context.Context, err error) error {
	var op *net.OpError
	switch {
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		return errors.New("the resource's timeout (customTimeouts) ran out: see `dbtier local logs`")
	case ctx.Err() != nil:
		return errors.New("cancelled")
	case errors.As(err, &op) && op.Op == "dial":
		return fmt.Errorf("the local cloud is not running (no answer at %s): start it with `dbtier local start`",
			c.socket)
	default:
		return fmt.Errorf("the local cloud stopped answering (%w): see `dbtier local logs`, start it again with "+
			"`dbtier local start`, and run the command once more", err)
	}
}
