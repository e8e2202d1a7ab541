-- Changing tags: one change at a time. Each is a function, called in a transaction of its
-- own, that first locks the incarnation's row (`enter`); what it does then, each statement
-- in a snapshot of its own, comes after all that others did who had the lock before.

-- Nothing here is right in one snapshot for all statements; and who waits for a lock is
-- gone once its time is over.
CREATE FUNCTION @.ready(patience text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    IF current_setting('transaction_isolation') <> 'read committed' THEN
        RAISE EXCEPTION 'the cache changes nothing but at READ COMMITTED'
            USING ERRCODE = 'YC001';
    END IF;
    PERFORM set_config('lock_timeout', patience, true);
END
$$;

-- Fences may have been lost with an older incarnation: who makes tags until `young` fences
-- them, and living writers put theirs back within that time.
CREATE FUNCTION @.enter(
    patience text, lease bigint, OUT origin text, OUT young bigint, OUT at bigint
) LANGUAGE plpgsql AS $$
DECLARE
    was text;
BEGIN
    PERFORM @.ready(patience);
    LOOP
        SELECT t.version, t.ends, t.home INTO origin, young, was
            FROM @.tags t WHERE t.digest = -1 FOR UPDATE;
        EXIT WHEN was = @.here();
        INSERT INTO @.tags AS t (digest, version, ends, home) VALUES (
            -1,
            left(translate(encode(uuid_send(gen_random_uuid()), 'base64'), '+/', '-_'), 16),
            @.now(),
            @.here()
        ) ON CONFLICT (digest) DO UPDATE
            SET version = excluded.version, ends = excluded.ends, home = excluded.home
            WHERE t.home IS DISTINCT FROM excluded.home;
        IF FOUND THEN
            PERFORM @.begin_folds();
        END IF;
    END LOOP;
    at := @.now();
    young := least(young, at) + lease;
END
$$;

-- Only between `enter` and the end of its transaction: so numbers become visible in the
-- order in which they are drawn.
CREATE FUNCTION @.draw(origin text) RETURNS text LANGUAGE sql VOLATILE AS $$
    SELECT origin || '.' || nextval('@.numbers')
$$;

-- Whether what a tag has was written here.
CREATE FUNCTION @.is_ours(version text, fences @.listed[]) RETURNS boolean
LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
    IF version !~ '^[A-Za-z0-9_-]{16}[.][0-9]+$' THEN
        RETURN false;
    END IF;
    RETURN fences IS NULL OR cardinality(fences) > 0 AND NOT EXISTS (
        SELECT FROM unnest(fences) f
        WHERE f.token IS NULL OR f.deadline IS NULL OR f.owner IS NULL);
END
$$;

-- Reads a tag, and what it is: `ours`, `old` (of another incarnation), `foreign`, or
-- `lost`. One that has ended but is still there is lost, and has a version.
CREATE FUNCTION @.take(
    asked bigint, origin text, at bigint,
    OUT version text, OUT fences @.listed[], OUT kind text
) LANGUAGE plpgsql AS $$
BEGIN
    SELECT t.version, t.fences,
        CASE WHEN t.ends <= at THEN 'lost'
             WHEN NOT @.is_ours(t.version, t.fences) THEN 'foreign'
             WHEN starts_with(t.version, left(origin, 8)) THEN 'ours'
             ELSE 'old' END
        INTO version, fences, kind
        FROM @.tags t WHERE t.digest = asked FOR UPDATE;
    kind := coalesce(kind, 'lost');
    IF kind IN ('lost', 'foreign') THEN
        fences := NULL;
    END IF;
END
$$;

CREATE FUNCTION @.has(fences @.listed[], token text) RETURNS boolean
LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
    RETURN EXISTS (SELECT FROM unnest(fences) f WHERE f.token = has.token);
END
$$;

-- Leaves out a fence, and the one for lost fences ('0') once its time is over.
CREATE FUNCTION @.without(fences @.listed[], token text, at bigint) RETURNS @.listed[]
LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
    RETURN (
        SELECT array_agg((f.token, f.deadline, f.owner)::@.listed) FROM unnest(fences) f
        WHERE f.token <> without.token AND (f.token <> '0' OR f.deadline > at)
    );
END
$$;

-- Fences a tag whose fences may be lost, from what it is.
CREATE FUNCTION @.doubt(
    fences @.listed[], kind text, at bigint, lease bigint, young bigint
) RETURNS @.listed[] LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE
    until bigint := CASE kind WHEN 'ours' THEN 0 WHEN 'foreign' THEN at + lease ELSE young END;
BEGIN
    IF kind = 'old' THEN
        -- the clock may be another one
        fences := (SELECT array_agg((f.token, least(f.deadline, at + lease), f.owner)::@.listed)
            FROM unnest(fences) f);
    END IF;
    IF until <= at
        OR EXISTS (SELECT FROM unnest(fences) f WHERE f.token = '0' AND f.deadline >= until)
    THEN
        RETURN fences;
    END IF;
    RETURN @.without(fences, '0', at) || ('0', until, '')::@.listed;
END
$$;

-- Writes a tag: for good while a writer's fence is up, else for so long.
CREATE FUNCTION @.put(
    asked bigint, version text, fences @.listed[], at bigint, life bigint
) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    until bigint := at + life;
BEGIN
    IF fences IS NOT NULL THEN
        SELECT CASE WHEN bool_or(f.token <> '0') THEN 1::bigint << 62
                    ELSE greatest(at, max(f.deadline)) + life END
            INTO until FROM unnest(fences) f;
    END IF;
    INSERT INTO @.tags AS t (digest, version, fences, ends)
        VALUES (asked, version, fences, until)
        ON CONFLICT (digest) DO UPDATE
        SET version = excluded.version, fences = excluded.fences, ends = excluded.ends;
END
$$;

-- Takes tags away that have ended, among a few somewhere: not those that are in use.
CREATE FUNCTION @.sweep(at bigint) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM @.tags t WHERE t.digest = ANY (ARRAY(
        SELECT l.digest FROM @.tags l WHERE l.digest = ANY (ARRAY(
            SELECT x.digest FROM (
                SELECT * FROM @.tags s WHERE s.digest > (SELECT (random() * (1::bigint << 48))::bigint)
                ORDER BY s.digest LIMIT 8
            ) x WHERE x.ends <= at
        )) AND (l.ends <= at) FOR UPDATE SKIP LOCKED
    ));
END
$$;

CREATE FUNCTION @.fence(
    asked bigint[], token text, owner text, lease bigint, patience text, OUT version text
) LANGUAGE plpgsql AS $$
DECLARE
    entered record;
    tag record;
    digest bigint;
BEGIN
    entered := @.enter(patience, lease);
    version := @.draw(entered.origin);
    FOREACH digest IN ARRAY asked LOOP
        tag := @.take(digest, entered.origin, entered.at);
        PERFORM @.put(digest, version,
            @.doubt(@.without(tag.fences, token, entered.at), tag.kind, entered.at, lease, entered.young)
                || (token, entered.at + lease, owner)::@.listed,
            entered.at, lease);
    END LOOP;
    PERFORM @.sweep(entered.at);
END
$$;

-- Bumps tags, and takes a fence down if there is a token. A tag that isn't there needs
-- nothing: what carries it is unservable. One that has ended but is still there gets a new
-- version: who stores something under the old one just now makes it live longer.
CREATE FUNCTION @.lift(
    asked bigint[], token text, lease bigint, patience text,
    OUT version text, OUT missing integer
) LANGUAGE plpgsql AS $$
DECLARE
    entered record;
    tag record;
    digest bigint;
BEGIN
    entered := @.enter(patience, lease);
    version := @.draw(entered.origin);
    missing := 0;
    FOREACH digest IN ARRAY asked LOOP
        tag := @.take(digest, entered.origin, entered.at);
        IF NOT @.has(tag.fences, token) THEN
            missing := missing + 1;
        END IF;
        IF tag.version IS NOT NULL THEN
            PERFORM @.put(digest, version,
                @.doubt(@.without(tag.fences, token, entered.at), tag.kind, entered.at, lease, entered.young),
                entered.at, lease);
        END IF;
    END LOOP;
    PERFORM @.sweep(entered.at);
END
$$;

CREATE FUNCTION @.renew(
    asked bigint[], token text, owner text, lease bigint, patience text, OUT lost integer
) LANGUAGE plpgsql AS $$
DECLARE
    entered record;
    tag record;
    digest bigint;
    fresh text;
BEGIN
    entered := @.enter(patience, lease);
    lost := 0;
    FOREACH digest IN ARRAY asked LOOP
        tag := @.take(digest, entered.origin, entered.at);
        IF tag.kind <> 'ours' OR NOT @.has(tag.fences, token) THEN
            lost := lost + 1;
            fresh := coalesce(fresh, @.draw(entered.origin));
            tag.version := fresh;
            tag.fences := @.doubt(tag.fences, tag.kind, entered.at, lease, entered.young);
        END IF;
        PERFORM @.put(digest, tag.version,
            @.without(tag.fences, token, entered.at) || (token, entered.at + lease, owner)::@.listed,
            entered.at, lease);
    END LOOP;
    PERFORM @.sweep(entered.at);
END
$$;

-- Takes a fence down, with a bump, whose deadline is past: `1` for each tag where it was.
CREATE FUNCTION @.adopt(
    asked bigint[], token text, grace bigint, lease bigint, patience text, OUT done text
) LANGUAGE plpgsql AS $$
DECLARE
    entered record;
    tag record;
    digest bigint;
    fresh text;
BEGIN
    entered := @.enter(patience, lease);
    done := '';
    FOREACH digest IN ARRAY asked LOOP
        tag := @.take(digest, entered.origin, entered.at);
        IF EXISTS (SELECT FROM unnest(tag.fences) f
            WHERE f.token = adopt.token AND f.deadline + grace <= entered.at)
        THEN
            fresh := coalesce(fresh, @.draw(entered.origin));
            PERFORM @.put(digest, fresh,
                @.doubt(@.without(tag.fences, token, entered.at), tag.kind, entered.at, lease, entered.young),
                entered.at, lease);
            done := done || '1';
        ELSE
            done := done || '0';
        END IF;
    END LOOP;
    PERFORM @.sweep(entered.at);
END
$$;

-- Takes the versions of tags. The counter is read before them. What was said is folded
-- first; tags that aren't there are made, and the fence for lost ones is ended when its
-- time is over.
CREATE FUNCTION @.stamp(
    asked bigint[], life bigint, lease bigint, patience text,
    OUT at bigint, OUT mark text, OUT counter text, OUT made text, OUT tags text
) LANGUAGE plpgsql AS $$
DECLARE
    entered record;
    tag record;
    fresh text;
    kept @.listed[];
    whole boolean;
    said bigint[];
BEGIN
    PERFORM @.ready(patience);
    counter := @.note(patience);
    mark := left(counter, 8);
    at := @.now();
    said := @.unfolded();
    SELECT string_agg(t.version || coalesce(' ' || to_json(t.fences), ''), E'\n'
               ORDER BY v.place),
           coalesce(bool_and((t.ends > at AND starts_with(t.version, mark)
               AND @.is_ours(t.version, t.fences)
               AND NOT EXISTS (SELECT FROM unnest(t.fences) f
                               WHERE f.token = '0' AND f.deadline <= at)) IS TRUE), true)
        INTO tags, whole
        FROM unnest(asked) WITH ORDINALITY AS v (digest, place)
        LEFT JOIN @.tags t ON t.digest = v.digest;
    IF whole AND mark IS NOT NULL AND said IS NULL THEN
        RETURN;
    END IF;
    entered := @.enter(patience, lease);
    PERFORM @.fold_in(entered.origin, entered.at, entered.young, lease, asked);
    counter := entered.origin || '.' || @.drawn();
    mark := left(counter, 8);
    at := entered.at;
    FOR place IN 1 .. cardinality(asked) LOOP
        tag := @.take(asked[place], entered.origin, entered.at);
        kept := @.without(tag.fences, '', entered.at);
        CONTINUE WHEN tag.kind = 'ours'
            AND cardinality(kept) IS NOT DISTINCT FROM cardinality(tag.fences);
        IF tag.kind = 'lost' THEN
            made := concat_ws(' ', made, place - 1);
        END IF;
        fresh := coalesce(fresh, @.draw(entered.origin));
        PERFORM @.put(asked[place], fresh,
            @.doubt(kept, tag.kind, entered.at, lease, entered.young), entered.at, life);
    END LOOP;
    PERFORM @.sweep(entered.at);
    tags := @.states(asked, entered.at, NULL);
END
$$;
