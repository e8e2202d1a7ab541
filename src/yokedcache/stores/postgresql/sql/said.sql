-- Saying what is changed inside the transaction that changes it. `say` is called in the
-- application's own transaction and only inserts: it waits for no row that others have
-- locked, and locks none. What was said is *folded* into the tags later: each is bumped,
-- under a number that is drawn when the commit is visible already, as `lift` does after it.
-- Until then look-ups that see it take its tags for changed, and nothing is stored on them.

-- The tags that were said and not folded yet, as one snapshot has it; NULL if none. Only
-- rows that the last fold can't have seen are looked for: those it folded are gone, but
-- what is left of them stays on the disk as long as there is an old snapshot. (Plans of
-- queries without parameters are kept; these are made for tables that are large.)
CREATE FUNCTION @.unfolded() RETURNS bigint[] LANGUAGE plpgsql STABLE
SET enable_seqscan = off AS $$
DECLARE
    known boolean;
BEGIN
    SELECT NOT EXISTS (SELECT FROM @.said s WHERE s.transaction >= f.since)
            AND (f.open = '{}' OR NOT EXISTS (
                SELECT FROM @.said s WHERE s.transaction = ANY (f.open)))
        INTO known FROM @.folds f ORDER BY f.number DESC LIMIT 1;
    IF known THEN
        RETURN NULL;
    END IF;
    RETURN (
        WITH last AS (SELECT * FROM @.folds f ORDER BY f.number DESC LIMIT 1)
        SELECT array_agg(v.digest) FROM (
            SELECT s.digests FROM last, @.said s WHERE s.transaction >= last.since
            UNION ALL
            SELECT s.digests FROM last, @.said s WHERE s.transaction = ANY (last.open)
            UNION ALL
            SELECT s.digests FROM @.said s WHERE NOT EXISTS (SELECT FROM last)
        ) x, unnest(x.digests) AS v (digest)
    );
END
$$;

CREATE FUNCTION @.note_fold(number bigint, seen pg_snapshot) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO @.folds VALUES (
        number, pg_snapshot_xmax(seen), ARRAY(SELECT pg_snapshot_xip(seen)));
END
$$;

-- Only after `enter`, which has told what it is given. Those tags are locked, too, that
-- its caller was asked for: who locks several does so in their order.
CREATE FUNCTION @.fold_in(
    origin text, at bigint, young bigint, lease bigint, asked bigint[]
) RETURNS integer LANGUAGE plpgsql
SET enable_seqscan = off SET plan_cache_mode = force_generic_plan AS $$
DECLARE
    last record;
    seen pg_snapshot;
    told bigint[];
    drawn bigint;
    tag record;
    digest bigint;
BEGIN
    SELECT * INTO last FROM @.folds f ORDER BY f.number DESC LIMIT 1;
    -- before they are taken: what is visible in it is taken here, or was before
    SELECT pg_current_snapshot() INTO seen;
    WITH taken AS (
        DELETE FROM @.said s
        WHERE last.number IS NULL OR s.transaction >= last.since
            OR s.transaction = ANY (last.open)
        RETURNING s.digests
    )
    SELECT array_agg(DISTINCT v.digest ORDER BY v.digest) INTO told
        FROM taken, unnest(taken.digests) AS v (digest);
    IF told IS NULL THEN
        RETURN 0;
    END IF;
    PERFORM FROM @.tags t WHERE t.digest = ANY (told || asked)
        ORDER BY t.digest FOR UPDATE;
    -- drawn in any case: whose tag is made now must not take that for the only change
    drawn := nextval('@.numbers');
    FOREACH digest IN ARRAY told LOOP
        tag := @.take(digest, origin, at);
        IF tag.version IS NOT NULL THEN
            PERFORM @.put(digest, origin || '.' || drawn,
                @.doubt(@.without(tag.fences, '', at), tag.kind, at, lease, young), at, lease);
        END IF;
    END LOOP;
    PERFORM @.note_fold(drawn, seen);
    DELETE FROM @.folds f WHERE f.number = last.number;
    RETURN cardinality(told);
END
$$;

-- Folds what was said, where nobody else has had a reason to for a while.
CREATE FUNCTION @.fold(lease bigint, patience text) RETURNS integer LANGUAGE plpgsql AS $$
DECLARE
    entered record;
BEGIN
    entered := @.enter(patience, lease);
    RETURN @.fold_in(entered.origin, entered.at, entered.young, lease, '{}');
END
$$;

-- Says it: for whoever knows of which incarnation this is. Any role may, whose data is in
-- this database; nothing but that is possible by it.
CREATE FUNCTION @.say(asked bigint[], mark text) RETURNS void LANGUAGE plpgsql
SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET lock_timeout = '200ms' AS $$
BEGIN
    IF left(@.origin(), 8) IS DISTINCT FROM mark THEN
        RAISE EXCEPTION 'it is another cache that is here' USING ERRCODE = 'YC003';
    END IF;
    INSERT INTO @.said VALUES (pg_current_xact_id(), asked);
END
$$;

-- Folds begin anew with an incarnation: what was said before is nobody's, and where the
-- tables are a copy's, its numbers of transactions are those of another server.
CREATE FUNCTION @.begin_folds() RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    seen pg_snapshot;
BEGIN
    SELECT pg_current_snapshot() INTO seen;
    DELETE FROM @.said;
    DELETE FROM @.folds;
    PERFORM @.note_fold(nextval('@.numbers'), seen);
END
$$;

GRANT USAGE ON SCHEMA @ TO PUBLIC;
GRANT EXECUTE ON FUNCTION @.say TO PUBLIC;
