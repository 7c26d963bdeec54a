-- What our SQL uses and PostgreSQL does not have, so that it says what SQLite and the evaluator say. Made anew whenever
-- this text changes (burrow.version holds its hash), in the transaction that opens the database.

-- Text that is a number as one; infinity for what is too large. The caller has looked at its spelling.
CREATE OR REPLACE FUNCTION burrow.float(t text) RETURNS float8
LANGUAGE plpgsql IMMUTABLE STRICT AS $$
BEGIN
  RETURN t::float8;
EXCEPTION WHEN OTHERS THEN
  RETURN CASE WHEN t ~ '[eE]-' THEN 0 WHEN t LIKE '-%' THEN '-Infinity'::float8 ELSE 'Infinity'::float8 END;
END $$;

CREATE OR REPLACE FUNCTION burrow.is_number(t text) RETURNS boolean
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$
  SELECT t ~ '^[ \t\n\v\f\r]*[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?[ \t\n\v\f\r]*$'
$$;

-- Cells: a value of either class as text, whose bytewise order is that of SQLite's values.
CREATE OR REPLACE FUNCTION burrow.num_cell(n float8) RETURNS text
LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE AS $$
DECLARE
  digits text := encode(float8send(n + 0), 'hex');
BEGIN
  IF n < 0 THEN
    RETURN '0' || translate(digits, '0123456789abcdef', 'fedcba9876543210');
  END IF;
  RETURN '0' || translate(left(digits, 1), '01234567', '89abcdef') || substr(digits, 2);
END $$;

-- A text under numeric affinity.
CREATE OR REPLACE FUNCTION burrow.numeric_cell(t text) RETURNS text
LANGUAGE plpgsql IMMUTABLE STRICT AS $$
BEGIN
  IF burrow.is_number(t) THEN
    RETURN burrow.num_cell(burrow.float(btrim(t, E' \t\n\u000b\f\r')));
  END IF;
  RETURN '1' || t;
END $$;

CREATE OR REPLACE FUNCTION burrow.cell_numeric(c text) RETURNS text
LANGUAGE sql IMMUTABLE STRICT AS $$
  SELECT CASE WHEN left(c, 1) = '1' THEN burrow.numeric_cell(substr(c, 2)) ELSE c END
$$;

CREATE OR REPLACE FUNCTION burrow.text_number(t text) RETURNS float8
LANGUAGE sql IMMUTABLE STRICT AS $$
  SELECT CASE WHEN burrow.is_number(t) THEN burrow.float(btrim(t, E' \t\n\u000b\f\r')) END
$$;

-- The number of a cell; NULL where it is a text that is none.
CREATE OR REPLACE FUNCTION burrow.cell_number(c text) RETURNS float8
LANGUAGE plpgsql IMMUTABLE STRICT AS $$
DECLARE
  digits text := substr(c, 2);
  negative boolean;
  bits bigint;
  exponent int;
  fraction float8;
BEGIN
  IF left(c, 1) = '1' THEN
    RETURN burrow.text_number(digits);
  END IF;
  negative := digits < '8' COLLATE "C";
  IF negative THEN
    digits := translate(digits, '0123456789abcdef', 'fedcba9876543210');
  END IF;
  bits := ('x' || digits)::bit(64)::bigint & 9223372036854775807;
  exponent := (bits >> 52)::int;
  fraction := (bits & 4503599627370495)::float8;
  IF exponent = 2047 THEN
    RETURN CASE WHEN negative THEN '-Infinity'::float8 ELSE 'Infinity'::float8 END;
  ELSIF exponent = 0 THEN
    fraction := fraction * 4.9406564584124654e-324;
  ELSE
    fraction := (1 + fraction / 4503599627370496) * power(2::float8, exponent - 1023);
  END IF;
  RETURN CASE WHEN negative THEN -fraction ELSE fraction END;
END $$;

-- A number as SQLite casts a real to text: fifteen digits, a fraction always.
CREATE OR REPLACE FUNCTION burrow.real_text(n float8) RETURNS text
LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE AS $$
DECLARE
  scientific text;
  mantissa text;
  exponent int;
  fixed text;
