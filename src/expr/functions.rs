//! Functions of the language that SQLite does not have. The store registers them; the evaluator calls them.

use crate::kit::value::Value;

/// Name under which the store registers [`geo_distance`] in SQLite; four arguments, deterministic.
pub const GEO_DISTANCE: &str = "geo_distance";

/// Radius of the earth in kilometres (contract 4.5).
const EARTH_RADIUS_KM: f64 = 6371.0;

/// Kilometres between two points given as longitude, latitude, longitude, latitude; NULL when one of them is, or the
/// result is no number.
#[must_use]
pub fn geo_distance(args: &[Value; 4]) -> Value {
    let mut radians = [0.0_f64; 4];
    for (radian, arg) in radians.iter_mut().zip(args) {
        *radian = match arg {
            Value::Null => return Value::Null,
            Value::Int(_) | Value::Real(_) => arg.as_f64().unwrap_or(0.0),
            // SQLite's maths functions give NULL for what is no number.
            Value::Text(text) => match text.trim().parse::<f64>() {
                Ok(number) => number,
                Err(_) => return Value::Null,
            },
            Value::Blob(_) => return Value::Null,
        }
        .to_radians();
    }
    let [lon_a, lat_a, lon_b, lat_b] = radians;
    let cosine = lat_a.cos() * lat_b.cos() * (lon_b - lon_a).cos() + lat_a.sin() * lat_b.sin();
    let distance = EARTH_RADIUS_KM * cosine.acos();
    if distance.is_nan() {
        Value::Null
    } else {
        Value::Real(distance)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances_are_great_circles_and_null_spreads() {
        let at = |lon: f64, lat: f64| [Value::Real(lon), Value::Real(lat)];
        let [a, b] = at(23.32, 42.69);
        let [c, d] = at(24.75, 42.14);
        let Value::Real(km) = geo_distance(&[a, b, c.clone(), d.clone()]) else {
            panic!("a number");
        };
        assert!((km - 132.6).abs() < 1.0, "{km}");
        assert_eq!(
            geo_distance(&[Value::Null, Value::Int(0), c, d]),
            Value::Null
        );
    }
}
