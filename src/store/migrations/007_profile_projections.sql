-- Sums of profiles that the engine keeps beside the rows of each part, for questions about long times. What was written
-- before has none and is read row by row, as it always was: nothing is computed at the start.

-- What each process cost. 100 processes of 240 windows an hour, a day: 13.7 M rows of a type; 14 k here.
ALTER TABLE profile_samples
    ADD PROJECTION IF NOT EXISTS by_process
    (
        SELECT service, type, toStartOfTenMinutes(ts), resource_id, version, sum(value), min(ts), max(ts)
        GROUP BY service, type, toStartOfTenMinutes(ts), resource_id, version
    );

-- Rows of profile_steps are summed when parts are merged; their projections are made anew then, also for parts without.
ALTER TABLE profile_steps
    MODIFY SETTING deduplicate_merge_projection_mode = 'rebuild';

-- Stacks over hours, without threads: what a flame graph of a day is merged from. A twentieth of the rows of profile_steps.
ALTER TABLE profile_steps
    ADD PROJECTION IF NOT EXISTS by_hour
    (
        SELECT service, type, toStartOfHour(ts), version, endpoint, stack_id, sum(value)
        GROUP BY service, type, toStartOfHour(ts), version, endpoint, stack_id
    );

-- Without stacks: lines over time, and what versions, endpoints and threads there are.
ALTER TABLE profile_steps
    ADD PROJECTION IF NOT EXISTS by_kind
    (
        SELECT service, type, ts, version, endpoint, thread, unit, sum(value)
        GROUP BY service, type, ts, version, endpoint, thread, unit
    );
