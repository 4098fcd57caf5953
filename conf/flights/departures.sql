-- The flights of the days asked for, one row each, and what their schedule alone says.
-- :since and :until are the first and last day, :timezone is the pipeline's.
--
-- A prediction is made two hours before departure, but not before the day's schedule has arrived:
-- flights that leave soon after midnight are predicted as it arrives. So all flights of the same day
-- are known by then, and counts of other departures hold none of another day.
WITH scheduled AS (
  SELECT
    *,
    greatest(sched_dep_at - INTERVAL 2 HOURS, available_at) AS prediction_at,
    from_utc_timestamp(sched_dep_at, :timezone) AS local_dep,
    sched_arr_time DIV 100 * 60 + sched_arr_time % 100 AS sched_arr_minute
  FROM silver.flights
  WHERE flight_date BETWEEN :since AND :until
),

of_origin AS (
  SELECT flight_date, origin, hour_at, count(*) AS departures
  FROM scheduled
  GROUP BY flight_date, origin, hour_at
),

of_city AS (
  SELECT flight_date, hour_at, sum(departures) AS departures
  FROM of_origin
  GROUP BY flight_date, hour_at
)

SELECT
  s.flight_date,
  s.carrier,
  s.flight,
  s.origin,
  s.dest,
  s.tailnum,
  s.distance,
  concat(s.origin, '-', s.dest) AS route,
  concat(s.carrier, s.flight) AS flight_number,
  s.prediction_at,
  date_trunc('HOUR', s.prediction_at) AS prediction_hour_at,
  hour(s.local_dep) AS sched_hour,
  hour(s.local_dep) * 60 + minute(s.local_dep) AS sched_minute,
  weekday(s.flight_date) + 1 AS day_of_week,
  dayofyear(s.flight_date) AS day_of_year,
  -- Both ends are local times. Where the destination's zone is unknown, it is taken as ours.
  pmod(
    s.sched_arr_minute - (hour(s.local_dep) * 60 + minute(s.local_dep)) - coalesce(
      timestampdiff(MINUTE, s.local_dep, from_utc_timestamp(s.sched_dep_at, there.tzone)), 0
    ),
    1440
  ) AS sched_duration,
  here.departures AS departures_same_hour,
  coalesce(earlier.departures, 0) AS departures_hour_before,
  coalesce(later.departures, 0) AS departures_hour_after,
  city.departures AS departures_city,
  -- What the same aircraft is to do earlier that day.
  if(s.tailnum IS NULL, NULL, count(*) OVER earlier_legs) AS legs_before,
  if(
    s.tailnum IS NULL,
    NULL,
    timestampdiff(MINUTE, max(s.sched_dep_at) OVER earlier_legs, s.sched_dep_at)
  ) AS minutes_since_leg
FROM scheduled AS s
LEFT JOIN silver.airports AS there
  ON there.faa = s.dest
LEFT JOIN of_origin AS here
  ON
    here.flight_date = s.flight_date
    AND here.origin = s.origin
    AND here.hour_at = s.hour_at
LEFT JOIN of_origin AS earlier
  ON
    earlier.flight_date = s.flight_date
    AND earlier.origin = s.origin
    AND earlier.hour_at = s.hour_at - INTERVAL 1 HOUR
LEFT JOIN of_origin AS later
  ON
    later.flight_date = s.flight_date
    AND later.origin = s.origin
    AND later.hour_at = s.hour_at + INTERVAL 1 HOUR
LEFT JOIN of_city AS city
  ON city.flight_date = s.flight_date AND city.hour_at = s.hour_at
WINDOW earlier_legs AS (
  PARTITION BY s.flight_date, s.tailnum
  ORDER BY s.sched_dep_at
  RANGE BETWEEN UNBOUNDED PRECEDING AND INTERVAL 1 MINUTE PRECEDING
)