BEGIN
  IF n = 0 THEN
    RETURN '0.0';
  ELSIF n = 'Infinity' THEN
    RETURN 'Inf';
  ELSIF n = '-Infinity' THEN
    RETURN '-Inf';
  END IF;
  scientific := btrim(to_char(n, '9.99999999999999EEEE'));
  mantissa := split_part(scientific, 'e', 1);
  exponent := split_part(scientific, 'e', 2)::int;
  IF exponent < -4 OR exponent >= 15 THEN
    fixed := rtrim(mantissa, '0');
    IF right(fixed, 1) = '.' THEN
      fixed := fixed || '0';
    END IF;
    RETURN fixed || 'e' || CASE WHEN exponent < 0 THEN '-' ELSE '+' END
      || CASE WHEN abs(exponent) < 10 THEN '0' ELSE '' END || abs(exponent)::text;
  END IF;
  fixed := rtrim(round(n::numeric, greatest(14 - exponent, 1))::text, '0');
  RETURN CASE WHEN right(fixed, 1) = '.' THEN fixed || '0' ELSE fixed END;
END $$;

-- A number of a number column as text: whole ones without a fraction.
CREATE OR REPLACE FUNCTION burrow.num_text(n float8) RETURNS text
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$
  SELECT CASE WHEN n = trunc(n) AND abs(n) < 9007199254740992 THEN n::bigint::text ELSE burrow.real_text(n) END
$$;

-- A text under numeric affinity, as text again.
CREATE OR REPLACE FUNCTION burrow.numeric_text(t text) RETURNS text
LANGUAGE sql IMMUTABLE STRICT AS $$
  SELECT CASE WHEN burrow.is_number(t) THEN burrow.num_text(burrow.float(btrim(t, E' \t\n\u000b\f\r'))) ELSE t END
$$;

CREATE OR REPLACE FUNCTION burrow.is_json(t text) RETURNS boolean
LANGUAGE plpgsql IMMUTABLE STRICT AS $$
BEGIN
  PERFORM t::json;
  RETURN true;
EXCEPTION WHEN OTHERS THEN
  RETURN false;
END $$;

-- Valid JSON without the blanks between its tokens.
CREATE OR REPLACE FUNCTION burrow.minified(t text) RETURNS text
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$
  SELECT regexp_replace(t, '("(?:[^"\\]|\\.)*")|[ \t\n\r]+', '\1', 'g')
$$;

CREATE OR REPLACE FUNCTION burrow.json_string(j json) RETURNS text
LANGUAGE plpgsql IMMUTABLE STRICT AS $$
BEGIN
  RETURN j #>> '{}';
EXCEPTION WHEN OTHERS THEN
  -- Escapes that no text can hold.
  RETURN btrim(j::text, '"');
END $$;

CREATE OR REPLACE FUNCTION burrow.json_number_spelt(t text) RETURNS text
LANGUAGE sql IMMUTABLE STRICT AS $$
  SELECT CASE
    WHEN t ~ '^-?[0-9]{1,18}$' THEN CASE WHEN t = '-0' THEN '0' ELSE t END
    ELSE burrow.real_text(burrow.float(t))
  END
$$;

CREATE OR REPLACE FUNCTION burrow.json_value_cell(j json) RETURNS text
LANGUAGE sql IMMUTABLE STRICT AS $$
  SELECT CASE json_typeof(j)
    WHEN 'null' THEN NULL
    WHEN 'boolean' THEN burrow.num_cell(CASE btrim(j::text) WHEN 'true' THEN 1 ELSE 0 END)
    WHEN 'number' THEN burrow.num_cell(burrow.float(btrim(j::text)))
    WHEN 'string' THEN '1' || burrow.json_string(j)
    ELSE '1' || burrow.minified(j::text)
  END
$$;

CREATE OR REPLACE FUNCTION burrow.json_value_spelt(j json) RETURNS text
LANGUAGE sql IMMUTABLE STRICT AS $$
  SELECT CASE json_typeof(j)
    WHEN 'null' THEN NULL
    WHEN 'boolean' THEN CASE btrim(j::text) WHEN 'true' THEN '1' ELSE '0' END
    WHEN 'number' THEN burrow.json_number_spelt(btrim(j::text))
    WHEN 'string' THEN burrow.json_string(j)
    ELSE burrow.minified(j::text)
  END
$$;

-- What is at a path like $.a[0].b: the first of equal keys; NULL where there is nothing.
CREATE OR REPLACE FUNCTION burrow.json_at(j json, path text) RETURNS json
LANGUAGE plpgsql IMMUTABLE STRICT AS $$
DECLARE
  step text;
  found json := j;
