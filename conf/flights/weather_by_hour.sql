-- For each airport and full hour the observations known by then: the last one, and the six hours
-- up to it. An observation is known an hour after it was made.
-- Exploding each observation to the six hours it serves makes the join with flights one on
-- equality, where a range join would compare every flight with every observation.
WITH observed AS (
  SELECT
    *,
    -- Up to the next full hour: at the hour itself nothing younger may be used.
    date_trunc('HOUR', observed_at + INTERVAL 1 HOUR + INTERVAL 3599 SECONDS) AS known_at
  FROM silver.weather
  WHERE
    observed_at >= :since - INTERVAL 1 DAY
    AND observed_at < :until + INTERVAL 3 DAYS
),

served AS (
  SELECT
    *,
    explode(sequence(known_at, known_at + INTERVAL 5 HOURS, INTERVAL 1 HOUR)) AS hour_at
  FROM observed
)

SELECT
  origin,
  hour_at,
  max_by(temp, observed_at) AS temp,
  max_by(dewp, observed_at) AS dewp,
  max_by(humid, observed_at) AS humid,
  max_by(wind_dir, observed_at) AS wind_dir,
  max_by(wind_speed, observed_at) AS wind_speed,
  max_by(wind_gust, observed_at) AS wind_gust,
  max_by(precip, observed_at) AS precip,
  max_by(pressure, observed_at) AS pressure,
  max_by(visib, observed_at) AS visib,
  sum(precip) AS precip_6h,
  min(visib) AS visib_min_6h,
  max(coalesce(wind_gust, wind_speed)) AS wind_max_6h,
  max_by(temp, observed_at) - min_by(temp, observed_at) AS temp_change_6h,
  max_by(pressure, observed_at) - max(pressure) FILTER (
    WHERE known_at = hour_at - INTERVAL 3 HOURS
  ) AS pressure_change_3h
FROM served
GROUP BY origin, hour_at
