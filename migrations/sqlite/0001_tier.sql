-- One row: which making of the file this is, and how often something has been invalidated.
create table forewarm_meta (
    id integer primary key not null check (id = 1),
    incarnation integer not null,
    sequence integer not null
) strict;

insert into forewarm_meta (id, incarnation, sequence) values (1, random(), 0);

-- The values. Times are in milliseconds since 1970. `resource` is the key up to its second `:`.
create table forewarm_entry (
    key text primary key not null,
    value blob not null,
    session integer not null,
    sequence integer not null,
    loaded_at integer not null,
    fresh_until integer not null,
    keep_until integer not null,
    resource text not null generated always as (
        substr(key, 1, instr(key, ':') + instr(substr(key, instr(key, ':') + 1), ':') - 1)
    ) virtual
) strict;

create index forewarm_entry_keep_until on forewarm_entry (keep_until);

-- The rights to fill a key, each with the sequence at which it was given.
create table forewarm_permit (
    key text primary key not null,
    permit integer not null,
    until integer not null,
    sequence integer not null,
    resource text not null generated always as (
        substr(key, 1, instr(key, ':') + instr(substr(key, instr(key, ':') + 1), ':') - 1)
    ) virtual
) strict, without rowid;

create index forewarm_permit_until on forewarm_permit (until);

-- The resources that have been invalidated as a whole. What was loaded at a lower sequence is void.
create table forewarm_epoch (
    selector text primary key not null,
    sequence integer not null
) strict, without rowid;
