// Package amazontrust has the root certificates of Amazon Trust Services as data. Certificates of AWS Certificate
// Manager end in one of them, and so do those of RDS Proxy's endpoints, which the roots of RDS (package rdsca) do not
// verify.
//
// Most systems trust these roots, but a client of PostgreSQL does not look there by itself: libpq does with
// sslrootcert=system from version 16 on, other drivers have their own ways, and a small image has no trust store at
// all. A file with these five is right for all of them, and trusts nobody else.
//
// The certificates in roots.pem are those of Mozilla's list as in the package ca-certificates 20230311 of Debian 12;
// their SHA-256 fingerprints, which a test compares, are those that Amazon Trust Services publishes in its repository.
// The first of them expires in December 2037.
package amazontrust
