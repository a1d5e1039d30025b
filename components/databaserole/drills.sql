-- The tables that the load of `dbtier drill` writes. psql runs this as the master user. Without ROLE_DRILLS it removes
-- them. The comment tells a schema that was made here from one of the service, which stays as it is.
\set ON_ERROR_STOP on
\getenv group ROLE_GROUP
\getenv drills ROLE_DRILLS

BEGIN;
SET LOCAL client_min_messages = warning;
SELECT count(*) > 0 AS exists,
    count(*) FILTER (WHERE pg_catalog.obj_description(oid, 'pg_namespace') = 'made for dbtier drill') > 0 AS ours
FROM pg_catalog.pg_namespace WHERE nspname = 'dbtier_drills' \gset

\if :{?drills}
    \if :exists
        \if :ours
        \else
            DO $$ BEGIN
                RAISE EXCEPTION 'the database has a schema dbtier_drills that was not made for drills'
                USING HINT = 'rename it, or set dbtier:drills.enabled to false';
            END $$;
        \endif
    \else
        CREATE SCHEMA dbtier_drills;
        COMMENT ON SCHEMA dbtier_drills IS 'made for dbtier drill';
    \endif
    -- A request is unique, so that a repetition has no second effect. Effects are not: a second one would be found.
    CREATE TABLE IF NOT EXISTS dbtier_drills.requests (run text, id bigint, PRIMARY KEY (run, id));
    CREATE TABLE IF NOT EXISTS dbtier_drills.effects (
        run text NOT NULL,
        id bigint NOT NULL,
        at timestamptz NOT NULL DEFAULT clock_timestamp()
    );
    CREATE INDEX IF NOT EXISTS effects_by_id ON dbtier_drills.effects (run, id);
    GRANT USAGE ON SCHEMA dbtier_drills TO :"group";
    GRANT SELECT, INSERT, UPDATE, DELETE ON dbtier_drills.requests, dbtier_drills.effects TO :"group";
\elif :ours
    DROP SCHEMA dbtier_drills CASCADE;
\endif
COMMIT;
