package externalsecrets

import (
	"fmt"
	"net"
	"net/url"
	"strconv"
	"strings"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"dbtier/components/eso"
	"dbtier/components/fault"
	"dbtier/validation"
)

// Value is one value of a secret in the store. Only the operator sees it.
type Value struct {
	// Secret is the secret's name or ARN in the store.
	Secret pulumi.StringInput
	// Property is a key of a secret that is a JSON object. Default: the secret's whole text.
	Property string
}

// Template is what a key of a Secret is made of: a [Value] as it is, or a [URL].
type Template interface {
	validate() error
	// render returns the operator's template, and adds the values that it uses to values.
	render(values *values) pulumi.StringOutput
}

// URL is a connection string. User and password are encoded for a URL, so they may contain any character.
type URL struct {
	// Scheme, for example postgresql, rediss or amqps.
	Scheme string
	// User and Password are optional.
	User, Password *Value
	// Host is a name or an IP address.
	Host pulumi.StringInput
	// Port, 1 to 65535. Default 0: the URL has no port, so clients use the scheme's default.
	Port int
	// Path after the host, with its slash. Default none.
	Path string
	// Query parameters. They must not be secret, because they are stored in the state. Default none.
	Query map[string]string
}

// values are the values of the store that the templates of one Secret use.
type values struct {
	store eso.StoreRef
	list  []eso.Value
}

// name adds a value and returns its name in templates. The operator reads a secret once per refresh, even if several
// values come from it.
func (v *values) name(value *Value) string {
	name := fmt.Sprintf("value%d", len(v.list))
	v.list = append(v.list, eso.Value{Name: name, Store: v.store, Key: value.Secret, Property: value.Property})
	return name
}

func (v Value) validate() error {
	var faults fault.List
	faults.Check(v.Secret != nil, "secret", nil, "is missing: the name or ARN of a secret in the store")
	faults.Check(!strings.ContainsAny(v.Property, "\x00\r\n"), "property", v.Property,
		"want a key of the secret's JSON object")
	return faults.Err()
}

func (v Value) render(known *values) pulumi.StringOutput {
	return pulumi.String("{{ ." + known.name(&v) + " }}").ToStringOutput()
}

func (u URL) validate() error {
	var faults fault.List
	faults.Form("scheme", u.Scheme, validation.Scheme)
	for name, value := range map[string]*Value{"user": u.User, "password": u.Password} {
		if value != nil {
			faults.Within(name, value.validate())
		}
	}
	if faults.Check(u.Host != nil, "host", nil, "is missing") {
		if plain, ok := u.Host.(pulumi.String); ok {
			faults.Check(validation.IsHost(string(plain)), "host", string(plain), validation.HostRule)
		}
	}
	if u.Port != 0 {
		faults.Between("port", u.Port, 1, 65535, "")
	}
	faults.Check(u.Path == "" || strings.HasPrefix(u.Path, "/"), "path", u.Path, "want a path that begins with /")
	return faults.Err()
}

func (u URL) render(known *values) pulumi.StringOutput {
	var login string
	if u.User != nil {
		login = encoded(known.name(u.User))
	}
	if u.Password != nil {
		login += ":" + encoded(known.name(u.Password))
	}
	if login != "" {
		login += "@"
	}
	return u.Host.ToStringOutput().ApplyT(func(host string) (string, error) {
		if !validation.IsHost(host) {
			return "", fmt.Errorf("host: %q: %s", host, validation.HostRule)
		}
		switch {
		case u.Port != 0:
			host = net.JoinHostPort(host, strconv.Itoa(u.Port))
		case strings.Contains(host, ":"):
			host = "[" + host + "]"
		}
		query := url.Values{}
		for key, text := range u.Query {
			query.Set(key, text)
		}
		at := url.URL{Scheme: u.Scheme, Host: host, Path: u.Path, RawQuery: query.Encode()}
		return strings.Replace(at.String(), "//", "//"+login, 1), nil
	}).(pulumi.StringOutput)
}

// encoded returns the template action that encodes a value for a URL. urlquery writes a blank as +, which means a blank
// only in a query.
func encoded(name string) string {
	return `{{ .` + name + ` | urlquery | replace "+" "%20" }}`
}