BEGIN
  FOREACH step IN ARRAY string_to_array(substr(replace(path, '[', '.['), 3), '.') LOOP
    IF left(step, 1) = '[' THEN
      IF json_typeof(found) <> 'array' THEN
        RETURN NULL;
      END IF;
      found := found -> rtrim(substr(step, 2), ']')::int;
    ELSE
      IF json_typeof(found) <> 'object' THEN
        RETURN NULL;
      END IF;
      found := (SELECT pair.value FROM json_each(found) WITH ORDINALITY AS pair(key, value, nth)
        WHERE pair.key = step ORDER BY pair.nth LIMIT 1);
    END IF;
    IF found IS NULL THEN
      RETURN NULL;
    END IF;
  END LOOP;
  RETURN found;
END $$;

CREATE OR REPLACE FUNCTION burrow.json_cell(t text, path text) RETURNS text
LANGUAGE plpgsql IMMUTABLE STRICT AS $$
BEGIN
  IF burrow.is_json(t) THEN
    RETURN burrow.json_value_cell(burrow.json_at(t::json, path));
  ELSIF path = '$' THEN
    RETURN burrow.numeric_cell(t);
  END IF;
  RETURN NULL;
END $$;

CREATE OR REPLACE FUNCTION burrow.json_spelt(t text, path text) RETURNS text
LANGUAGE plpgsql IMMUTABLE STRICT AS $$
BEGIN
  IF burrow.is_json(t) THEN
    RETURN burrow.json_value_spelt(burrow.json_at(t::json, path));
  ELSIF path = '$' THEN
    RETURN burrow.numeric_text(t);
  END IF;
  RETURN NULL;
END $$;

-- The items of a list: as cells, as ids of records, and as text. What is no list is its own only item.
CREATE OR REPLACE FUNCTION burrow.items(t text) RETURNS TABLE(value text, id text, spelt text)
LANGUAGE plpgsql IMMUTABLE ROWS 4 AS $$
BEGIN
  IF left(t, 1) = '[' AND burrow.is_json(t) THEN
    RETURN QUERY SELECT burrow.json_value_cell(item),
      CASE json_typeof(item) WHEN 'string' THEN burrow.json_string(item) END,
      burrow.json_value_spelt(item)
      FROM json_array_elements(t::json) AS list(item);
  ELSE
    RETURN QUERY SELECT '1' || t, t, t;
  END IF;
END $$;

CREATE OR REPLACE FUNCTION burrow.list_length(t text) RETURNS int
LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
  IF t IS NULL OR t = '' THEN
    RETURN 0;
  ELSIF left(t, 1) = '[' AND burrow.is_json(t) THEN
    RETURN json_array_length(t::json);
  END IF;
  RETURN 1;
END $$;

CREATE OR REPLACE FUNCTION burrow.geo_distance(lon_a float8, lat_a float8, lon_b float8, lat_b float8) RETURNS float8
LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE AS $$
DECLARE
  cosine float8 := cos(radians(lat_a)) * cos(radians(lat_b)) * cos(radians(lon_b) - radians(lon_a))
    + sin(radians(lat_a)) * sin(radians(lat_b));
BEGIN
  RETURN CASE WHEN cosine BETWEEN -1 AND 1 THEN 6371 * acos(cosine) END;
END $$;

