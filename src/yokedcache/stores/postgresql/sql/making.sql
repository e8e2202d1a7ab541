-- Makes the schema, unless somebody has: any number of processes may come at once.

DO $making$
DECLARE
    said text;
BEGIN
    PERFORM pg_advisory_xact_lock(hashtextextended('yokedcache @', 0));
    IF current_setting('server_version_num')::integer < 150000 THEN
        RAISE EXCEPTION 'PostgreSQL 15 or newer is needed, this is %',
            current_setting('server_version') USING ERRCODE = 'YC002';
    END IF;
    said := obj_description(to_regclass('@.tags'), 'pg_class');
    IF said = '@LAYOUT' THEN
        RETURN;
    END IF;
    IF said LIKE 'yokedcache %' THEN
        RAISE EXCEPTION 'the schema @ was made by another version of yokedcache: '
            'DROP SCHEMA @ CASCADE, or take another prefix' USING ERRCODE = 'YC002';
    END IF;
    IF EXISTS (SELECT FROM pg_class WHERE relnamespace = to_regnamespace('@')) THEN
        RAISE EXCEPTION 'the schema @ holds something else: take another prefix'
            USING ERRCODE = 'YC002';
    END IF;
    IF to_regnamespace('@') IS NULL THEN
        CREATE SCHEMA @;
    END IF;
    @PARTS
    COMMENT ON TABLE @.tags IS '@LAYOUT';
END
$making$;
