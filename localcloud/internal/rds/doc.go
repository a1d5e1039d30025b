// Package rds plays Amazon RDS for PostgreSQL on one machine: a real PostgreSQL for each DB instance, behind a front
// that ends TLS.
//
// What RDS does and a plain PostgreSQL does not holds here:
//
//   - The master user is no superuser. It may create databases and roles, is a member of rds_superuser, and cannot read
//     pg_authid. rdsadmin, the one superuser, cannot log in over the network.
//   - rds.force_ssl is 1 unless the parameter group says otherwise: without TLS there is "no pg_hba.conf entry".
//   - The certificate carries the endpoint's host name and is signed by a CA of this machine, so that
//     sslmode=verify-full passes with [Engine.CABundle] and fails with any other.
//   - Members of rds_iam log in with a token that the IAM verifier accepts, over TLS, never with a password.
//   - Static parameters wait for a reboot, connections are reserved for the superuser and for rds_superuser.
//   - A reboot cuts every connection, and the endpoint refuses new ones until it is over.
//
// Passwords are PostgreSQL's own business: the front passes SCRAM through from end to end and never sees one. It reads
// the startup packet, decides by who may connect and how, and copies bytes from then on.
//
// PostgreSQL listens on a Unix socket in a folder that only its own user and root can enter. The front, running as
// root, is what its pg_hba.conf trusts for rdsadmin and for IAM users (peer authentication), so there is no
// administrator's password that could leak.
//
// What differs from RDS: durability is off (the database survives a crash of the cloud, not one of the machine);
// pg_stat_activity shows no client addresses and pg_stat_ssl no TLS, both end at the front; channel binding is not
// offered; the collation is C.UTF-8; extensions that PostgreSQL does not mark as trusted cannot be created by the
// master user; a connection that a security group refuses is accepted and then ignored, where a firewall would not even
// accept it.
package rds
