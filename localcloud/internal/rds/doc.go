// Package rds imitates Amazon RDS for PostgreSQL on one machine. Each DB instance is a real PostgreSQL behind a front
// that terminates TLS.
//
// It behaves like RDS where RDS differs from a plain PostgreSQL:
//
//   - The master user is not a superuser. It can create databases and roles, is a member of rds_superuser, and cannot
//     read pg_authid. The only superuser, rdsadmin, cannot log in over the network.
//   - rds.force_ssl is 1 unless the parameter group sets it to 0. Connections without TLS fail with "no pg_hba.conf
//     entry".
//   - The certificate has the endpoint's host name and is signed by a CA of this machine. Clients with
//     sslmode=verify-full must use [Engine.CABundle].
//   - Members of rds_iam log in over TLS with a token that the IAM verifier accepts. They cannot use a password.
//   - Static parameters wait for a reboot. Some connections are reserved for the superuser and for rds_superuser.
//   - A reboot closes all connections, and the endpoint refuses new ones until it is over.
//
// The front never sees a password: it passes SCRAM through between the client and PostgreSQL. It reads the startup
// packet, decides who may connect and how, and then only copies bytes.
//
// PostgreSQL listens on a Unix socket in a folder that only PostgreSQL's user and root can enter. Its pg_hba.conf
// trusts the front, which runs as root, for rdsadmin and for IAM users (peer authentication). There is therefore no
// administrator's password that could leak.
//
// Differences from RDS:
//
//   - Durability is off. The database survives a crash of the local cloud, but not of the machine.
//   - pg_stat_activity shows no client addresses and pg_stat_ssl shows no TLS, because both end at the front.
//   - Channel binding is not offered.
//   - The collation is C.UTF-8.
//   - The master user can create only extensions that PostgreSQL marks as trusted.
//   - If a security group refuses a connection, it is accepted and then ignored. A firewall would not accept it.
package rds
