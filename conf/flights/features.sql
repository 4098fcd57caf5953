-- One row for each flight of the days asked for: its key, when it is predicted, what was known by
-- then, and whether it came 15 or more minutes late (null while unknown, and for flights that never
-- arrived).
--
-- The hint names what is small however long the history: Spark, judging by the size of all of it,
-- would send the flights through a shuffle for each. Joins that need a shuffle come first, while
-- the rows are narrow.
SELECT /*+ BROADCAST(w, plane, report, overall, of_carrier, of_origin, of_dest, of_route) */
  d.flight_date,
  d.carrier,
  d.flight,
  d.origin,
  d.prediction_at,
  int(outcome.arr_delay >= 15) AS is_late,

  -- The schedule.
  d.dest,
  d.tailnum,
  d.distance,
  d.sched_hour,
  d.sched_minute,
  d.day_of_week,
  d.day_of_year,
  d.sched_duration,
  d.departures_same_hour,
  d.departures_hour_before,
  d.departures_hour_after,
  d.departures_city,
  d.legs_before,
  d.minutes_since_leg,

  -- The aircraft.
  year(d.flight_date) - plane.year AS plane_age,
  plane.seats,
  plane.engines,
  plane.manufacturer,
  plane.model,

  -- The weather at the airport of departure.
  w.temp,
  w.dewp,
  w.humid,
  w.wind_dir,
  w.wind_speed,
  w.wind_gust,
  w.precip,
  w.pressure,
  w.visib,
  w.precip_6h,
  w.visib_min_6h,
  w.wind_max_6h,
  w.temp_change_6h,
  w.pressure_change_3h,

  -- What had been reported by then.
  overall.late_rate_1d,
  overall.late_rate_7d,
  overall.late_rate_28d,
  overall.mean_delay_1d,
  overall.mean_delay_7d,
  overall.mean_delay_28d,
  overall.cancelled_rate_1d,
  overall.cancelled_rate_7d,
  of_carrier.flights_28d AS carrier_flights_28d,
  of_carrier.late_rate_1d AS carrier_late_rate_1d,
  of_carrier.late_rate_7d AS carrier_late_rate_7d,
  of_carrier.late_rate_28d AS carrier_late_rate_28d,
  of_carrier.mean_delay_1d AS carrier_mean_delay_1d,
  of_carrier.mean_delay_7d AS carrier_mean_delay_7d,
  of_carrier.mean_delay_28d AS carrier_mean_delay_28d,
  of_origin.flights_28d AS origin_flights_28d,
  of_origin.late_rate_1d AS origin_late_rate_1d,
  of_origin.late_rate_7d AS origin_late_rate_7d,
  of_origin.late_rate_28d AS origin_late_rate_28d,
  of_origin.mean_delay_1d AS origin_mean_delay_1d,
  of_origin.mean_delay_7d AS origin_mean_delay_7d,
  of_origin.mean_delay_28d AS origin_mean_delay_28d,
  of_dest.flights_28d AS dest_flights_28d,
  of_dest.late_rate_1d AS dest_late_rate_1d,
  of_dest.late_rate_7d AS dest_late_rate_7d,
  of_dest.late_rate_28d AS dest_late_rate_28d,
  of_dest.mean_delay_1d AS dest_mean_delay_1d,
  of_dest.mean_delay_7d AS dest_mean_delay_7d,
  of_dest.mean_delay_28d AS dest_mean_delay_28d,
  of_route.flights_28d AS route_flights_28d,
  of_route.late_rate_1d AS route_late_rate_1d,
  of_route.late_rate_7d AS route_late_rate_7d,
  of_route.late_rate_28d AS route_late_rate_28d,
  of_route.mean_delay_1d AS route_mean_delay_1d,
  of_route.mean_delay_7d AS route_mean_delay_7d,
  of_route.mean_delay_28d AS route_mean_delay_28d,
  of_flight.flights_28d AS flight_flights_28d,
  of_flight.late_rate_1d AS flight_late_rate_1d,
  of_flight.late_rate_7d AS flight_late_rate_7d,
  of_flight.late_rate_28d AS flight_late_rate_28d,
  of_flight.mean_delay_1d AS flight_mean_delay_1d,
  of_flight.mean_delay_7d AS flight_mean_delay_7d,
  of_flight.mean_delay_28d AS flight_mean_delay_28d,
  of_aircraft.flights_28d AS aircraft_flights_28d,
  of_aircraft.late_rate_1d AS aircraft_late_rate_1d,
  of_aircraft.late_rate_7d AS aircraft_late_rate_7d,
  of_aircraft.late_rate_28d AS aircraft_late_rate_28d,
  of_aircraft.mean_delay_1d AS aircraft_mean_delay_1d,
  of_aircraft.mean_delay_7d AS aircraft_mean_delay_7d,
  of_aircraft.mean_delay_28d AS aircraft_mean_delay_28d,
  -- Minutes of the schedule that the flight itself does not need.
  d.sched_duration - of_route.mean_air_time_28d AS slack
FROM departures AS d
LEFT JOIN last_report AS report
  ON report.prediction_at = d.prediction_at
LEFT JOIN history AS of_flight
  ON
    of_flight.kind = 'flight_number'
    AND of_flight.value = d.flight_number
    AND of_flight.known_at = report.known_at
LEFT JOIN history AS of_aircraft
  ON
    of_aircraft.kind = 'tailnum'
    AND of_aircraft.value = d.tailnum
    AND of_aircraft.known_at = report.known_at
LEFT JOIN silver.outcomes AS outcome
  ON
    outcome.flight_date = d.flight_date
    AND outcome.carrier = d.carrier
    AND outcome.flight = d.flight
    AND outcome.origin = d.origin
    AND outcome.flight_date BETWEEN :since AND :until
LEFT JOIN silver.planes AS plane
  ON plane.tailnum = d.tailnum
LEFT JOIN weather_by_hour AS w
  ON w.origin = d.origin AND w.hour_at = d.prediction_hour_at
LEFT JOIN history AS overall
  ON overall.kind = 'all' AND overall.known_at = report.known_at
LEFT JOIN history AS of_carrier
  ON
    of_carrier.kind = 'carrier'
    AND of_carrier.value = d.carrier
    AND of_carrier.known_at = report.known_at
LEFT JOIN history AS of_origin
  ON
    of_origin.kind = 'origin'
    AND of_origin.value = d.origin
    AND of_origin.known_at = report.known_at
LEFT JOIN history AS of_dest
  ON
    of_dest.kind = 'dest'
    AND of_dest.value = d.dest
    AND of_dest.known_at = report.known_at
LEFT JOIN history AS of_route
  ON
    of_route.kind = 'route'
    AND of_route.value = d.route
    AND of_route.known_at = report.known_at
