-- What the application's role may do. psql runs this as the master user, who owns the database and whose migrations make its objects.
--
-- Names come from the environment as psql variables and are quoted by psql and by format(): this text is the same for every service.
-- Everything may be run again; grants that a migration takes back stay taken back.

\set ON_ERROR_STOP on
\getenv group ROLE_GROUP
\getenv user_a ROLE_USER_A
\getenv user_b ROLE_USER_B
\getenv iam_user ROLE_IAM_USER

BEGIN;
SET LOCAL client_min_messages = warning;

-- The group has the rights, the users the passwords. A user without a password cannot log in.
SELECT format('CREATE ROLE %I NOLOGIN', :'group')
WHERE NOT EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = :'group') \gexec
SELECT format('CREATE ROLE %I LOGIN', name) FROM unnest(ARRAY[:'user_a', :'user_b']) AS name
WHERE NOT EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = name) \gexec
ALTER ROLE :"group" NOLOGIN NOCREATEDB NOCREATEROLE;
ALTER ROLE :"user_a" LOGIN INHERIT NOCREATEDB NOCREATEROLE;
ALTER ROLE :"user_b" LOGIN INHERIT NOCREATEDB NOCREATEROLE;
GRANT :"group" TO :"user_a", :"user_b";

\if :{?iam_user}
SELECT format('CREATE ROLE %I LOGIN', :'iam_user')
WHERE NOT EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = :'iam_user') \gexec
ALTER ROLE :"iam_user" LOGIN INHERIT NOCREATEDB NOCREATEROLE;
GRANT :"group" TO :"iam_user";
-- From here on RDS takes tokens from this user, and nothing else.
GRANT rds_iam TO :"iam_user";
\endif

-- PostgreSQL lets everybody into every database. Who else has to come in gets CONNECT by name.
REVOKE ALL ON DATABASE :"DBNAME" FROM PUBLIC;
GRANT CONNECT, TEMPORARY ON DATABASE :"DBNAME" TO :"group";
SELECT format('REVOKE ALL ON DATABASE %I FROM PUBLIC', datname) FROM pg_catalog.pg_database
WHERE datname IN ('postgres', 'template1') AND datname <> current_database() AND pg_catalog.pg_has_role(datdba, 'USAGE') \gexec

-- Before version 15 everybody could make tables in public.
SELECT format('REVOKE CREATE ON SCHEMA %I FROM PUBLIC', nspname) FROM pg_catalog.pg_namespace WHERE nspname = 'public' \gexec

-- What is there when a database sees the role for the first time; what is made later has its rights by default.
SELECT NOT EXISTS (
    SELECT FROM pg_catalog.pg_default_acl AS d, pg_catalog.aclexplode(d.defaclacl) AS a, pg_catalog.pg_roles AS grantee
    WHERE d.defaclrole = current_user::regrole AND d.defaclnamespace = 0 AND a.grantee = grantee.oid AND grantee.rolname = :'group'
) AS first \gset
\if :first
SELECT format('GRANT USAGE ON SCHEMA %I TO %I', nspname, :'group') FROM pg_catalog.pg_namespace
WHERE nspname !~ '^pg_' AND nspname <> 'information_schema' AND pg_catalog.pg_has_role(nspowner, 'USAGE') \gexec

SELECT format(
    CASE relkind WHEN 'S' THEN 'GRANT USAGE, SELECT ON SEQUENCE %I.%I TO %I' ELSE 'GRANT SELECT, INSERT, UPDATE, DELETE ON TABLE %I.%I TO %I' END,
    nspname, relname, :'group')
FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_namespace AS n ON n.oid = relnamespace
WHERE relkind IN ('r', 'p', 'v', 'm', 'f', 'S') AND nspname !~ '^pg_' AND nspname <> 'information_schema'
    AND pg_catalog.pg_has_role(relowner, 'USAGE')
    AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend WHERE classid = 'pg_catalog.pg_class'::regclass AND objid = c.oid AND deptype = 'e') \gexec

ALTER DEFAULT PRIVILEGES GRANT USAGE ON SCHEMAS TO :"group";
ALTER DEFAULT PRIVILEGES GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO :"group";
ALTER DEFAULT PRIVILEGES GRANT USAGE, SELECT ON SEQUENCES TO :"group";
\endif
COMMIT;
