BEGIN;
SELECT 'connection ' || pg_catalog.pg_backend_pid();
SELECT 'left ' || what FROM (
    -- The value of an extension's setting may be private; PostgreSQL's own are not. PgBouncer restores a setting by
    -- setting it to what it is anyway, which is not left.
    SELECT CASE WHEN name LIKE '%.%' THEN name ELSE name || ' = ' || setting END AS what FROM pg_catalog.pg_settings
    WHERE source = 'session' AND setting IS DISTINCT FROM reset_val
        AND pg_catalog.lower(name) <> ALL (pg_catalog.string_to_array(:'tracked', ','))
    UNION ALL SELECT 'role ' || current_user WHERE current_user <> session_user
    UNION ALL SELECT 'an advisory lock' FROM pg_catalog.pg_locks
        WHERE locktype = 'advisory' AND pid = pg_catalog.pg_backend_pid()
    UNION ALL SELECT 'temporary table ' || relname FROM pg_catalog.pg_class
        WHERE relnamespace = pg_catalog.pg_my_temp_schema() AND relkind IN ('r', 'p')
    UNION ALL SELECT 'LISTEN ' || channel FROM pg_catalog.pg_listening_channels() AS channel
    UNION ALL SELECT 'cursor ' || name FROM pg_catalog.pg_cursors WHERE is_holdable
    UNION ALL SELECT 'prepared statement ' || name FROM pg_catalog.pg_prepared_statements WHERE from_sql
) AS kept;
SELECT pg_catalog.pg_sleep(0.3);
COMMIT;