-- A pattern that was computed: a backslash at its end escapes nothing and so matches nothing.
CREATE OR REPLACE FUNCTION burrow.pattern(t text) RETURNS text
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$
  SELECT CASE WHEN length(t) - length(rtrim(t, '\')) = 0 OR (length(t) - length(rtrim(t, '\'))) % 2 = 0
    THEN lower(t COLLATE "C") END
$$;

-- Milliseconds since 1970 of a time as SQLite reads it: a date, a time, both, `now`, or a Julian day.
CREATE OR REPLACE FUNCTION burrow.time_millis(t text) RETURNS numeric
LANGUAGE plpgsql STABLE STRICT AS $$
DECLARE
  part text[];
  day numeric;
  millis numeric;
  zone numeric := 0;
BEGIN
  IF lower(t) = 'now' THEN
    RETURN floor(extract(epoch FROM clock_timestamp()) * 1000);
  END IF;
  IF burrow.is_number(t) THEN
    IF burrow.text_number(t) < 0 OR burrow.text_number(t) >= 5373484.5 THEN
      RETURN NULL;
    END IF;
    RETURN round((btrim(t, E' \t\n\u000b\f\r')::numeric - 2440587.5) * 86400000);
  END IF;
  part := regexp_match(t, '^(?:(-?)(\d{4})-(\d\d)-(\d\d))?(?:([ T]*)(\d\d):(\d\d)(?::(\d\d)(\.\d+)?)?)?\s*(?:([+-])(\d\d):(\d\d)|([zZ]))?$');
  IF part IS NULL OR (part[2] IS NULL AND part[6] IS NULL) OR (part[6] IS NULL AND (part[10] IS NOT NULL OR part[13] IS NOT NULL))
    OR (part[2] IS NOT NULL AND part[6] IS NOT NULL AND part[5] = '') OR (part[2] IS NULL AND part[5] <> '') THEN
    RETURN NULL;
  END IF;
  IF part[2] IS NULL THEN
    day := 10957;
  ELSIF part[3]::int NOT BETWEEN 1 AND 12 OR part[4]::int NOT BETWEEN 1 AND 31 OR part[1] = '-' THEN
    RETURN NULL;
  ELSIF part[2]::int = 0 THEN
    -- The year 0 is 1 BC to PostgreSQL.
    day := (make_date(-1, part[3]::int, 1) - date '1970-01-01') + part[4]::int - 1;
  ELSE
    day := (make_date(part[2]::int, part[3]::int, 1) - date '1970-01-01') + part[4]::int - 1;
  END IF;
  IF part[6]::int > 24 OR part[7]::int > 59 OR part[8]::int > 59 THEN
    RETURN NULL;
  END IF;
  millis := coalesce(part[6]::int, 0) * 3600000 + coalesce(part[7]::int, 0) * 60000 + coalesce(part[8]::int, 0) * 1000
    + round(coalesce(('0' || part[9])::numeric, 0) * 1000);
  IF part[10] IS NOT NULL THEN
    IF part[11]::int > 14 OR part[12]::int > 59 THEN
      RETURN NULL;
    END IF;
    zone := (part[11]::int * 60 + part[12]::int) * 60000 * CASE part[10] WHEN '-' THEN -1 ELSE 1 END;
  END IF;
  RETURN day * 86400000 + millis - zone;
END $$;

CREATE OR REPLACE FUNCTION burrow.strftime(format text, t text, modifiers text[]) RETURNS text
LANGUAGE plpgsql STABLE STRICT AS $$
DECLARE
  millis numeric;
  at timestamp;
  modifier text;
  part text[];
  amount numeric;
  months int;
  wanted int;
  nth int := 0;
  out text := '';
  at_char int := 1;
  c text;
  jan1 int;
BEGIN
  IF burrow.is_number(t) AND lower(modifiers[1]) = 'unixepoch' THEN
    millis := round(btrim(t)::numeric * 1000);
    modifiers := modifiers[2:];
  ELSIF burrow.is_number(t) AND lower(modifiers[1]) = 'auto' THEN
    millis := CASE WHEN burrow.text_number(t) >= 0 AND burrow.text_number(t) < 5373484.5
      THEN burrow.time_millis(t) ELSE round(btrim(t)::numeric * 1000) END;
    modifiers := modifiers[2:];
  ELSE
    millis := burrow.time_millis(t);
  END IF;
  IF millis IS NULL OR millis < -62167219200000 OR millis > 253402300799999 THEN
    RETURN NULL;
  END IF;
  FOREACH modifier IN ARRAY modifiers LOOP
    nth := nth + 1;
    modifier := lower(btrim(modifier));
    at := timestamp '1970-01-01' + millis * interval '1 millisecond';
    IF modifier IN ('utc', 'localtime', 'subsec', 'subsecond') OR (modifier = 'auto' AND nth = 1) THEN
      CONTINUE;
    ELSIF modifier IN ('start of day', 'start of month', 'start of year') THEN
      at := date_trunc(substr(modifier, 10), at);
      millis := extract(epoch FROM at) * 1000;
    ELSIF modifier ~ '^weekday [0-6](\.0*)?$' THEN
      wanted := substr(modifier, 9, 1)::int;
      millis := millis + ((wanted - extract(dow FROM at)::int + 7) % 7) * 86400000::numeric;
    ELSIF modifier ~ '^[+-]?\d+(\.\d*)? *(second|minute|hour|day|month|year)s?$' THEN
      part := regexp_match(modifier, '^([+-]?\d+(?:\.\d*)?) *(second|minute|hour|day|month|year)s?$');
      amount := part[1]::numeric;
      IF part[2] IN ('month', 'year') THEN
        months := trunc(amount)::int * CASE part[2] WHEN 'year' THEN 12 ELSE 1 END;
        -- The day stays as it is called, and flows over where the month is shorter.
        millis := extract(epoch FROM date_trunc('month', at) + months * interval '1 month') * 1000
          + extract(epoch FROM at - date_trunc('month', at)) * 1000
          + round((amount - trunc(amount)) * CASE part[2] WHEN 'year' THEN 365 ELSE 30 END * 86400000);
      ELSE
        millis := millis + round(amount * CASE part[2]
          WHEN 'second' THEN 1000 WHEN 'minute' THEN 60000 WHEN 'hour' THEN 3600000 ELSE 86400000 END);
      END IF;
    ELSIF modifier ~ '^[+-]\d\d:\d\d(:\d\d(\.\d+)?)?$' THEN
      part := regexp_match(modifier, '^([+-])(\d\d):(\d\d)(?::(\d\d(?:\.\d+)?))?$');
      amount := part[2]::int * 3600000 + part[3]::int * 60000 + round(coalesce(part[4]::numeric, 0) * 1000);
      millis := millis + amount * CASE part[1] WHEN '-' THEN -1 ELSE 1 END;
    ELSE
      RETURN NULL;
    END IF;
    IF millis < -62167219200000 OR millis > 253402300799999 THEN
      RETURN NULL;
    END IF;
  END LOOP;
  at := timestamp '1970-01-01' + millis * interval '1 millisecond';
  WHILE at_char <= length(format) LOOP
    c := substr(format, at_char, 1);
    at_char := at_char + 1;
    IF c <> '%' THEN
      out := out || c;
      CONTINUE;
    END IF;
    c := substr(format, at_char, 1);
    at_char := at_char + 1;
    out := out || CASE c COLLATE "C"
      WHEN 'd' THEN to_char(at, 'DD')
      WHEN 'e' THEN lpad(extract(day FROM at)::text, 2)
      WHEN 'f' THEN to_char(at, 'SS.MS')
      WHEN 'F' THEN burrow.year_text(at) || to_char(at, '-MM-DD')
      WHEN 'G' THEN to_char(at, 'IYYY')
      WHEN 'g' THEN to_char(at, 'IY')
      WHEN 'H' THEN to_char(at, 'HH24')
      WHEN 'I' THEN to_char(at, 'HH12')
      WHEN 'j' THEN to_char(at, 'DDD')
      WHEN 'J' THEN burrow.julian_text(millis)
      WHEN 'k' THEN lpad(extract(hour FROM at)::text, 2)
      WHEN 'l' THEN lpad(ltrim(to_char(at, 'HH12'), '0'), 2)
      WHEN 'm' THEN to_char(at, 'MM')
      WHEN 'M' THEN to_char(at, 'MI')
      WHEN 'p' THEN to_char(at, 'AM')
      WHEN 'P' THEN to_char(at, 'am')
      WHEN 'R' THEN to_char(at, 'HH24:MI')
      WHEN 's' THEN floor(millis / 1000)::text
      WHEN 'S' THEN to_char(at, 'SS')
      WHEN 'T' THEN to_char(at, 'HH24:MI:SS')
      WHEN 'u' THEN extract(isodow FROM at)::text
      WHEN 'w' THEN extract(dow FROM at)::text
      WHEN 'U' THEN lpad(((extract(doy FROM at)::int - 1 - extract(dow FROM at)::int + 7) / 7)::text, 2, '0')
      WHEN 'V' THEN to_char(at, 'IW')
      WHEN 'W' THEN lpad(((extract(doy FROM at)::int - 1 - (extract(isodow FROM at)::int - 1) + 7) / 7)::text, 2, '0')
      WHEN 'Y' THEN burrow.year_text(at)
      WHEN '%' THEN '%'
      ELSE NULL
    END;
    IF out IS NULL THEN
      RETURN NULL;
    END IF;
  END LOOP;
  RETURN out;
END $$;

-- The year of a moment; the year 0 is 1 BC to PostgreSQL.
CREATE OR REPLACE FUNCTION burrow.year_text(at timestamp) RETURNS text
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$
  SELECT CASE WHEN extract(year FROM at) < 0 THEN '0000' ELSE to_char(at, 'YYYY') END
$$;

-- The Julian day of a moment, as `%J` prints it.
CREATE OR REPLACE FUNCTION burrow.julian_text(millis numeric) RETURNS text
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$
  SELECT CASE WHEN position('.' IN shown) > 0 THEN rtrim(rtrim(shown, '0'), '.') ELSE shown END
  FROM (SELECT round((millis + 210866760000000) / 86400000, 9)::text) AS day(shown)
$$;
