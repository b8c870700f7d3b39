-- Names that could be taken once have become runs.
drop table forewarm_claim;

-- The jobs. Instants are in microseconds since 1970: when a job was first met, the last instant of
-- which a run was taken, and the last of which the row has been removed.
create table forewarm_job (
    job text primary key not null,
    since integer not null,
    handled integer,
    cut integer not null
) strict, without rowid;

-- The runs, of all engines. `instant` is what a run is of, and no other one of the job. Leases, and
-- `until`, when the row may go, are in milliseconds since 1970, on the wall clock: all processes that
-- share the file agree on it, whenever they were started.
create table forewarm_run (
    job text not null,
    instant text not null,
    scheduled integer not null,
    is_due integer not null,
    run_id integer not null,
    reason text not null,
    node integer not null,
    permit integer not null,
    lease_until integer not null,
    started integer not null,
    ended integer,
    took_us integer,
    attempts integer not null,
    outcome text,
    error text,
    until integer not null,
    primary key (job, instant)
) strict, without rowid;

create index forewarm_run_scheduled on forewarm_run (job, scheduled desc);
create index forewarm_run_open on forewarm_run (job, lease_until) where outcome is null;
create index forewarm_run_until on forewarm_run (until);
