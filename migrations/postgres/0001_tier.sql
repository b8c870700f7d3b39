-- All but the claims is unlogged. A cache that is written ahead to the log would slow the database
-- and its copies down; and after a crash, on a copy that has been promoted, and in a database that
-- was brought back from a backup, unlogged tables are empty. That is what a cache must be then,
-- since it cannot know which invalidations were lost. A new row in `meta` tells everybody.
--
-- Times are in milliseconds since 1970, on the clock of the server.

-- One row: which life of the tables this is.
create unlogged table forewarm.meta (
    id smallint primary key check (id = 1),
    incarnation bigint not null,
    begun_at bigint not null,
    -- Of the server, the database and this table: a dump that is read in elsewhere keeps the row.
    identity text not null,
    -- The log may lack what had been committed in this snapshot.
    cut pg_snapshot not null default '1:1:',
    -- Values that were invalidated by then are being removed, so that the log can be cut there;
    -- and how far that has come.
    walk pg_snapshot,
    walked_to bytea
);

-- The starts of the server in which this life was used, in microseconds since 1970. If one is
-- missing that somebody remembers, the data have gone back to what they were before it.
create unlogged table forewarm.boot (
    at bigint primary key
);

-- The values, and the rights to fill them. A value is void, and so is a permit, if the log has a
-- change of one of its targets that had not been committed when the permit was given: `seen` and
-- `permit_seen` are the snapshots of that moment. So nobody has to wait for anybody, not even for
-- a transaction of an application that has invalidated a key and is not committed yet.
--
-- A key may be longer than an index can hold, hence the digest.
create unlogged table forewarm.entry (
    digest bytea primary key,
    key text collate "C" not null,
    value bytea,
    tags text[] collate "C" not null default '{}',
    targets bigint[] not null,
    loaded_at bigint not null,
    fresh_until bigint not null,
    keep_until bigint not null,
    seen pg_snapshot,
    permit bigint,
    permit_since bigint,
    permit_until bigint,
    permit_seen pg_snapshot,
    -- When neither the value nor the permit is of any more use.
    ends_at bigint not null
) with (fillfactor = 80, autovacuum_vacuum_scale_factor = 0.05);

-- Values come compressed, if at all.
alter table forewarm.entry alter column value set storage external;

create index entry_ends_at on forewarm.entry (ends_at);

-- The log: what was invalidated, put or expired. Only inserted into, so that two transactions
-- never meet in it.
create unlogged table forewarm.change (
    -- A random number, which no other change has, of whatever life.
    id bigint not null,
    -- The order in which transactions begin is not that in which they end: a reader stands at a
    -- snapshot, not at a number.
    xid xid8 not null default pg_current_xact_id(),
    -- Who made it.
    by bigint not null,
    kind text not null,
    subject text collate "C" not null,
    detail text collate "C" not null default '',
    -- For `like`, on the full key.
    likeness text collate "C",
    target bigint not null,
    lag_ms bigint,
    min_version bigint,
    at bigint not null
) with (autovacuum_vacuum_scale_factor = 0.05);

create index change_target on forewarm.change (target, xid);
create index change_xid on forewarm.change (xid);

-- Keys whose source lags behind: what is loaded meanwhile is refused, but for what is of this
-- version or a later one. It counts from the commit, however long the transaction has been open
-- since it was noted. Rows are only inserted here as well.
create unlogged table forewarm.lag (
    target bigint not null,
    at bigint not null,
    until bigint not null,
    min_version bigint
);

create index lag_target on forewarm.lag (target);
create index lag_until on forewarm.lag (until);

create function forewarm.note_lag() returns trigger
language plpgsql security definer set search_path = '' as $$
declare
    at bigint := greatest(new.at, (extract(epoch from clock_timestamp()) * 1000)::bigint);
begin
    insert into forewarm.lag (target, at, until, min_version)
    values (new.target, at, at + new.lag_ms, new.min_version);
    return null;
end
$$;

create constraint trigger change_note_lag after insert on forewarm.change
deferrable initially deferred
for each row when (new.lag_ms is not null)
execute function forewarm.note_lag();

-- What had been committed at times past: where the log may be cut.
create unlogged table forewarm.milestone (
    at bigint primary key,
    seen pg_snapshot not null
);

-- The keys that are read most, as one engine notes them of a resource.
create unlogged table forewarm.hot (
    resource text collate "C" not null,
    node bigint not null,
    keys text[] collate "C" not null,
    scores double precision[] not null,
    until bigint not null,
    primary key (resource, node)
);

-- Names that have been taken. What came of one must be remembered whatever happens.
create table forewarm.claim (
    digest bytea primary key,
    until bigint not null
);

create index claim_until on forewarm.claim (until);

-- What a change touches, as a number. Two that are the same by chance void too much, never too
-- little. What was put or expired does not void by its target: the row itself has been changed.
create function forewarm.target(kind text, subject text, detail text) returns bigint
language plpgsql immutable as $$
begin
    return case kind
        when 'key' then hashtextextended(subject collate "C", 0)
        when 'resource' then hashtextextended(subject collate "C", 1)
        when 'tag' then hashtextextended(detail collate "C", hashtextextended(subject collate "C", 2))
        when 'pattern' then hashtextextended(subject collate "C", 3)
        else hashtextextended(subject collate "C", 4)
    end;
end
$$;

-- The targets of a key: itself, its resource, the patterns of that, and its tags.
create function forewarm.targets(key text, tags text[]) returns bigint[]
language plpgsql immutable as $$
declare
    resource text := split_part(key, ':', 1) || ':' || split_part(key, ':', 2);
    found bigint[] := array[
        forewarm.target('key', key, ''),
        forewarm.target('resource', resource, ''),
        forewarm.target('pattern', resource, '')
    ];
    tag text;
begin
    foreach tag in array tags loop
        found := found || forewarm.target('tag', resource, tag);
    end loop;
    return found;
end
$$;

-- Whether everything that had been committed in the one snapshot had been so in the other.
create function forewarm.covers(later pg_snapshot, earlier pg_snapshot) returns boolean
language plpgsql immutable as $$
begin
    return pg_snapshot_xmax(later) >= pg_snapshot_xmax(earlier)
        and not exists (
            select 1 from pg_snapshot_xip(later) as open
            where pg_visible_in_snapshot(open, earlier)
        );
end
$$;
