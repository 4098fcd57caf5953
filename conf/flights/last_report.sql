-- For each moment of prediction the newest report on outcomes that had come in by then.
-- Reports come once a day; moments with none in the three days before get no row, and their
-- flights no history. Days bound the comparison: only equal days are joined. Outcomes reported more
-- than six days after their flight are left out, as in history.sql.
WITH reports AS (
  SELECT DISTINCT
    reported_at,
    date(reported_at) AS report_day
  FROM silver.outcomes
  WHERE
    flight_date BETWEEN :since - INTERVAL 12 DAYS AND :until
    AND reported_at < flight_date + INTERVAL 7 DAYS
),

moments AS (
  SELECT DISTINCT prediction_at
  FROM departures
),

moment_days AS (
  SELECT
    prediction_at,
    explode(
      sequence(date(prediction_at) - INTERVAL 3 DAYS, date(prediction_at), INTERVAL 1 DAY)
    ) AS report_day
  FROM moments
)

SELECT
  m.prediction_at,
  max(r.reported_at) AS known_at
FROM moment_days AS m
INNER JOIN reports AS r
  ON r.report_day = m.report_day AND r.reported_at <= m.prediction_at
GROUP BY m.prediction_at
