-- One row: which use of the file this is, the last sequence of the log, up to where the log has
-- been cut, and the highest sequence in forewarm_epoch.
create table forewarm_meta (
    id integer primary key not null check (id = 1),
    session integer not null,
    sequence integer not null,
    cut integer not null,
    last_epoch integer not null
) strict;

insert into forewarm_meta (id, session, sequence, cut, last_epoch) values (1, random(), 0, 0, 0);

-- The values. Times are in milliseconds since 1970. `tags` is a list in JSON, `sequence` that at
-- which the load began, `resource` the key up to its second `:`.
create table forewarm_entry (
    key text primary key not null,
    session integer not null,
    sequence integer not null,
    loaded_at integer not null,
    fresh_until integer not null,
    keep_until integer not null,
    tags text not null,
    value blob not null,
    resource text not null generated always as (
        substr(key, 1, instr(key, ':') + instr(substr(key, instr(key, ':') + 1), ':') - 1)
    ) virtual
) strict;

create index forewarm_entry_keep_until on forewarm_entry (keep_until);

-- For what is void, and for the oldest: see forewarm_epoch.
create index forewarm_entry_sequence on forewarm_entry (resource, sequence);

-- The rights to fill a key, each with the sequence at which it was given, and the least version
-- that the value must have: see forewarm_lag.
create table forewarm_permit (
    key text primary key not null,
    permit integer not null,
    until integer not null,
    sequence integer not null,
    min_version text not null,
    resource text not null generated always as (
        substr(key, 1, instr(key, ':') + instr(substr(key, instr(key, ':') + 1), ':') - 1)
    ) virtual
) strict, without rowid;

create index forewarm_permit_until on forewarm_permit (until);

-- What has been invalidated as a group, of each resource: the whole of it, values with a tag, or
-- keys that match a pattern. What was loaded at a lower sequence is void. A row goes when nothing
-- is left that is older.
create table forewarm_epoch (
    resource text not null,
    kind text not null check (kind in ('resource', 'tag', 'pattern')),
    detail text not null,
    glob text not null,
    sequence integer not null,
    primary key (resource, kind, detail)
) strict, without rowid;

-- The values that have not been invalidated as a part of a group.
create view forewarm_standing_entry as
select entry.*
from forewarm_entry as entry
where entry.sequence >= (select last_epoch from forewarm_meta)
   or not exists (
        select 1 from forewarm_epoch as epoch
        where epoch.resource = entry.resource
          and epoch.kind = 'resource'
          and epoch.sequence > entry.sequence
    )
    and not exists (
        select 1 from forewarm_epoch as epoch
        where epoch.resource = entry.resource
          and epoch.kind = 'pattern'
          and epoch.sequence > entry.sequence
          and entry.key glob epoch.glob
    )
    and not exists (
        select 1
        from json_each(entry.tags) as tag
        cross join forewarm_epoch as epoch
        where epoch.resource = entry.resource
          and epoch.kind = 'tag'
          and epoch.detail = tag.value
          and epoch.sequence > entry.sequence
    );

-- The permits that have not been voided as a part of a group. Which tags the value will have, only
-- its fill tells.
create view forewarm_standing_permit as
select permit.*
from forewarm_permit as permit
where permit.sequence >= (select last_epoch from forewarm_meta)
   or not exists (
        select 1 from forewarm_epoch as epoch
        where epoch.resource = permit.resource
          and epoch.kind = 'resource'
          and epoch.sequence > permit.sequence
    )
    and not exists (
        select 1 from forewarm_epoch as epoch
        where epoch.resource = permit.resource
          and epoch.kind = 'pattern'
          and epoch.sequence > permit.sequence
          and permit.key glob epoch.glob
    );

-- The keys whose source lags behind. A version is 16 hexadecimal digits; `none` comes after all of
-- them, since no version is known to be new enough.
create table forewarm_lag (
    key text primary key not null,
    until integer not null,
    min_version text not null
) strict, without rowid;

-- The log: what was changed, by which engine, and what was known of the source. `subject` is a key
-- or a resource, `detail` the tag or the pattern. A lag of 0 ms is none.
create table forewarm_change (
    sequence integer primary key not null,
    node integer not null,
    kind text not null,
    subject text not null,
    detail text not null,
    lag_ms integer not null,
    min_version text not null,
    changed_at integer not null
) strict;

create index forewarm_change_subject on forewarm_change (subject, sequence);

-- The keys that are read most on each engine.
create table forewarm_hot (
    resource text not null,
    node integer not null,
    key text not null,
    score real not null,
    until integer not null,
    primary key (resource, node, key)
) strict, without rowid;

-- The names that have been taken.
create table forewarm_claim (
    name text primary key not null,
    until integer not null
) strict, without rowid;
