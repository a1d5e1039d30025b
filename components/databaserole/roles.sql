-- The rights of the application's role. psql runs this as the master user, which owns the database and runs its
-- migrations.
--
-- Names come from the environment as psql variables, quoted by psql and by format(), so this text is the same for every
-- service. It can run again at any time; grants that a migration revokes stay revoked.

\set ON_ERROR_STOP on
\getenv group ROLE_GROUP
\getenv user_a ROLE_USER_A
\getenv user_b ROLE_USER_B
\set iam_user ''
\getenv iam_user ROLE_IAM_USER
\getenv proxy ROLE_PROXY

BEGIN;
SET LOCAL client_min_messages = warning;
SELECT current_setting('server_version_num')::integer >= 160000 AS needs_admin \gset

-- The group has the rights; the users have the passwords. A user without a password cannot log in.
CREATE TEMPORARY VIEW wanted AS
SELECT name, name <> :'group' AS login FROM unnest(ARRAY[:'group', :'user_a', :'user_b', :'iam_user']) AS name
WHERE name <> '';
SELECT format('CREATE ROLE %I %s', name, CASE WHEN login THEN 'LOGIN' ELSE 'NOLOGIN' END)
FROM wanted WHERE NOT EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = name) \gexec

-- Only what differs is changed: from version 16 on, the master user may change a role only if it has ADMIN OPTION on
-- it, and it has none on roles that someone else created, or that it created itself before an upgrade to 16.
CREATE TEMPORARY VIEW changes AS
SELECT r.oid AS role, format('ALTER ROLE %I %s', name, CASE WHEN login THEN 'LOGIN INHERIT' ELSE 'NOLOGIN' END)
    || ' NOCREATEDB NOCREATEROLE' AS statement
FROM wanted JOIN pg_catalog.pg_roles AS r ON rolname = name
WHERE rolcanlogin <> login OR login AND NOT rolinherit OR rolcreatedb OR rolcreaterole
UNION ALL
SELECT g.oid, format('GRANT %I TO %I', g.rolname, name)
FROM wanted JOIN pg_catalog.pg_roles AS u ON u.rolname = name, pg_catalog.pg_roles AS g
WHERE login AND g.rolname = :'group' AND NOT pg_catalog.pg_has_role(u.oid, g.oid, 'USAGE');
\if :needs_admin
SELECT format('DO %L', format('BEGIN RAISE EXCEPTION USING MESSAGE = %L, HINT = %L; END',
    format('%s is not allowed to change the role %s: it has no ADMIN OPTION on it', current_user,
        string_agg(DISTINCT role::regrole::text, ', ')),
    :'other_names'))
FROM changes WHERE NOT pg_catalog.pg_has_role(role, 'MEMBER WITH ADMIN OPTION') HAVING count(*) > 0 \gexec
\endif
SELECT statement FROM changes \gexec
\if :needs_admin
\else
-- With it the master user can still set the passwords after an upgrade to 16. It must not become a member of the user
-- with tokens: RDS would then accept only tokens from the master user, too.
SELECT format('GRANT %I TO %I WITH ADMIN OPTION', name, current_user)
FROM wanted JOIN pg_catalog.pg_roles AS r ON rolname = name
WHERE name <> :'iam_user' AND NOT pg_catalog.pg_has_role(r.oid, 'MEMBER WITH ADMIN OPTION')
    AND NOT pg_catalog.pg_has_role(r.oid, current_user::regrole, 'MEMBER') \gexec
\endif

-- With this grant, RDS accepts only tokens from the user.
SELECT format('GRANT rds_iam TO %I', :'iam_user') WHERE :'iam_user' <> '' \gexec

-- By default PUBLIC may connect to every database. Other users that must connect need GRANT CONNECT by name.
SELECT statement FROM pg_catalog.pg_database, unnest(ARRAY[
    format('REVOKE ALL ON DATABASE %I FROM PUBLIC', datname),
    format('GRANT CONNECT, TEMPORARY ON DATABASE %I TO %I', datname, :'group')]) AS statement
