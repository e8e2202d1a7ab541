-- Looking up: what only reads, and waits for nobody but who has a whole table to himself
-- (`VACUUM FULL`): for that there is `patience`, in milliseconds. Who has given up must not
-- stay in the server, where all who look up would gather.
-- (What has a plan is PL/pgSQL throughout: that keeps it, where SQL plans at each call.)

CREATE FUNCTION @.now() RETURNS bigint LANGUAGE sql VOLATILE AS $$
    SELECT (date_part('epoch', clock_timestamp()) * 1000)::bigint
$$;

-- Which files, of which database, in which life of the server: none of a copy, a restored
-- dump, a table that was emptied, or a server that started again is the same.
CREATE FUNCTION @.here() RETURNS text LANGUAGE sql STABLE AS $$
    SELECT pg_relation_filepath('@.tags') || ' ' || extract(epoch FROM pg_postmaster_start_time())
$$;

-- The origin of versions; nothing if there is none, or it is of another life.
CREATE FUNCTION @.origin() RETURNS text LANGUAGE plpgsql STABLE AS $$
BEGIN
    RETURN (SELECT t.version FROM @.tags t WHERE t.digest = -1 AND t.home = @.here());
END
$$;

-- The last number that was drawn, as of now, whether its change is visible yet or not.
CREATE FUNCTION @.drawn() RETURNS bigint LANGUAGE plpgsql VOLATILE AS $$
BEGIN
    RETURN (SELECT n.last_value - (NOT n.is_called)::integer FROM @.numbers n);
END
$$;

CREATE FUNCTION @.note(patience text) RETURNS text LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    patient text := set_config('lock_timeout', patience, true);
BEGIN
    RETURN @.origin() || '.' || @.drawn();
END
$$;

-- A line for each tag: its version and its fences, or nothing if it isn't there, or is
-- among those that were said to be changed.
CREATE FUNCTION @.states(asked bigint[], at bigint, said bigint[]) RETURNS text
LANGUAGE plpgsql STABLE AS $$
BEGIN
    RETURN (
        SELECT string_agg(
            CASE WHEN t.ends > at AND (t.digest = ANY (said)) IS NOT TRUE
                THEN t.version || coalesce(' ' || to_json(t.fences), '') ELSE '' END,
            E'\n' ORDER BY v.place)
        FROM unnest(asked) WITH ORDINALITY AS v (digest, place)
        LEFT JOIN @.tags t ON t.digest = v.digest
    );
END
$$;

-- One snapshot, that of the statement which calls it: it is STABLE.
CREATE FUNCTION @.look(
    asked_id bigint,
    asked_key bytea,
    asked bigint[],
    payload boolean,
    patience text,
    known_versions text = NULL,
    known_born double precision = NULL,
    known_fresh double precision = NULL,
    known_stale double precision = NULL,
    known_size integer = NULL
) RETURNS @.found LANGUAGE plpgsql STABLE SET enable_seqscan = off AS $$
DECLARE
    patient text := set_config('lock_timeout', patience, true);
    seen @.found;
    entry record;
    folded boolean;
    said bigint[];
BEGIN
    seen.at := @.now();
    -- what `origin` and `unfolded` ask, at once: nearly always there is no more to it
    SELECT left(t.version, 8), (
            SELECT NOT EXISTS (SELECT FROM @.said s WHERE s.transaction >= f.since)
                AND (f.open = '{}' OR NOT EXISTS (
                    SELECT FROM @.said s WHERE s.transaction = ANY (f.open)))
            FROM @.folds f ORDER BY f.number DESC LIMIT 1)
        INTO seen.mark, folded
        FROM @.tags t WHERE t.digest = -1 AND t.home = @.here();
    IF folded IS NOT TRUE THEN
        said := @.unfolded();
    END IF;
    SELECT e.key, e.ends, e.mark, e.digests, e.versions, e.born, e.fresh, e.stale
        INTO entry FROM @.entries e WHERE e.id = asked_id;
    IF entry.key IS DISTINCT FROM asked_key OR entry.ends <= seen.at THEN
        seen.state := 'absent';
    ELSIF entry.mark IS DISTINCT FROM seen.mark THEN
        seen.state := 'incarnation';
    ELSIF cardinality(entry.digests) <> cardinality(entry.versions) THEN
        seen.state := 'corrupted';
    ELSE
        -- a version that isn't written as one was never stored by us
        SELECT CASE WHEN (v.version ~ '^[A-Za-z0-9_-]{16}[.][0-9]+$') IS NOT TRUE THEN 'corrupted'
                    WHEN t.digest IS NULL OR t.ends <= seen.at THEN 'tag_lost'
                    WHEN t.fences IS NOT NULL THEN 'commit_in_flight'
                    ELSE 'changed' END
            INTO seen.state
            FROM unnest(entry.digests, entry.versions) AS v (digest, version)
            LEFT JOIN @.tags t ON t.digest = v.digest
            WHERE (t.version = v.version AND t.ends > seen.at AND t.fences IS NULL)
                IS NOT TRUE OR v.digest = ANY (said)
            LIMIT 1;
    END IF;
    IF seen.state IS NOT NULL THEN
        IF seen.mark IS NOT NULL THEN
            seen.tags := @.states(asked, seen.at, said);
        END IF;
        RETURN seen;
    END IF;
    seen.state := 'hit';
    seen.born := entry.born;
    seen.fresh := entry.fresh;
    seen.stale := entry.stale;
    seen.versions := array_to_string(entry.versions, ' ');
    IF entry.digests <> asked THEN
        seen.digests := array_to_string(entry.digests, ' ');
    END IF;
    IF seen.versions = known_versions AND entry.digests = asked
        AND entry.born = known_born AND entry.fresh = known_fresh
        AND entry.stale = known_stale
        AND known_size = (
            SELECT octet_length(e.payload) FROM @.entries e WHERE e.id = asked_id)
    THEN
        seen.state := 'same';
    ELSIF payload THEN
        -- what is larger than any answer was stored by somebody else, and reads as cut off
        seen.payload := (
            SELECT e.payload FROM @.entries e
            WHERE e.id = asked_id AND octet_length(e.payload) <= (64 << 20) + 1024);
    END IF;
    RETURN seen;
END
$$;
