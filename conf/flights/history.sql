-- How late flights had been of late: by carrier, origin, destination, route, flight number,
-- aircraft, and over all. One row for each value and report (`known_at`) that a flight asks for.
--
-- Windows hold the last 1, 7 and 28 daily reports. They are counted back from `known_at`, two
-- hours short of whole days, so that a change of clocks moves no report in or out.
-- An outcome reported more than six days after its flight does not count, whatever the days asked
-- for: so forty days of flights hold all that their windows can need.
-- A rate or mean over few flights is drawn towards that of all flights (as if ten more had been
-- seen), and equals it where there were none.
WITH reported AS (
  SELECT
    o.reported_at AS known_at,
    f.carrier,
    f.origin,
    f.dest,
    f.tailnum,
    concat(f.origin, '-', f.dest) AS route,
    concat(f.carrier, f.flight) AS flight_number,
    1 AS flights,
    int(o.arr_delay >= 15) AS late,
    -- One flight of fifteen hours' delay says no more than one of three.
    least(greatest(o.arr_delay, -30), 180) AS delay,
    o.air_time,
    int(o.dep_time IS NULL) AS cancelled
  FROM silver.outcomes AS o
  INNER JOIN silver.flights AS f
    ON
      f.flight_date = o.flight_date
      AND f.carrier = o.carrier
      AND f.flight = o.flight
      AND f.origin = o.origin
  WHERE
    o.flight_date BETWEEN :since - INTERVAL 40 DAYS AND :until
    AND f.flight_date BETWEEN :since - INTERVAL 40 DAYS AND :until
    AND o.reported_at < o.flight_date + INTERVAL 7 DAYS
),

-- What is asked for: the flights to predict, with nothing to add to any sum.
asked AS (
  SELECT
    r.known_at,
    d.carrier,
    d.origin,
    d.dest,
    d.tailnum,
    d.route,
    d.flight_number
  FROM departures AS d
  INNER JOIN last_report AS r
    ON r.prediction_at = d.prediction_at
),

both AS (
  SELECT *, false AS is_asked
  FROM reported
  UNION ALL
  SELECT *, 0 AS flights, NULL AS late, NULL AS delay, NULL AS air_time, 0 AS cancelled, true AS is_asked
  FROM asked
),

-- One row for each value and report, and for each value and moment asked for.
in_order AS (
  SELECT
    kind,
    value,
    known_at,
    bool_or(is_asked) AS is_asked,
    sum(flights) AS flights,
    count(late) AS arrived,
    coalesce(sum(late), 0) AS late,
    coalesce(sum(delay), 0) AS delay,
    coalesce(sum(air_time), 0) AS air_time,
    sum(cancelled) AS cancelled
  FROM both
  LATERAL VIEW stack(
    7,
    'all', 'all',
    'carrier', carrier,
    'origin', origin,
    'dest', dest,
    'route', route,
    'flight_number', flight_number,
    'tailnum', tailnum
  ) AS kind, value
  WHERE value IS NOT NULL
  GROUP BY kind, value, known_at
),

summed AS (
  SELECT
    kind,
    value,
    known_at,
    is_asked,
    sum(arrived) OVER last_1 AS arrived_1d,
    sum(late) OVER last_1 AS late_1d,
    sum(delay) OVER last_1 AS delay_1d,
    sum(arrived) OVER last_7 AS arrived_7d,
    sum(late) OVER last_7 AS late_7d,
    sum(delay) OVER last_7 AS delay_7d,
    sum(arrived) OVER last_28 AS arrived_28d,
    sum(late) OVER last_28 AS late_28d,
    sum(delay) OVER last_28 AS delay_28d,
    try_divide(sum(cancelled) OVER last_1, sum(flights) OVER last_1) AS cancelled_rate_1d,
    try_divide(sum(cancelled) OVER last_7, sum(flights) OVER last_7) AS cancelled_rate_7d,
    try_divide(sum(air_time) OVER last_28, sum(arrived) OVER last_28) AS mean_air_time_28d
  FROM in_order
  WINDOW
    last_1 AS (
      PARTITION BY kind, value
      ORDER BY unix_seconds(known_at) RANGE BETWEEN 79200 PRECEDING AND CURRENT ROW
    ),
    last_7 AS (
      PARTITION BY kind, value
      ORDER BY unix_seconds(known_at) RANGE BETWEEN 597600 PRECEDING AND CURRENT ROW
    ),
    last_28 AS (
      PARTITION BY kind, value
      ORDER BY unix_seconds(known_at) RANGE BETWEEN 2412000 PRECEDING AND CURRENT ROW
    )
),

asked_for AS (
  SELECT * EXCEPT (is_asked)
  FROM summed
  WHERE is_asked
),

overall AS (
  SELECT
    known_at,
    try_divide(late_1d, arrived_1d) AS late_rate_1d,
    try_divide(late_7d, arrived_7d) AS late_rate_7d,
    try_divide(late_28d, arrived_28d) AS late_rate_28d,
    try_divide(delay_1d, arrived_1d) AS mean_delay_1d,
    try_divide(delay_7d, arrived_7d) AS mean_delay_7d,
    try_divide(delay_28d, arrived_28d) AS mean_delay_28d
  FROM asked_for
  WHERE kind = 'all'
)

SELECT
  a.kind,
  a.value,
  a.known_at,
  a.arrived_28d AS flights_28d,
  (a.late_1d + 10 * o.late_rate_1d) / (a.arrived_1d + 10) AS late_rate_1d,
  (a.late_7d + 10 * o.late_rate_7d) / (a.arrived_7d + 10) AS late_rate_7d,
  (a.late_28d + 10 * o.late_rate_28d) / (a.arrived_28d + 10) AS late_rate_28d,
  (a.delay_1d + 10 * o.mean_delay_1d) / (a.arrived_1d + 10) AS mean_delay_1d,
  (a.delay_7d + 10 * o.mean_delay_7d) / (a.arrived_7d + 10) AS mean_delay_7d,
  (a.delay_28d + 10 * o.mean_delay_28d) / (a.arrived_28d + 10) AS mean_delay_28d,
  a.cancelled_rate_1d,
  a.cancelled_rate_7d,
  a.mean_air_time_28d
FROM asked_for AS a
INNER JOIN overall AS o
  ON o.known_at = a.known_at