WHERE datname = current_database() AND pg_catalog.pg_has_role(datdba, 'USAGE') \gexec
SELECT format('REVOKE ALL ON DATABASE %I FROM PUBLIC', datname) FROM pg_catalog.pg_database
WHERE datname IN ('postgres', 'template1') AND datname <> current_database()
    AND pg_catalog.pg_has_role(datdba, 'USAGE') \gexec
-- RDS Proxy logs in to this database as the users to see whether the instance is healthy.
SELECT format(CASE WHEN :{?proxy} THEN 'GRANT CONNECT ON DATABASE %I TO %I' ELSE 'REVOKE CONNECT ON DATABASE %I FROM %I'
    END, datname, :'group')
FROM pg_catalog.pg_database
WHERE datname = 'postgres' AND datname <> current_database() AND pg_catalog.pg_has_role(datdba, 'USAGE') \gexec

-- Before version 15, PUBLIC could create tables in the schema public.
SELECT format('REVOKE CREATE ON SCHEMA %I FROM PUBLIC', nspname) FROM pg_catalog.pg_namespace
WHERE nspname = 'public' \gexec

-- What the role needs to read and write every row, and the owners of these objects.
CREATE TEMPORARY VIEW grants AS
SELECT nspowner AS owner, format('GRANT USAGE ON SCHEMA %I TO %I', nspname, :'group') AS statement,
    pg_catalog.has_schema_privilege(:'group', oid, 'USAGE') AS held
FROM pg_catalog.pg_namespace WHERE nspname !~ '^pg_' AND nspname <> 'information_schema'
UNION ALL
SELECT relowner, format(
    CASE relkind
        WHEN 'S' THEN 'GRANT USAGE, SELECT ON SEQUENCE %I.%I TO %I'
        ELSE 'GRANT SELECT, INSERT, UPDATE, DELETE ON TABLE %I.%I TO %I'
    END,
    nspname, relname, :'group'),
    CASE relkind
        WHEN 'S' THEN pg_catalog.has_sequence_privilege(:'group', c.oid, 'USAGE, SELECT')
        ELSE pg_catalog.has_table_privilege(:'group', c.oid, 'SELECT, INSERT, UPDATE, DELETE')
    END
FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_namespace AS n ON n.oid = relnamespace
WHERE relkind IN ('r', 'p', 'v', 'm', 'f', 'S') AND nspname !~ '^pg_' AND nspname <> 'information_schema'
    AND NOT EXISTS (
        SELECT FROM pg_catalog.pg_depend
        WHERE classid = 'pg_catalog.pg_class'::regclass AND objid = c.oid AND deptype = 'e'
    );

-- Grant on the objects that exist when the role is created. Later objects get their grants by default privileges.
SELECT NOT EXISTS (
    SELECT FROM pg_catalog.pg_default_acl AS d, pg_catalog.aclexplode(d.defaclacl) AS a, pg_catalog.pg_roles AS grantee
    WHERE d.defaclrole = current_user::regrole AND d.defaclnamespace = 0
        AND a.grantee = grantee.oid AND grantee.rolname = :'group'
) AS first \gset
\if :first
SELECT statement FROM grants WHERE pg_catalog.pg_has_role(owner, 'USAGE') \gexec

ALTER DEFAULT PRIVILEGES GRANT USAGE ON SCHEMAS TO :"group";
ALTER DEFAULT PRIVILEGES GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO :"group";
ALTER DEFAULT PRIVILEGES GRANT USAGE, SELECT ON SEQUENCES TO :"group";
\endif

-- Only the owner of an object, or a member of it, can grant rights on it. This goes to the Job's log.
SELECT format('%s has no rights on %s objects of %s, and %s cannot grant them. %s must run:%s%s', :'group', count(*),
    owner::regrole, current_user, owner::regrole, string_agg(E'\n  ' || statement || ';', '' ORDER BY statement)
        FILTER (WHERE number <= 50),
    CASE WHEN count(*) > 50 THEN format(E'\n  … and %s more', count(*) - 50) ELSE '' END)
FROM (SELECT *, row_number() OVER (PARTITION BY owner ORDER BY statement) AS number FROM grants
    WHERE NOT held AND NOT pg_catalog.pg_has_role(owner, 'USAGE')) AS foreign_objects
GROUP BY owner;
COMMIT;
