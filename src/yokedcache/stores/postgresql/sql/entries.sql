-- Entries and claims. These change no version, and so don't wait for those who do.

-- Tags live as long as what carries them: a little longer, so that few have to write it.
-- One that was swept away meanwhile stays away; one that was bumped does no harm. Who
-- waits here has locked no other tag than smaller ones, and who changes tags does as well:
-- so nothing is written that wasn't locked first, even if its time was made shorter since.
CREATE FUNCTION @.keep(asked bigint[], until bigint, life bigint) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    locked bigint[] := ARRAY(
        SELECT t.digest FROM @.tags t WHERE t.digest = ANY (asked) AND t.ends < until
        ORDER BY t.digest FOR UPDATE);
BEGIN
    IF locked <> '{}' THEN
        UPDATE @.tags t SET ends = until + life / 4 WHERE t.digest = ANY (locked);
    END IF;
END
$$;

-- Stores an entry if its stamp still holds, unfenced; else says why it was not. A change
-- that comes between the look at the tags and the end makes it unservable as ever.
CREATE FUNCTION @.store(
    asked_id bigint,
    asked_key bytea,
    asked_mark text,
    asked bigint[],
    asked_versions text[],
    born double precision,
    fresh double precision,
    stale double precision,
    life bigint,
    payload bytea,
    patience text
) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    at bigint := @.now();
    said bigint[];
    refused text;
BEGIN
    PERFORM @.ready(patience);
    IF asked_mark IS DISTINCT FROM left(@.origin(), 8) THEN
        RETURN 'incarnation';
    END IF;
    said := @.unfolded();  -- what the entry shows was committed before
    SELECT CASE WHEN t.version = v.version AND t.ends > at AND t.fences IS NOT NULL
                THEN 'commit_in_flight' ELSE 'changed_meanwhile' END
        INTO refused
        FROM unnest(asked, asked_versions) AS v (digest, version)
        LEFT JOIN @.tags t ON t.digest = v.digest
        WHERE (t.version = v.version AND t.ends > at AND t.fences IS NULL) IS NOT TRUE
            OR v.digest = ANY (said)
        LIMIT 1;
    IF refused IS NOT NULL THEN
        RETURN refused;
    END IF;
    INSERT INTO @.entries AS e VALUES (
        asked_id, at + life, asked_mark, asked_key, asked, asked_versions,
        born, fresh, stale, payload
    ) ON CONFLICT (id) DO UPDATE SET
        ends = excluded.ends, mark = excluded.mark, key = excluded.key,
        digests = excluded.digests, versions = excluded.versions, born = excluded.born,
        fresh = excluded.fresh, stale = excluded.stale, payload = excluded.payload;
    PERFORM @.keep(asked, at + life, life);
    PERFORM @.sweep_entries(at, asked_mark);
    RETURN NULL;
END
$$;

-- Takes entries away that have ended, or are of another incarnation.
CREATE FUNCTION @.sweep_entries(at bigint, mark text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM @.entries t WHERE t.id = ANY (ARRAY(
        SELECT l.id FROM @.entries l WHERE l.id = ANY (ARRAY(
            SELECT x.id FROM (
                SELECT s.id, s.ends, s.mark FROM @.entries s WHERE s.id > (SELECT ((random() - 0.5) * 1.8e19)::bigint)
                ORDER BY s.id LIMIT 8
            ) x WHERE x.ends <= at OR x.mark <> sweep_entries.mark
        )) AND (l.ends <= at OR l.mark <> sweep_entries.mark) FOR UPDATE SKIP LOCKED
    ));
END
$$;

CREATE FUNCTION @.remove(
    asked_id bigint, asked_key bytea, asked bigint[], patience text
) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
    state text;
BEGIN
    PERFORM @.ready(patience);
    state := (@.look(asked_id, asked_key, asked, false, patience)).state;
    DELETE FROM @.entries e WHERE e.id = asked_id AND e.key = asked_key;
    RETURN FOUND AND state = 'hit';
END
$$;

-- Gives an entry that holds new times, and so long to live; tells if there was one.
CREATE FUNCTION @.extend(
    asked_id bigint,
    asked_key bytea,
    asked bigint[],
    new_born double precision,
    new_fresh double precision,
    new_stale double precision,
    life bigint,
    patience text
) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
    seen @.found;
    own bigint[];
BEGIN
    PERFORM @.ready(patience);
    seen := @.look(asked_id, asked_key, asked, false, patience);
    IF seen.state <> 'hit' THEN
        RETURN false;
    END IF;
    UPDATE @.entries e
        SET ends = seen.at + life, born = new_born, fresh = new_fresh, stale = new_stale
        WHERE e.id = asked_id AND e.key = asked_key AND e.born = seen.born
            AND array_to_string(e.versions, ' ') = seen.versions
        RETURNING e.digests INTO own;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    PERFORM @.keep(own, seen.at + life, life);
    RETURN true;
END
$$;

-- Claims a load unless somebody has, and looks whether it was done meanwhile. Who finds a
-- claim only reads, however often.
CREATE FUNCTION @.claim(
    asked_id bigint,
    asked_key bytea,
    asked bigint[],
    asked_token text,
    lease bigint,
    patience text,
    OUT holder text,
    OUT seen @.found
) LANGUAGE plpgsql AS $$
BEGIN
    PERFORM @.ready(patience);
    seen := @.look(asked_id, asked_key, asked, true, patience);
    SELECT c.token INTO holder FROM @.claims c WHERE c.id = asked_id AND c.ends > seen.at;
    IF holder IS NULL AND seen.state <> 'hit' THEN
        INSERT INTO @.claims AS c VALUES (asked_id, seen.at + lease, asked_token)
            ON CONFLICT (id) DO UPDATE SET ends = excluded.ends, token = excluded.token
            WHERE c.ends <= seen.at
            RETURNING c.token INTO holder;
        IF holder IS NULL THEN
            SELECT c.token INTO holder FROM @.claims c WHERE c.id = asked_id;
        END IF;
        seen := @.look(asked_id, asked_key, asked, true, patience);
        PERFORM @.sweep_claims(seen.at); -- last: who waits for a claim has locked none
    END IF;
    holder := coalesce(holder, asked_token);
END
$$;

CREATE FUNCTION @.sweep_claims(at bigint) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM @.claims t WHERE t.id = ANY (ARRAY(
        SELECT l.id FROM @.claims l WHERE l.id = ANY (ARRAY(
            SELECT x.id FROM (
                SELECT * FROM @.claims s WHERE s.id > (SELECT ((random() - 0.5) * 1.8e19)::bigint)
                ORDER BY s.id LIMIT 8
            ) x WHERE x.ends <= at
        )) AND (l.ends <= at) FOR UPDATE SKIP LOCKED
    ));
END
$$;

CREATE FUNCTION @.release(asked_id bigint, asked_token text, patience text)
RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
    PERFORM @.ready(patience);
    DELETE FROM @.claims c
        WHERE c.id = asked_id AND c.token = asked_token AND c.ends > @.now();
    RETURN FOUND;
END
$$;
