-- Names that could be taken once have become runs. These tables are logged: what has been done must
-- be remembered whatever happens.
drop table forewarm.claim;

-- The jobs. Instants are in microseconds since 1970: when a job was first met, the last instant of
-- which a run was taken, and the last of which the row has been removed.
create table forewarm.job (
    job text collate "C" primary key,
    since bigint not null,
    handled bigint,
    cut bigint not null default -9223372036854775808
) with (fillfactor = 50);

-- The runs, of all engines. `instant` is what a run is of, and no other one of the job. Leases, and
-- `until`, when the row may go, are in milliseconds since 1970, on the clock of the server.
create table forewarm.run (
    job text collate "C" not null,
    instant text collate "C" not null,
    scheduled bigint not null,
    is_due boolean not null,
    run_id bigint not null,
    reason text collate "C" not null,
    node bigint not null,
    permit bigint not null,
    lease_until bigint not null,
    started bigint not null,
    ended bigint,
    took_us bigint,
    attempts integer not null,
    outcome text collate "C",
    error text,
    until bigint not null,
    primary key (job, instant)
) with (fillfactor = 80, autovacuum_vacuum_scale_factor = 0.05);

create index run_scheduled on forewarm.run (job, scheduled desc);
create index run_open on forewarm.run (job) where outcome is null;
create index run_until on forewarm.run (until);

-- Takes a run: 'ours', 'theirs', 'busy' or 'early'. A function, since each of its statements sees what has
-- been committed until then, and so what others have done while it waited for the row of the job.
create function forewarm.take_run(
    asked forewarm.run, lease_for bigint, keep_for bigint, instances_max bigint, rows_max bigint,
    rows_since bigint, due_within bigint, ahead bigint, out taken text, out run_id bigint, out attempts_before integer
)
language plpgsql set search_path = '' as $$
declare
    found forewarm.run;
    last_cut bigint;
    leases bigint[];
    now bigint;
begin
    -- Most of those who come have been forestalled, and need no lock to see it.
    select * into found from forewarm.run as run
    where run.job = asked.job and run.instant = asked.instant;
    now := (extract(epoch from clock_timestamp()) * 1000)::bigint + ahead;
    if found.outcome is not null or found.permit <> asked.permit and found.lease_until > now then
        taken := 'theirs';
        return;
    end if;

    insert into forewarm.job as job (job, since) values (asked.job, asked.started)
    on conflict do nothing;
    select job.cut into last_cut from forewarm.job as job where job.job = asked.job for update;
    -- Whoever renews or ends one of these just now is waited for.
    select array_agg(open.lease_until) into leases
    from (
        select run.lease_until from forewarm.run as run
        where run.job = asked.job and run.outcome is null and run.instant <> asked.instant
        for update
    ) as open;
    select * into found from forewarm.run as run
    where run.job = asked.job and run.instant = asked.instant
    for update;
    now := (extract(epoch from clock_timestamp()) * 1000)::bigint + ahead;

    if found.outcome is not null
        or found.permit <> asked.permit and found.lease_until > now
        or found.job is null and asked.is_due and asked.scheduled <= last_cut
    then
        taken := 'theirs';
        return;
    end if;
    if found.job is null and asked.is_due and asked.scheduled / 1000 > now + due_within then
        taken := 'early';
        return;
    end if;
    if (found.permit = asked.permit and found.lease_until > now) is not true
        and instances_max <= (select count(*) from unnest(leases) as lease where lease > now)
    then
        taken := 'busy';
        return;
    end if;

    taken := 'ours';
    run_id := coalesce(found.run_id, asked.run_id);
    attempts_before := case
        when found.job is null then 0
        when found.permit = asked.permit then found.attempts - 1
        else found.attempts
    end;
    insert into forewarm.run as run (
        job, instant, scheduled, is_due, run_id, reason, node, permit, lease_until, started,
        attempts, until
    )
    values (
        asked.job, asked.instant, asked.scheduled, asked.is_due, asked.run_id, asked.reason,
        asked.node, asked.permit, now + lease_for, asked.started, 1, now + keep_for
    )
    on conflict (job, instant) do update
    set node = excluded.node,
        permit = excluded.permit,
        lease_until = excluded.lease_until,
        attempts = take_run.attempts_before + 1,
        until = excluded.until;
    update forewarm.job as job
    set handled = greatest(job.handled, asked.scheduled)
    where job.job = asked.job and asked.is_due
        and (job.handled is null or job.handled < asked.scheduled);
    perform forewarm.cut_runs(asked.job, rows_max, rows_since);
end
$$;

-- Removes the oldest rows of a job beyond so many, but for what was due after `since`, and notes up to
-- where.
create function forewarm.cut_runs(cut_job text, rows_max bigint, since bigint) returns void
language plpgsql set search_path = '' as $$
declare
    first bigint;
begin
    select run.scheduled into first from forewarm.run as run
    where run.job = cut_job
    order by run.scheduled desc
    limit 1 offset rows_max;
    if first is null then
        return;
    end if;
    with removed as (
        delete from forewarm.run as run
        where run.job = cut_job and run.scheduled <= least(first, since)
            and run.outcome is not null
        returning run.scheduled, run.is_due
    )
    update forewarm.job as job
    set cut = greatest(job.cut, (select max(scheduled) from removed where is_due))
    where job.job = cut_job;
end
$$;
