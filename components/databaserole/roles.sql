-- The rights of the application's role. psql runs this as the master user, which owns the database and runs its
-- migrations.
--
-- Names come from the environment as psql variables, quoted by psql and by format(), so this text is the same for every
-- service. It can run again at any time; grants that a migration revokes stay revoked.

\set ON_ERROR_STOP on
\getenv group ROLE_GROUP
\getenv user_a ROLE_USER_A
\getenv user_b ROLE_USER_B
\getenv iam_user ROLE_IAM_USER

BEGIN;
SET LOCAL client_min_messages = warning;

-- The group has the rights; the users have the passwords. A user without a password cannot log in.
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
-- With this grant, RDS accepts only tokens from the user.
GRANT rds_iam TO :"iam_user";
\endif

-- By default PUBLIC may connect to every database. Other users that must connect need GRANT CONNECT by name.
REVOKE ALL ON DATABASE :"DBNAME" FROM PUBLIC;
GRANT CONNECT, TEMPORARY ON DATABASE :"DBNAME" TO :"group";
SELECT format('REVOKE ALL ON DATABASE %I FROM PUBLIC', datname) FROM pg_catalog.pg_database
WHERE datname IN ('postgres', 'template1') AND datname <> current_database()
    AND pg_catalog.pg_has_role(datdba, 'USAGE') \gexec

-- Before version 15, PUBLIC could create tables in the schema public.
SELECT format('REVOKE CREATE ON SCHEMA %I FROM PUBLIC', nspname) FROM pg_catalog.pg_namespace
WHERE nspname = 'public' \gexec

-- Grant on the objects that exist when the role is created. Later objects get their grants by default privileges.
SELECT NOT EXISTS (
    SELECT FROM pg_catalog.pg_default_acl AS d, pg_catalog.aclexplode(d.defaclacl) AS a, pg_catalog.pg_roles AS grantee
    WHERE d.defaclrole = current_user::regrole AND d.defaclnamespace = 0
        AND a.grantee = grantee.oid AND grantee.rolname = :'group'
) AS first \gset
\if :first
SELECT format('GRANT USAGE ON SCHEMA %I TO %I', nspname, :'group') FROM pg_catalog.pg_namespace
WHERE nspname !~ '^pg_' AND nspname <> 'information_schema' AND pg_catalog.pg_has_role(nspowner, 'USAGE') \gexec

SELECT format(
    CASE relkind
        WHEN 'S' THEN 'GRANT USAGE, SELECT ON SEQUENCE %I.%I TO %I'
        ELSE 'GRANT SELECT, INSERT, UPDATE, DELETE ON TABLE %I.%I TO %I'
    END,
    nspname, relname, :'group')
FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_namespace AS n ON n.oid = relnamespace
WHERE relkind IN ('r', 'p', 'v', 'm', 'f', 'S') AND nspname !~ '^pg_' AND nspname <> 'information_schema'
    AND pg_catalog.pg_has_role(relowner, 'USAGE')
    AND NOT EXISTS (
        SELECT FROM pg_catalog.pg_depend
        WHERE classid = 'pg_catalog.pg_class'::regclass AND objid = c.oid AND deptype = 'e'
    ) \gexec

ALTER DEFAULT PRIVILEGES GRANT USAGE ON SCHEMAS TO :"group";
ALTER DEFAULT PRIVILEGES GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO :"group";
ALTER DEFAULT PRIVILEGES GRANT USAGE, SELECT ON SEQUENCES TO :"group";
\endif
COMMIT;
