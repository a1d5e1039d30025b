package main

import (
	"errors"
	"net"
	"net/url"
	"strings"
)

// direct is the login to the database itself, past the pool. The environment has it, as DIRECT_HOST and so on.
type direct struct{ host, port, database, user, password, sslmode, rootcert string }

var errNoDirect = errors.New("DIRECT_HOST, DIRECT_PORT, DIRECT_DATABASE, DIRECT_USER, DIRECT_PASSWORD and " +
	"DIRECT_SSLMODE must all be set: they lead past the pool")

func directFrom(getenv func(string) string) *direct {
	return &direct{
		getenv("DIRECT_HOST"), getenv("DIRECT_PORT"), getenv("DIRECT_DATABASE"), getenv("DIRECT_USER"),
		getenv("DIRECT_PASSWORD"), getenv("DIRECT_SSLMODE"), getenv("DIRECT_SSLROOTCERT"),
	}
}

func (d *direct) complete() bool {
	return d.host != "" && d.port != "" && d.database != "" && d.user != "" && d.password != "" && d.sslmode != ""
}

// open opens the database.
func (d *direct) open(run string) (database, error) {
	if !d.complete() {
		return nil, errNoDirect
	}
	options := url.Values{"sslmode": {d.sslmode}}
	if d.rootcert != "" {
		options.Set("sslrootcert", d.rootcert)
	}
	db, err := open((&url.URL{
		Scheme: "postgres", User: url.UserPassword(d.user, d.password), Host: net.JoinHostPort(d.host, d.port),
		Path: "/" + d.database, RawQuery: strings.ReplaceAll(options.Encode(), "%2F", "/"),
	}).String(), run)
	if err != nil {
		return nil, errors.New("DIRECT_SSLMODE or DIRECT_SSLROOTCERT cannot be used: want one of libpq's modes, and " +
			"an existing file")
	}
	return db, nil
}

// at is the same login to another instance.
func (d *direct) at(host string) *direct {
	other := *d
	other.host = host
	return &other
}
